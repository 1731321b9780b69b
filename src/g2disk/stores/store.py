"""`Store`, a catalogue of named disks behind one URL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from g2disk.disk import Disk
from g2disk.errors import NotFound, Unsupported
from g2disk.units import DEFAULT_DISK


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


class Store:
    """A set of disks with names; all methods may run concurrently, on one event loop.

    `create`, `resize` and `delete` are atomic and, where the disks are, durable: once returned they survive a crash,
    and otherwise they happened as a whole or not at all.  Names and sizes obey `g2disk.units`; a store checks them
    itself.  A store whose disks are fixed leaves these three out, and they raise `Unsupported`.
    """

    url: str
    """What a person would type to name this store."""

    async def list(self) -> Sequence[DiskEntry]:
        """All disks, ordered by name."""
        raise NotImplementedError

    async def open(self, name: str) -> Disk:
        """The disk of that name.  Every call gives the same object, which belongs to the store: callers never close it.

        Raises `NotFound`.
        """
        raise NotImplementedError

    async def create(self, name: str, size: int, description: str = "") -> DiskEntry:
        """Make a disk of `size` bytes of zeroes.  Raises `Invalid`, `Exists`, `OutOfSpace`, `ReadOnly`."""
        raise Unsupported(f"{self.url} has a fixed set of disks; none can be created")

    async def resize(self, name: str, size: int) -> DiskEntry:
        """Grow or shrink a disk, open or not; new bytes are zeroes.  Raises `NotFound`, `Invalid`, `OutOfSpace`."""
        raise Unsupported(f"{self.url} has a fixed set of disks; none can be resized")

    async def delete(self, name: str) -> None:
        """Remove a disk and its data.  Objects that `open` gave raise `NotFound` from then on.  Raises `NotFound`."""
        raise Unsupported(f"{self.url} has a fixed set of disks; none can be deleted")

    async def close(self) -> None:
        """Flush and close every open disk and give back locks.  No call is in flight, and none follows."""

    async def get(self, name: str) -> DiskEntry:
        """One disk of `list`.  Raises `NotFound`."""
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


def default_among(names: Sequence[str]) -> str:
    """The name that the empty name stands for among `names`; empty where there is none."""
    if len(names) == 1:
        return names[0]
    return DEFAULT_DISK if DEFAULT_DISK in names else ""
