"""What an NBD server needs to know of disks: names to list, and a disk for a name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from g2disk.disk import Disk
from g2disk.servers.exports import Exports


class NbdExports(Protocol):
    """The disks that clients may ask for."""

    async def open(self, export: str) -> tuple[str, Disk]:
        """The disk that a client asks for by `export` (empty: the default), and the disk's name.

        Its requests are checked already.  It belongs to the exports: several connections share it, and none closes it.
        Raises a `DiskError`.
        """

    async def list(self) -> Sequence[tuple[str, str]]:
        """(name, description) of every disk that `open` would give.  Raises a `DiskError`."""


class StoreExports:
    """The exports of a target server."""

    def __init__(self, exports: Exports) -> None:
        self._exports = exports

    async def open(self, export: str) -> tuple[str, Disk]:
        """See `NbdExports.open`."""
        return await self._exports.look(export)

    async def list(self) -> Sequence[tuple[str, str]]:
        """See `NbdExports.list`."""
        entries, _ = await self._exports.list()
        return [(entry.name, entry.description) for entry in entries]
