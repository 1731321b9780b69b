"""`DirectoryObjects`, an object store in a directory that survives crashes and power cuts.

An object is written to a file of its own under `.incoming`, made durable, and then given its name in one step: by a
rename, which replaces (put), or by a link, which never does (create).  So nobody ever sees a part of an object.  A
folder is made durable before anything in it is.  What a crash leaves under `.incoming` is removed at the next opening.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from g2disk.disk import Buffer
from g2disk.errors import Exists, Invalid, NotFound, Unavailable, from_os_error
from g2disk.objects.files import ObjectFiles
from g2disk.objects.keys import check_key
from g2disk.objects.store import ObjectEntry, ObjectStore
from g2disk.threads import Crew

T = TypeVar("T")

_THREADS = 16


class DirectoryObjects(ObjectStore):
    """Objects as files under a directory; any number of processes of this machine may use it at once.

    Made by `at`.
    """

    def __init__(self, directory: Path, crew: Crew) -> None:
        self.url = f"objects:{directory}"
        self._directory = directory
        self._files = ObjectFiles(directory)
        self._crew = crew

    def __repr__(self) -> str:
        return f"DirectoryObjects({self.url})"

    @classmethod
    async def at(cls, directory: str | Path, *, make: bool = True) -> DirectoryObjects:
        """The store in that directory, made if `make` is set and its parent is there.  Raises `NotFound`, `Denied`,
        `Invalid`.
        """
        path = Path(os.path.abspath(directory))  # noqa: ASYNC240 - a getcwd, no disk
        crew = Crew(_THREADS, "objects")
        store = cls(path, crew)
        try:
            await store._run("opening", "", store._files.prepare, make)
        except BaseException:
            crew.stop()
            raise
        return store

    async def put(self, key: str, data: Sequence[Buffer]) -> None:
        """See `ObjectStore.put`."""
        await self._run("putting", check_key(key), self._files.put, key, data)

    async def create(self, key: str, data: Sequence[Buffer]) -> None:
        """See `ObjectStore.create`."""
        await self._run("creating", check_key(key), self._files.create, key, data)

    async def get(self, key: str) -> Buffer:
        """See `ObjectStore.get`."""
        return await self._run("getting", check_key(key), self._files.read, key)

    async def get_range(self, key: str, offset: int, length: int) -> Buffer:
        """See `ObjectStore.get_range`."""
        return await self._run("getting", check_key(key), self._files.read, key, offset, length)

    async def list(self, prefix: str, after: str = "") -> list[ObjectEntry]:
        """See `ObjectStore.list`."""
        return await self._run("listing", prefix, self._files.listing, prefix, after)

    async def delete(self, key: str) -> None:
        """See `ObjectStore.delete`."""
        await self._run("deleting", check_key(key), self._files.delete, key)

    async def close(self) -> None:
        """See `ObjectStore.close`."""
        self._crew.stop()

    async def _run(self, doing: str, key: str, function: Callable[..., T], *arguments: object) -> T:
        what = f"{doing} {self.url}" + (f"/{key}" if key else "")
        try:
            return await self._crew.run(function, *arguments)
        except FileExistsError as error:
            raise Exists(f"{what}: it is there already") from error
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            if doing in {"getting", "opening"}:
                raise NotFound(f"{what}: it is not there") from error
            if isinstance(error, FileNotFoundError):
                raise Unavailable(f"{what}: {self._directory} has gone away") from error
            raise Invalid(f"{what}: a key cannot be the folder of another one, too") from error
        except OSError as error:
            raise from_os_error(error, what) from error
