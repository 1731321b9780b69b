"""`CloudObjects`, an `ObjectStore` over obstore."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import obstore
from obstore.store import AzureStore, GCSStore, S3Store

from g2disk.disk import Buffer
from g2disk.errors import Denied, NotFound, Unavailable
from g2disk.objects.cloud.errors import FOREIGN, is_behind_the_end, is_missing, translate
from g2disk.objects.keys import check_key
from g2disk.objects.store import ObjectEntry, ObjectStore
from g2disk.threads import Crew

T = TypeVar("T")

Bucket = S3Store | GCSStore | AzureStore
"""What obstore calls a store."""

_THREADS = 32
"""Calls in flight at most; more wait.  One that hangs holds its thread until its time is out."""


class CloudObjects(ObjectStore):
    """A bucket of S3, Google Cloud Storage or Azure.

    obstore's blocking calls run in threads: its asynchronous ones abort one in twenty short processes at exit.  They
    let the other threads run, and read the caller's buffers where they are.  It repeats nothing by itself: the layers
    do, and so each attempt is counted.

    `make` builds obstore's store, with the credentials that are to be found then; it is called again after each
    `Denied`, so that credentials that were renewed are taken up.
    """

    def __init__(self, url: str, make: Callable[[], Bucket], endpoint: str = "") -> None:
        self.url = url
        self._make = make
        self._endpoint = endpoint
        self._bucket: Bucket | None = make()
        self._crew = Crew(_THREADS, "objects")

    def __repr__(self) -> str:
        return f"CloudObjects({self.url})"

    async def put(self, key: str, data: Sequence[Buffer]) -> None:
        """See `ObjectStore.put`."""
        await self._call("put", check_key(key), _put, list(data) or [b""], "overwrite")

    async def create(self, key: str, data: Sequence[Buffer]) -> None:
        """See `ObjectStore.create`."""
        await self._call("create", check_key(key), _put, list(data) or [b""], "create")

    async def get(self, key: str) -> Buffer:
        """See `ObjectStore.get`."""
        return await self._call("get", check_key(key), _get)

    async def get_range(self, key: str, offset: int, length: int) -> Buffer:
        """See `ObjectStore.get_range`."""
        return await self._call("get", check_key(key), _get_range, offset, length)

    async def list(self, prefix: str, after: str = "") -> list[ObjectEntry]:
        """See `ObjectStore.list`."""
        return await self._call("list", prefix, _list, after)

    async def delete(self, key: str) -> None:
        """See `ObjectStore.delete`."""
        await self._call("delete", check_key(key), _delete)

    async def close(self) -> None:
        """See `ObjectStore.close`."""
        self._crew.stop()

    async def _call(self, verb: str, key: str, function: Callable[..., T], *arguments: object) -> T:
        if self._bucket is None:
            self._bucket = self._make()
        try:
            return await self._crew.run(function, self._bucket, key, *arguments)
        except FOREIGN as error:
            mapped = translate(error, f"{verb} {self.url}/{key}", self._endpoint)
            if isinstance(mapped, Denied):
                self._bucket = None
            if isinstance(mapped, NotFound) and verb != "get":
                # A change has nothing to find but the bucket itself.
                mapped = Unavailable(f"{mapped}: is there such a bucket?")
            raise mapped from error


def _put(bucket: Bucket, key: str, data: list[Buffer], mode: str) -> None:
    obstore.put(bucket, key, data, mode="create" if mode == "create" else "overwrite", use_multipart=False)


def _get(bucket: Bucket, key: str) -> Buffer:
    return memoryview(obstore.get(bucket, key).bytes())


def _get_range(bucket: Bucket, key: str, offset: int, length: int) -> Buffer:
    try:
        return memoryview(obstore.get_range(bucket, key, start=offset, length=length))
    except FOREIGN as error:
        if is_behind_the_end(error):
            return b""
        raise


def _list(bucket: Bucket, prefix: str, after: str) -> list[ObjectEntry]:
    # obstore lists folders; what the prefix says behind the last "/" is sorted out here.
    folder = prefix.rpartition("/")[0]
    found = []
    for page in obstore.list(bucket, folder or None, offset=after or None, chunk_size=1000):
        for item in page:
            key = item["path"]
            if key.startswith(prefix) and key > after:
                found.append(ObjectEntry(key, item["size"], item["last_modified"].timestamp()))
    found.sort(key=lambda entry: entry.key)
    return found


def _delete(bucket: Bucket, key: str) -> None:
    try:
        obstore.delete(bucket, key)
    except FOREIGN as error:
        if not is_missing(error):
            raise
