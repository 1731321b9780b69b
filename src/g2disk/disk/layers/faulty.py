"""`Faulty`, a disk that fails when told to, for tests of what stands around it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from g2disk.clock import Clock
from g2disk.disk.disk import Buffer, Disk
from g2disk.disk.info import Extent
from g2disk.disk.layers.wrapper import Wrapper
from g2disk.errors import DiskError, Unavailable


@dataclass(frozen=True, slots=True)
class Fault:
    """How one request goes wrong."""

    error: type[DiskError] | None = Unavailable
    """What is raised; None: nothing, the request is only late, or short."""
    applied: float = 0.0
    """The part of a change that is done before the error: 0 nothing, 1 all of it (the answer is lost), between them a
    torn one, up to a whole number of blocks.  A flush is done from 1 on."""
    delay: float = 0.0
    """Seconds before anything happens."""
    missing: int = 0
    """Bytes that a read leaves out at its end.  No correct disk does that."""


Plan: TypeAlias = Callable[[str, int, int], Fault | None]
"""The fault, or None, for a request with this operation (the name of a method of `Disk`), offset and length."""


def script(faults: Mapping[str, Iterable[Fault | None]]) -> Plan:
    """The faults of each operation, one a request, in order; afterwards all goes well."""
    waiting = {operation: iter(row) for operation, row in faults.items()}

    def plan(operation: str, offset: int, length: int) -> Fault | None:
        return next(waiting.get(operation, iter(())), None)

    return plan


def dice(random: Random, rate: float, faults: Sequence[Fault], operations: Sequence[str] = ()) -> Plan:
    """One of `faults` for a part `rate` (0 to 1) of the requests, of all operations or of those named."""

    def plan(operation: str, offset: int, length: int) -> Fault | None:
        if operations and operation not in operations:
            return None
        return random.choice(faults) if random.random() < rate else None

    return plan


class Faulty(Wrapper):
    """Does what `plan` says; `clock` is for faults with a delay.

    But for `Fault.missing` all faults are such as a correct disk may have: a failed change leaves each of its bytes old
    or new, and touches no other.
    """

    def __init__(self, inner: Disk, plan: Plan, clock: Clock) -> None:
        super().__init__(inner)
        self._plan = plan
        self._clock = clock

    async def read(self, offset: int, length: int) -> Buffer:
        """See `Disk.read`."""
        fault = await self._fault("read", offset, length)
        _fail(fault, "read", 0)
        data = await self.inner.read(offset, length)
        return data[: length - fault.missing] if fault and fault.missing else data

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        """See `Disk.write`."""
        fault = await self._fault("write", offset, len(data))
        done = self._done(fault, len(data))
        if done:
            await self.inner.write(offset, memoryview(data)[:done], fua)
        _fail(fault, "write", done)

    async def flush(self) -> None:
        """See `Disk.flush`."""
        fault = await self._fault("flush", 0, 0)
        if fault is None or fault.error is None or fault.applied >= 1:
            await self.inner.flush()
        _fail(fault, "flush", 0)

    async def trim(self, offset: int, length: int, fua: bool = False) -> None:
        """See `Disk.trim`."""
        fault = await self._fault("trim", offset, length)
        done = self._done(fault, length)
        if done:
            await self.inner.trim(offset, done, fua)
        _fail(fault, "trim", done)

    async def zero(
        self, offset: int, length: int, fua: bool = False, may_trim: bool = True, fast: bool = False
    ) -> None:
        """See `Disk.zero`."""
        fault = await self._fault("zero", offset, length)
        done = self._done(fault, length)
        if done:
            await self.inner.zero(offset, done, fua, may_trim, fast)
        _fail(fault, "zero", done)

    async def extents(self, offset: int, length: int) -> list[Extent]:
        """See `Disk.extents`."""
        _fail(await self._fault("extents", offset, length), "extents", 0)
        return await self.inner.extents(offset, length)

    async def cache(self, offset: int, length: int) -> None:
        """See `Disk.cache`."""
        _fail(await self._fault("cache", offset, length), "cache", 0)
        await self.inner.cache(offset, length)

    async def _fault(self, operation: str, offset: int, length: int) -> Fault | None:
        fault = self._plan(operation, offset, length)
        if fault and fault.delay > 0:
            await self._clock.sleep(fault.delay)
        return fault

    def _done(self, fault: Fault | None, length: int) -> int:
        """How many of the first bytes of a change are done."""
        if fault is None or fault.error is None or fault.applied >= 1:
            return length
        done = int(length * fault.applied)
        return done - done % self.minimum_block


def _fail(fault: Fault | None, operation: str, done: int) -> None:
    if fault and fault.error:
        raise fault.error(f"a fault was planned for this {operation}; {done} bytes of it were done")
