"""`Exports`, the disks of a store as a server offers them: named, bounds-checked, and compared by identity."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from g2disk.disk import Disk
from g2disk.disk.layers.checked import Checked
from g2disk.errors import Fenced
from g2disk.stores.store import DiskEntry, Store, default_among
from g2disk.units import check_disk_name

Decorate = Callable[[str, Disk], Disk]
"""Wraps the disk of that name in further layers."""


class Exports:
    """Every disk that goes out has its requests checked, whoever sent them, in the one place that all servers share."""

    def __init__(self, store: Store, decorate: Decorate | None = None) -> None:
        self.store = store
        self._decorate = decorate
        self._open: dict[str, tuple[Disk, Disk]] = {}
        """By name: the store's disk, and that disk as it goes out."""
        self._pinned = ""
        self.changing = asyncio.Lock()
        """Held by who looks at the catalogue and changes it because of what was there."""
        self.watchers: set[Callable[[str], None]] = set()
        """Called with the name of a disk that was resized."""

    async def open(self, name: str, identity: str = "") -> tuple[str, Disk]:
        """The disk called `name` (empty: the default disk), and its name.

        Raises `NotFound`, `Invalid` for what can be no name, and `Fenced` when the caller expects another identity.
        """
        if name not in self._open:
            name = check_disk_name(name) if name else await self.store.default_name()
        # The store decides, each time: the disk may have been deleted and another made in its place.
        opened = await self.store.open(name)
        inner, disk = self._open.get(name) or (None, opened)
        if inner is not opened:
            disk = self._wrap(name, opened)
            self._open[name] = opened, disk
        if identity and identity != disk.info().identity:
            raise Fenced(f"{name!r} in {self.store.url} is another disk than the one that was opened")
        return name, disk

    def serves(self, name: str, disk: Disk) -> bool:
        """Whether `disk` is what `open` gave last for that name, and was not deleted since."""
        opened = self._open.get(name)
        return opened is not None and opened[1] is disk

    async def look(self, name: str, identity: str = "") -> tuple[str, Disk]:
        """Like `open`, with the disk as it is by now: the store may be another server's, and change there."""
        return await self.open((await self.get(name)).name, identity)

    async def pinned(self) -> Disk:
        """The default disk for clients that can name none: the same one as long as it exists, whatever is created
        beside it.
        """
        self._pinned, disk = await self.open(self._pinned)
        return disk

    async def list(self) -> tuple[Sequence[DiskEntry], str]:
        """All disks, ordered by name, and the name of the default one (empty: there is none)."""
        entries = await self.store.list()
        return entries, default_among([entry.name for entry in entries])

    async def get(self, name: str) -> DiskEntry:
        """One disk; the empty name is the default disk.  Raises `NotFound`."""
        return await self.store.get(check_disk_name(name) if name else await self.store.default_name())

    async def create(self, name: str, size: int, description: str) -> DiskEntry:
        """See `Store.create`."""
        return await self.store.create(name, size, description)

    async def resize(self, name: str, size: int) -> DiskEntry:
        """See `Store.resize`."""
        try:
            return await self.store.resize(name, size)
        finally:  # who is cancelled may have resized it all the same
            for watcher in list(self.watchers):
                watcher(name)

    async def delete(self, name: str) -> None:
        """See `Store.delete`."""
        try:
            await self.store.delete(name)
        finally:  # who is cancelled may have deleted it all the same
            self._open.pop(name, None)
            if self._pinned == name:
                self._pinned = ""

    async def check_identity(self, name: str, identity: str) -> None:
        """Raise `Fenced` if the caller expects another disk under this name, `NotFound` if there is none."""
        if identity:
            await self.open(name, identity)

    def _wrap(self, name: str, disk: Disk) -> Disk:
        return Checked(self._decorate(name, disk) if self._decorate else disk)
