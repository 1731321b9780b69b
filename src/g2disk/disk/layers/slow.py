"""`Slow`, a disk that takes its time."""

from __future__ import annotations

from g2disk.clock import Clock
from g2disk.disk.disk import Buffer, Disk
from g2disk.disk.info import Extent
from g2disk.disk.layers.wrapper import Wrapper


class Slow(Wrapper):
    """Delays every request by `latency` seconds, and lets at most `bandwidth` bytes of data a second pass.

    The latencies of requests in flight together run together, as those of a network do.  The bandwidth is shared: data
    stands in line behind all data that was asked for before.  A cancelled request leaves its place in the line empty.
    """

    def __init__(self, inner: Disk, clock: Clock, latency: float = 0.0, bandwidth: float | None = None) -> None:
        super().__init__(inner)
        self._clock = clock
        self._latency = latency
        self._bandwidth = bandwidth
        self._line_ends = clock.now()

    async def read(self, offset: int, length: int) -> Buffer:
        """See `Disk.read`."""
        await self._delay(length)
        return await self.inner.read(offset, length)

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        """See `Disk.write`."""
        await self._delay(len(data))
        await self.inner.write(offset, data, fua)

    async def flush(self) -> None:
        """See `Disk.flush`."""
        await self._delay()
        await self.inner.flush()

    async def trim(self, offset: int, length: int, fua: bool = False) -> None:
        """See `Disk.trim`."""
        await self._delay()
        await self.inner.trim(offset, length, fua)

    async def zero(
        self, offset: int, length: int, fua: bool = False, may_trim: bool = True, fast: bool = False
    ) -> None:
        """See `Disk.zero`."""
        await self._delay()
        await self.inner.zero(offset, length, fua, may_trim, fast)

    async def extents(self, offset: int, length: int) -> list[Extent]:
        """See `Disk.extents`."""
        await self._delay()
        return await self.inner.extents(offset, length)

    async def cache(self, offset: int, length: int) -> None:
        """See `Disk.cache`."""
        await self._delay()
        await self.inner.cache(offset, length)

    async def _delay(self, data: int = 0) -> None:
        now = self._clock.now()
        until = now + self._latency
        if self._bandwidth and data:
            self._line_ends = max(self._line_ends, now) + data / self._bandwidth
            until += self._line_ends - now
        if until > now:
            await self._clock.sleep(until - now)
