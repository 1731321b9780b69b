"""`Exports`, the disks of a store as a server offers them: named, bounds-checked, and compared by identity."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from g2disk.disk import Disk
from g2disk.disk.layers.checked import Checked
from g2disk.errors import Fenced
from g2disk.stores.disk_map import DiskMap
from g2disk.stores.store import NO_OPTIONS, DiskEntry, SnapshotEntry, StateValue, Store, default_among
from g2disk.units import check_export_name

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
        """The disk called `name` (empty: the default disk), or the snapshot NAME@SNAPSHOT, and its name.

        Raises `NotFound`, `Invalid` for what can be no name, and `Fenced` when the caller expects another identity.
        """
        if name not in self._open:
            name = check_export_name(name) if name else await self.store.default_name()
        # The store decides, each time: the disk may have been deleted and another made in its place.
        opened = await self.store.open(name)
        inner, disk = self._open.get(name) or (None, opened)
        if inner is not opened:
            disk = self._wrap(name, opened)
            self._open[name] = opened, disk
        if identity and identity != disk.info().identity:
            raise Fenced(f"{name!r} in {self.store.url} is another disk than the one that was opened")
        return name, disk

    def opened(self) -> Sequence[str]:
        """The names of the disks, without snapshots, that were opened and not deleted since."""
        return sorted(name for name in self._open if "@" not in name)

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
        """One disk or snapshot; the empty name is the default disk.  Raises `NotFound`."""
        return await self.store.get(check_export_name(name) if name else await self.store.default_name())

    async def create(
        self, name: str, size: int, description: str, options: Mapping[str, str] = NO_OPTIONS
    ) -> DiskEntry:
        """See `Store.create`."""
        if not options:  # stores of other people need not know that there are any
            return await self.store.create(name, size, description)
        return await self.store.create(name, size, description, options)

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
            self._forget(name)
            for snapshot in [opened for opened in self._open if opened.startswith(f"{name}@")]:
                self._forget(snapshot)
            if self._pinned == name:
                self._pinned = ""

    async def snapshots(self, name: str) -> Sequence[SnapshotEntry]:
        """See `Store.snapshots`."""
        return await self.store.snapshots(name)

    async def create_snapshot(self, name: str, snapshot: str) -> SnapshotEntry:
        """See `Store.create_snapshot`."""
        return await self.store.create_snapshot(name, snapshot)

    async def delete_snapshot(self, name: str, snapshot: str) -> None:
        """See `Store.delete_snapshot`."""
        try:
            await self.store.delete_snapshot(name, snapshot)
        finally:
            self._forget(f"{name}@{snapshot}")

    async def rollback(self, name: str, snapshot: str) -> DiskEntry:
        """See `Store.rollback`."""
        try:
            return await self.store.rollback(name, snapshot)
        finally:  # it may have another size now
            for watcher in list(self.watchers):
                watcher(name)

    async def clone(self, name: str, snapshot: str, new_name: str) -> DiskEntry:
        """See `Store.clone`."""
        return await self.store.clone(name, snapshot, new_name)

    async def state(self, name: str) -> Mapping[str, StateValue]:
        """See `Store.state`."""
        return await self.store.state(name)

    async def map(self, name: str, offset: int, length: int, cells: int) -> DiskMap:
        """See `Store.map`."""
        return await self.store.map(name, offset, length, cells)

    async def check_identity(self, name: str, identity: str) -> None:
        """Raise `Fenced` if the caller expects another disk under this name, `NotFound` if there is none."""
        if identity:
            await self.open(name, identity)

    def _forget(self, name: str) -> None:
        self._open.pop(name, None)

    def _wrap(self, name: str, disk: Disk) -> Disk:
        return Checked(self._decorate(name, disk) if self._decorate else disk)
