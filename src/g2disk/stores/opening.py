"""URL -> store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from g2disk.errors import Invalid
from g2disk.remote.endpoint import DEFAULT_TIMEOUT
from g2disk.stores.file import FileStore
from g2disk.stores.memory import MemoryStore
from g2disk.stores.python import load_python, names_python
from g2disk.stores.remote import RemoteStore
from g2disk.stores.store import Store

if TYPE_CHECKING:
    from g2disk.stores.volumes import VolumeStoreOptions

_OBJECTS = ("s3", "gs", "az", "objects")
_SCHEMES = ("memory", "file", "grpc", *_OBJECTS)

DEFAULT_STORE = "file:"
"""Durable, in the user's data directory."""


def is_object_store(url: str) -> bool:
    """Whether `url` names an object store, on which disks are volumes."""
    return url.partition(":")[0] in _OBJECTS


async def open_store(
    url: str = DEFAULT_STORE,
    *,
    read_only: bool = False,
    timeout: float = DEFAULT_TIMEOUT,
    volumes: VolumeStoreOptions | None = None,
) -> Store:
    """The store that `url` names:

    memory:                     sparse disks in memory, gone with the process
    file:DIR                    sparse files in DIR; without DIR, in the user's data directory
    s3://BUCKET/PREFIX          volumes on S3 and what speaks its language; also gs:// and az://
    objects:DIR                 the same in a directory
    grpc://HOST:PORT            the disks of another target server; also grpc://unix:PATH
    module:Class, FILE.py:Class a disk of one's own; arguments as ?name=value&name=value

    `volumes` says how those on an object store work.  The caller closes the store.  Raises `Invalid`, `Busy`, `Denied`,
    `ReadOnly`, `NotFound`, `Unavailable`, `Unsupported`.
    """
    scheme, colon, rest = url.partition(":")
    if url == "memory:":
        return MemoryStore()
    if scheme == "file" and colon:
        return await FileStore.at(rest or None, read_only=read_only)
    if is_object_store(url) and rest:
        from g2disk.stores.volumes import VolumeStore  # here, because its libraries take a while to load

        return await VolumeStore.at(url, volumes, read_only=read_only)
    if scheme == "grpc" and rest.startswith("//"):
        return RemoteStore(rest.removeprefix("//"), timeout)
    if scheme not in _SCHEMES and names_python(url):
        return await load_python(url)
    raise Invalid(
        f"'{url}' is no store; write memory:, file:DIR, s3://BUCKET/PREFIX, gs://…, az://…, objects:DIR, "
        "grpc://HOST:PORT, module:Class or FILE.py:Class"
    )
