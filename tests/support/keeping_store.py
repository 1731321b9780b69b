"""`KeepingStore`, memory disks with snapshots: copies of everything.  Also served as FILE.py:KeepingStore."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from g2disk.disk import Disk
from g2disk.disk.layers.read_only import ReadOnlyDisk
from g2disk.errors import Busy, Exists, Invalid, NotFound
from g2disk.stores.disk_map import Cell, DiskMap, SegmentFigure
from g2disk.stores.memory import MemoryDisk, MemoryStore
from g2disk.stores.store import NO_OPTIONS, DiskEntry, SnapshotEntry, StateValue


class KeepingStore(MemoryStore):
    """Takes the options of disks on object stores, and remembers them as a state."""

    def __init__(self) -> None:
        super().__init__("keeping:")
        self._kept: dict[str, tuple[SnapshotEntry, MemoryDisk, Disk]] = {}
        self._clones: dict[str, str] = {}
        self.options: dict[str, Mapping[str, str]] = {}

    async def create(
        self, name: str, size: int, description: str = "", options: Mapping[str, str] = NO_OPTIONS
    ) -> DiskEntry:
        """See `Store.create`."""
        if set(options) - {"encrypt", "compression", "block-size"}:
            raise Invalid("there is no such option")
        self.options[name] = dict(options)
        return await super().create(name, size, description)

    async def open(self, name: str) -> Disk:
        """See `Store.open`."""
        if "@" in name:
            return self._snapshot(*name.split("@"))[2]
        return await super().open(name)

    async def get(self, name: str) -> DiskEntry:
        """See `Store.get`."""
        if "@" in name:
            disk = self._snapshot(*name.split("@"))[1]
            return DiskEntry(name, disk.size, disk.info().identity, disk.allocated, True)
        return await super().get(name)

    async def snapshots(self, name: str) -> Sequence[SnapshotEntry]:
        """See `Store.snapshots`."""
        await self.get(name)
        return [entry for key, (entry, _, _) in self._kept.items() if key.startswith(f"{name}@")]

    async def create_snapshot(self, name: str, snapshot: str) -> SnapshotEntry:
        """See `Store.create_snapshot`."""
        if f"{name}@{snapshot}" in self._kept:
            raise Exists(f"there is a snapshot {name}@{snapshot} already; take another name")
        copy = await self._copy(await super().open(name))
        entry = SnapshotEntry(snapshot, 1.75e9 + len(self._kept), copy.size)
        self._kept[f"{name}@{snapshot}"] = entry, copy, ReadOnlyDisk(copy)
        return entry

    async def delete_snapshot(self, name: str, snapshot: str) -> None:
        """See `Store.delete_snapshot`."""
        self._snapshot(name, snapshot)
        clones = [clone for clone, origin in self._clones.items() if origin == f"{name}@{snapshot}"]
        if clones:
            raise Busy(f"{name}@{snapshot} has the clone {clones[0]!r}; delete that first")
        del self._kept[f"{name}@{snapshot}"]

    async def rollback(self, name: str, snapshot: str) -> DiskEntry:
        """See `Store.rollback`."""
        kept, disk = self._snapshot(name, snapshot)[1], await super().open(name)
        assert isinstance(disk, MemoryDisk)
        disk.resize(kept.size)
        await disk.write(0, await kept.read(0, kept.size))
        return await self.get(name)

    async def clone(self, name: str, snapshot: str, new_name: str) -> DiskEntry:
        """See `Store.clone`."""
        kept = self._snapshot(name, snapshot)[1]
        entry = await super().create(new_name, kept.size)
        await (await super().open(new_name)).write(0, await kept.read(0, kept.size))
        self._clones[new_name] = f"{name}@{snapshot}"
        return entry

    async def state(self, name: str) -> Mapping[str, StateValue]:
        """See `Store.state`."""
        options = self.options.get(name, {})
        return {
            "unstored_bytes": 1 << 60,
            "unstored_seconds": 0.25,
            "puts": 7,
            "flush_means": "journal",
            "encrypted": "encrypt" in options,
        }

    async def map(self, name: str, offset: int, length: int, cells: int) -> DiskMap:
        """See `Store.map`."""
        segments = [SegmentFigure(1, 3, 256, 128, 1 << 20), SegmentFigure(2, 3, 256, 256, 1 << 20)]
        return DiskMap(offset, length, -(-length // 2), [Cell(length // 4, 1, 2), Cell(0, 0, 0)], segments)

    def _snapshot(self, name: str, snapshot: str) -> tuple[SnapshotEntry, MemoryDisk, Disk]:
        found = self._kept.get(f"{name}@{snapshot}")
        if found is None:
            raise NotFound(
                f"there is no snapshot {name}@{snapshot}; `g2disk snapshot list {name}` shows which there are"
            )
        return found

    async def _copy(self, disk: Disk) -> MemoryDisk:
        copy = MemoryDisk(disk.info().size)
        await copy.write(0, await disk.read(0, copy.size))
        return copy
