"""`FileStore`, the disks of one directory."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import platformdirs

from g2disk.cancellation import to_the_end
from g2disk.disk import Disk
from g2disk.disk.identity import new_identity
from g2disk.errors import Corrupt, DiskError, NotFound, ReadOnly
from g2disk.stores.file.directory import Directory
from g2disk.stores.file.disk import FileDisk
from g2disk.stores.file.lock import Lock
from g2disk.stores.file.metadata import Metadata
from g2disk.stores.file.opening import open_directory, open_disk
from g2disk.stores.store import NO_OPTIONS, DiskEntry, Store, without_options
from g2disk.threads import Crew
from g2disk.units import DEFAULT_DISK, check_disk_name, check_disk_size

T = TypeVar("T")

_THREADS = 16
"""So many reads may wait for the store's device at once; a thread that is not needed is not started."""


def default_directory() -> Path:
    """Where `file:` keeps its disks: /var/lib/g2disk for root, whose disks are the machine's, and the user's data
    directory (~/.local/share/g2disk) for others; for both, g2disk in XDG_DATA_HOME where that is set.
    """
    if os.geteuid() == 0 and not os.environ.get("XDG_DATA_HOME"):
        return Path("/var/lib/g2disk")
    return platformdirs.user_data_path("g2disk")


class FileStore(Store):
    """Disks as sparse files in a directory; `g2disk.stores.file.directory` says what it holds.

    Changes of the catalogue are made one after another and, once begun, to the end, also when they are cancelled.

    A damaged disk does not keep the others from being used: it is listed with size 0 and the reason as its description,
    `open` raises `Corrupt`, and it can be deleted.
    """

    def __init__(self, directory: Directory, lock: Lock | None, crew: Crew, *, read_only: bool) -> None:
        self.url = f"file:{directory.path}"
        self._directory = directory
        self._lock = lock
        self._crew = crew
        self._read_only = read_only
        self._disks: dict[str, FileDisk] = {}
        self._turn = asyncio.Lock()
        self._closed = False

    @classmethod
    async def at(cls, path: str | Path | None = None, *, read_only: bool = False) -> FileStore:
        """The store in the directory `path`, `default_directory()` if that is None.

        The directory is made if it is missing, and locked against other servers.  With `read_only` nothing in it is
        changed, not even the lock file: such servers may be many, and only keep those out that write.

        Raises `Busy`, `Denied`, `ReadOnly`, `NotFound`, `Invalid`.
        """
        crew = Crew(_THREADS, "g2disk-file")
        try:
            opening = partial(open_directory, path or default_directory(), read_only=read_only)
            directory, lock = await crew.run(opening)
        except BaseException:
            crew.stop()
            raise
        return cls(directory, lock, crew, read_only=read_only)

    async def list(self) -> Sequence[DiskEntry]:
        """See `Store.list`."""
        return await self._crew.run(self._entries)

    async def get(self, name: str) -> DiskEntry:
        """See `Store.get`.  Raises `Corrupt` for a damaged disk."""
        return await self._crew.run(self._entry, name)

    async def default_name(self) -> str:
        """See `Store.default_name`.  Requests without a name ask each time, so the others are only looked at if it has
        to be: a disk of that name is the default one, whether it is the only one or not.
        """
        try:
            return (await self.get(DEFAULT_DISK)).name
        except NotFound:
            return await super().default_name()

    async def open(self, name: str) -> Disk:
        """See `Store.open`.  Raises `Corrupt` for a damaged disk, `Denied`."""
        disk = self._disks.get(name)
        return disk if disk is not None else await self._alone(self._open, name)

    async def create(
        self, name: str, size: int, description: str = "", options: Mapping[str, str] = NO_OPTIONS
    ) -> DiskEntry:
        """See `Store.create`.  Raises `Invalid` too if the file system does not hold such large files."""
        without_options(self.url, options)
        check_disk_name(name)
        check_disk_size(size)
        return await self._change(self._create, name, size, description)

    async def resize(self, name: str, size: int) -> DiskEntry:
        """See `Store.resize`.  Raises `Invalid` too if the file system does not hold such large files."""
        check_disk_size(size)
        return await self._change(self._resize, name, size)

    async def delete(self, name: str) -> None:
        """See `Store.delete`."""
        await self._change(self._delete, name)

    async def close(self) -> None:
        """See `Store.close`.  Closes everything in any case, and raises what the first failed flush raised.  Does
        nothing when called again.
        """
        if self._closed:
            return
        self._closed = True
        failures: list[DiskError] = []
        for disk in self._disks.values():
            try:
                await disk.flush()
            except DiskError as error:
                failures.append(error)
            await disk.close()
        self._disks.clear()
        self._crew.stop()
        self._directory.close()
        if self._lock is not None:
            self._lock.release()
        if failures:
            raise failures[0]

    async def _open(self, name: str) -> Disk:
        if name not in self._disks:
            opening = partial(open_disk, self._directory, name, self._crew, read_only=self._read_only)
            self._disks[name] = await self._crew.run(opening)
        return self._disks[name]

    async def _create(self, name: str, size: int, description: str) -> DiskEntry:
        metadata = Metadata(name=name, size=size, identity=new_identity(), description=description)
        await self._crew.run(self._directory.build, metadata)
        await self._vanish(name)  # one whose files somebody deleted
        return await self._crew.run(self._entry, name)

    async def _resize(self, name: str, size: int) -> DiskEntry:
        before = (await self._crew.run(self._directory.load, name)).size
        disk = self._disks.get(name)
        if size > before:
            await self._crew.run(self._directory.stretch, name, before, size)
        try:
            await self._crew.run(self._directory.update, name, partial(msgspec.structs.replace, size=size))
        except DiskError:
            if size > before:
                await self._crew.run(self._directory.cut, name, before)
            raise
        if disk is not None:
            disk.resized(size)
        if size < before:
            if disk is not None:
                await disk.settled()  # what is being written behind the new end
            await self._crew.run(self._directory.cut, name, size)
        return await self._crew.run(self._entry, name)

    async def _delete(self, name: str) -> None:
        trash = await self._crew.run(self._directory.discard, name)
        await self._vanish(name)
        await self._crew.run(self._directory.dispose, trash)

    async def _vanish(self, name: str) -> None:
        disk = self._disks.pop(name, None)
        if disk is not None:
            await disk.vanish(NotFound(f"the disk {name!r} of {self.url} was deleted"))

    async def _change(self, work: Callable[..., Coroutine[Any, Any, T]], *arguments: Any) -> T:
        if self._read_only:
            raise ReadOnly(f"{self.url} was opened read-only; open it for writing")
        return await self._alone(work, *arguments)

    async def _alone(self, work: Callable[..., Coroutine[Any, Any, T]], *arguments: Any) -> T:
        async with self._turn:
            return await to_the_end(work(*arguments))

    def _entries(self) -> Sequence[DiskEntry]:
        entries = []
        for name in self._directory.names():
            try:
                entries.append(self._entry(name))
            except Corrupt as error:
                entries.append(DiskEntry(name, 0, read_only=True, description=f"damaged: {error}"))
            except NotFound:  # deleted meanwhile
                continue
        return entries

    def _entry(self, name: str) -> DiskEntry:
        metadata = self._directory.load(name)
        return DiskEntry(
            name=name,
            size=metadata.size,
            identity=metadata.identity,
            allocated=self._directory.allocated(name),
            read_only=self._read_only,
            description=metadata.description or "sparse file",
        )
