"""`Store`, a catalogue of named disks behind one URL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from g2disk.disk import Disk
from g2disk.errors import Invalid, NotFound, Unsupported
from g2disk.stores.disk_map import DiskMap
from g2disk.units import DEFAULT_DISK

StateValue: TypeAlias = bool | int | float | str
"""A figure or a text of `Store.state`."""

NO_OPTIONS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class DiskEntry:
    """What a catalogue says of one disk."""

    name: str
    size: int
    """Bytes."""
    identity: str = ""
    """See `g2disk.disk.DiskInfo.identity`."""
    allocated: int = 0
    """Bytes of storage that the disk takes up now; 0 where nobody knows."""
    read_only: bool = False
    description: str = ""
    """One line for people."""


@dataclass(frozen=True, slots=True)
class SnapshotEntry:
    """What a catalogue says of one snapshot."""

    name: str
    created: float
    """Seconds since 1970 (UTC)."""
    size: int
    """Bytes of the disk then."""
    clones: int = 0
    """Disks that began as this snapshot and need it."""


class Store:
    """A set of disks with names; all methods may run concurrently, on one event loop.

    What changes the catalogue is atomic and, where the disks are, durable: once returned it survives a crash, and
    otherwise it happened as a whole or not at all.  Names and sizes obey `g2disk.units`; a store checks them itself.
    A store whose disks are fixed leaves `create`, `resize` and `delete` out, one without snapshots all that is about
    them, and they raise `Unsupported`.

    A snapshot is the disk as it was at one moment, with all that had been acknowledged.  It has a name of its own for
    each disk, obeying the rules for disks' names; NAME@SNAPSHOT names it among all, and `open` and `get` take that.
    """

    url: str
    """What a person would type to name this store."""

    async def list(self) -> Sequence[DiskEntry]:
        """All disks, ordered by name."""
        raise NotImplementedError

    async def open(self, name: str) -> Disk:
        """The disk of that name.  Every call gives the same object, which belongs to the store: callers never close it.

        NAME@SNAPSHOT gives a disk that is read only.  Raises `NotFound`.
        """
        raise NotImplementedError

    async def create(
        self, name: str, size: int, description: str = "", options: Mapping[str, str] = NO_OPTIONS
    ) -> DiskEntry:
        """Make a disk of `size` bytes of zeroes.  Raises `Invalid`, `Exists`, `OutOfSpace`, `ReadOnly`.

        `options` are the store's own; it raises `Invalid` for one that it does not know (see `without_options`).
        """
        raise Unsupported(f"{self.url} has a fixed set of disks; none can be created")

    async def resize(self, name: str, size: int) -> DiskEntry:
        """Grow or shrink a disk, open or not; new bytes are zeroes.  Raises `NotFound`, `Invalid`, `OutOfSpace`."""
        raise Unsupported(f"{self.url} has a fixed set of disks; none can be resized")

    async def delete(self, name: str) -> None:
        """Remove a disk and its data.  Objects that `open` gave raise `NotFound` from then on.  Raises `NotFound`."""
        raise Unsupported(f"{self.url} has a fixed set of disks; none can be deleted")

    async def snapshots(self, name: str) -> Sequence[SnapshotEntry]:
        """The snapshots of a disk, the oldest first.  Raises `NotFound`."""
        raise self._no_snapshots()

    async def create_snapshot(self, name: str, snapshot: str) -> SnapshotEntry:
        """Keep a disk as it is now.  Raises `NotFound`, `Invalid`, `Exists`."""
        raise self._no_snapshots()

    async def delete_snapshot(self, name: str, snapshot: str) -> None:
        """Forget a snapshot; the disk stays as it is.  Raises `NotFound`, and `Busy` while there are clones of it."""
        raise self._no_snapshots()

    async def rollback(self, name: str, snapshot: str) -> DiskEntry:
        """Make a disk what it was at the snapshot, its size included; what was written since is lost.

        Later snapshots stay.  Raises `NotFound`.
        """
        raise self._no_snapshots()

    async def clone(self, name: str, snapshot: str, new_name: str) -> DiskEntry:
        """Make a disk that begins as a snapshot of another, and shares what neither changes.

        Raises `NotFound`, `Invalid`, `Exists`.
        """
        raise self._no_snapshots()

    async def state(self, name: str) -> Mapping[str, StateValue]:
        """How a disk stands, by the names of `g2disk.stores.figures`; nothing where there is nothing to say.

        Raises `NotFound`.
        """
        return {}

    async def map(self, name: str, offset: int, length: int, cells: int) -> DiskMap:
        """What `length` bytes of a disk from `offset` on are made of, in at most `cells` parts.

        Raises `NotFound`, `OutOfRange`, and `Unsupported` where there is nothing to say beyond the disk's extents.
        """
        raise Unsupported(f"{self.url} does not say how its disks are laid out")

    async def close(self) -> None:
        """Flush and close every open disk and give back locks.  No call is in flight, and none follows."""

    async def get(self, name: str) -> DiskEntry:
        """One disk of `list`, or a snapshot.  Raises `NotFound`."""
        if "@" in name:
            info = (await self.open(name)).info()
            return DiskEntry(name, info.size, info.identity, 0, True, info.description)
        for entry in await self.list():
            if entry.name == name:
                return entry
        raise NotFound(f"there is no disk {name!r} in {self.url}; `g2disk list` shows which there are")

    async def default_name(self) -> str:
        """The name that the empty name stands for: the only disk, or the one called "default".  Raises `NotFound`."""
        names = [entry.name for entry in await self.list()]
        name = default_among(names)
        if name:
            return name
        if names:
            raise NotFound(f"{self.url} holds {len(names)} disks and none is called {DEFAULT_DISK!r}; say which one")
        raise NotFound(f"{self.url} holds no disk; make one with `g2disk create NAME SIZE`")

    def _no_snapshots(self) -> Unsupported:
        return Unsupported(f"{self.url} keeps no snapshots; disks on an object store do: objects:DIR, s3://BUCKET")


def without_options(url: str, options: Mapping[str, str]) -> None:
    """Raise `Invalid` if there are any: for stores whose disks have none."""
    if options:
        raise Invalid(f"disks of {url} have no option {next(iter(options))!r}; leave it out")


def default_among(names: Sequence[str]) -> str:
    """The name that the empty name stands for among `names`; empty where there is none."""
    if len(names) == 1:
        return names[0]
    return DEFAULT_DISK if DEFAULT_DISK in names else ""
