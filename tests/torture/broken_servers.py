"""Servers that break one promise each: what the judge is held against."""

from __future__ import annotations

from dataclasses import replace

from g2disk.disk import Buffer, DiskInfo
from g2disk.remote.session_codec import SESSION_PATH
from g2disk.servers.grpc.session_shared import Attempt, Attempts
from tests.torture.volatile import SECTOR, SIZE, Medium, VolatileDisk, VolatileServer


class SaysTheSameInstance(VolatileDisk):
    """Loses unflushed writes in a restart, and goes on under the same instance."""

    def info(self) -> DiskInfo:
        return replace(super().info(), instance="always the same")


class FlushesLater(VolatileDisk):
    """A flush stores what the one before it should have stored."""

    def __init__(self, medium: Medium) -> None:
        super().__init__(medium)
        self._late: set[int] = set()

    async def flush(self) -> None:
        dirty, self._late = self._late, set(self._dirty)
        await self.pause()
        self.store(dirty)


class ReturnsZeroes(VolatileDisk):
    """After a restart it is empty, and says that it is the same disk."""

    def crash(self) -> None:
        self.medium.data[:] = bytes(SIZE)
        super().crash()


class ForgetsForceUnitAccess(VolatileDisk):
    """Answers a request with FUA when it is in the cache."""

    async def put(self, offset: int, data: Buffer, fua: bool) -> None:
        await super().put(offset, data, False)


class StoresZeroesLast(VolatileDisk):
    """A flush stores zeroes and trims behind all writes, so that they come up on newer ones after a restart."""

    def __init__(self, medium: Medium) -> None:
        super().__init__(medium)
        self._zeroed: list[tuple[int, int]] = []

    async def zero(
        self, offset: int, length: int, fua: bool = False, may_trim: bool = True, fast: bool = False
    ) -> None:
        await super().zero(offset, length, fua, may_trim, fast)
        self._zeroed.append((offset, length))

    async def flush(self) -> None:
        await super().flush()
        zeroed, self._zeroed = self._zeroed, []
        for offset, length in zeroed:
            self.medium.data[offset : offset + length] = bytes(length)


class TearsBlocks(VolatileDisk):
    """A crash stores some sectors of a block, and others not; its minimum block is to be larger."""

    def __init__(self, medium: Medium) -> None:
        super().__init__(medium)
        self.sector = SECTOR


class _NoFence(Attempts):
    """Lets every session go on, however old."""

    async def enter(self, client: bytes, disk: str, session: Attempt) -> None:
        pass

    def leave(self, client: bytes, disk: str, session: Attempt) -> None:
        pass


class IgnoresAttempts(VolatileServer):
    """Does what an older session of the same client asks for, after a newer one has opened."""

    async def start(self) -> None:
        await super().start()
        sessions = self.grpc._rows[SESSION_PATH].open.__self__  # type: ignore[union-attr]
        sessions._shared = replace(sessions._shared, attempts=_NoFence())


BROKEN_DISKS = (SaysTheSameInstance, FlushesLater, ReturnsZeroes, ForgetsForceUnitAccess, StoresZeroesLast)
"""Disks that a `VolatileServer` serves; `IgnoresAttempts` is a server."""
