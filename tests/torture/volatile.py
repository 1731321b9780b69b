"""A target server with a volatile cache: when it is killed it really loses what was not flushed, and says so.

It runs in the test's own process, on a Unix socket, and is killed and started again in milliseconds.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from g2disk.disk import Buffer, Disk, DiskInfo
from g2disk.disk.identity import new_identity
from g2disk.remote.session_codec import SESSION_PATH
from g2disk.servers.exports import Exports
from g2disk.servers.grpc.server import GrpcServer
from g2disk.stores.store import DiskEntry, Store
from g2disk.testing import turns

SECTOR = 512
SIZE = 256 * 1024


@dataclass
class Medium:
    """What outlives the server."""

    random: Random
    block: int = SECTOR
    """The disk's minimum block."""
    data: bytearray = field(default_factory=lambda: bytearray(SIZE))
    identity: str = field(default_factory=new_identity)


class VolatileDisk(Disk):
    """A disk with a cache, all of which takes some turns of the event loop."""

    size = SIZE

    def __init__(self, medium: Medium) -> None:
        self.medium = medium
        self.identity = medium.identity
        self.sector = medium.block
        """Bytes that are lost or kept as a whole."""
        self.gate = asyncio.Event()
        """Closed while the server is paused."""
        self.gate.set()
        self._cache = bytearray(medium.data)
        self._dirty: set[int] = set()
        """Sectors."""

    def info(self) -> DiskInfo:
        return replace(super().info(), minimum_block=self.medium.block)

    def crash(self) -> None:
        """Lose what is not on the medium, but for some of it; nothing reaches the medium any more."""
        self.store(sector for sector in sorted(self._dirty) if self.medium.random.random() < 0.4)
        self.medium = replace(self.medium, data=bytearray(SIZE))

    async def read(self, offset: int, length: int) -> Buffer:
        await self.pause()
        return bytes(self._cache[offset : offset + length])

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        await self.pause()
        await self.put(offset, data, fua)

    async def flush(self) -> None:
        dirty = set(self._dirty)
        await self.pause()
        self.store(dirty)

    async def trim(self, offset: int, length: int, fua: bool = False) -> None:
        await self.zero(offset, length, fua)

    async def zero(
        self, offset: int, length: int, fua: bool = False, may_trim: bool = True, fast: bool = False
    ) -> None:
        await self.pause()
        await self.put(offset, bytes(length), fua)

    async def put(self, offset: int, data: Buffer, fua: bool) -> None:
        """Change the cache, and with `fua` the medium."""
        self._cache[offset : offset + len(data)] = data
        sectors = range(offset // self.sector, (offset + len(data)) // self.sector)
        self._dirty.update(sectors)
        if fua:
            await turns(1)
            self.store(sectors)

    def store(self, sectors: Iterable[int]) -> None:
        """Bring these sectors, as they are in the cache, to the medium."""
        for sector in sectors:
            self._dirty.discard(sector)
            where = slice(sector * self.sector, (sector + 1) * self.sector)
            self.medium.data[where] = self._cache[where]

    async def pause(self) -> None:
        """Some turns, and as long as the server is paused."""
        await turns(self.medium.random.randrange(6))
        await self.gate.wait()


class _OneDisk(Store):
    """A store of one disk."""

    url = "volatile:"

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    async def list(self) -> Sequence[DiskEntry]:
        return [DiskEntry("default", self._disk.info().size, self._disk.info().identity)]

    async def open(self, name: str) -> Disk:
        return self._disk


class VolatileServer:
    """See `g2disk.torture.servers.Server`."""

    can_kill = can_pause = True

    def __init__(self, directory: Path, medium: Medium, make: Callable[[Medium], VolatileDisk] = VolatileDisk) -> None:
        self.endpoint = f"unix:{directory / 'server.sock'}"
        self.medium = medium
        self.grpc: GrpcServer
        self.disk: VolatileDisk
        self._make = make

    async def start(self) -> None:
        self.disk = self._make(self.medium)
        self.grpc = GrpcServer(Exports(_OneDisk(self.disk)), [self.endpoint])
        await self.grpc.start()

    async def kill(self) -> None:
        self.disk.crash()
        await self.grpc.drain(0)

    def pause(self) -> None:
        self.disk.gate.clear()

    def resume(self) -> None:
        self.disk.gate.set()


class CallByCallServer(VolatileServer):
    """Has no sessions."""

    async def start(self) -> None:
        await super().start()
        del self.grpc._rows[SESSION_PATH]


class ReferenceServer(VolatileServer):
    """Speaks the reference protocol alone."""

    async def start(self) -> None:
        await super().start()
        for path in [path for path in self.grpc._rows if "g2disk.v1" in path]:
            del self.grpc._rows[path]


@contextlib.asynccontextmanager
async def started(server: VolatileServer) -> AsyncIterator[VolatileServer]:
    """The server, until the block ends."""
    await server.start()
    try:
        yield server
    finally:
        await server.kill()
