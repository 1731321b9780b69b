"""Copying one disk to another: sparse, several requests at once, and verified."""

from __future__ import annotations

import asyncio
import zlib
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial

from g2disk.disk import MAXIMUM_RANGE, Disk, Extent
from g2disk.errors import Corrupt, Invalid
from g2disk.remote.pieces import cut
from g2disk.units import KIB, MIB

PIECE = MIB
"""Bytes that are read, checked and written at a time."""
PIECES_AT_ONCE = 8
"""Together with `PIECE`, what bounds the memory."""
ZERO_BLOCK = 32 * KIB
"""Bytes; aligned blocks of this size that are all zeroes are not written.  Smaller ones would cost more in requests
than they give back in space."""

Advance = Callable[[int], None]
"""Told of bytes that are done."""

Job = Callable[[], Awaitable[None]]

_ZEROES = bytes(PIECE)


class Copy:
    """Copies `source` to `destination`, from the start to `size`.

    `clean` says that the destination is all zeroes; else what must read as zeroes is zeroed there.  Holes and blocks of
    zeroes are never written.  Of what is written a checksum is kept in mind, 24 bytes a piece.
    """

    def __init__(self, source: Disk, destination: Disk, size: int, clean: bool) -> None:
        self._source, self._destination = source, destination
        self._size, self._clean = size, clean
        self._block = max(ZERO_BLOCK, source.info().minimum_block, destination.info().minimum_block)
        # The pieces that were copied, in order.  Those that turned out to be all zeroes have length 0.
        self._offsets, self._lengths, self._sums = array("Q"), array("L"), array("L")

    @property
    def copied(self) -> int:
        """Bytes of the pieces that held data."""
        return sum(self._lengths)

    async def measure(self) -> int:
        """Bytes that `copy` will read, as things are."""
        return sum([length async for _, length, hole in self._ranges() if not hole])

    async def copy(self, advance: Advance) -> None:
        """Copy, and make the copy durable."""
        await _at_once(self._jobs(advance))
        await self._destination.flush()

    async def verify(self, advance: Advance) -> None:
        """Read the destination back: what was written by its checksums, and all else must be zeroes, of which what the
        destination itself reports as zeroes is not read.  Raises `Corrupt`.
        """

        async def check(offset: int, length: int, wanted: int) -> None:
            if zlib.crc32(await self._destination.read(offset, length)) != wanted:
                raise Corrupt(
                    f"the copy differs from the original in the {length} bytes at {offset}; do not use it, and test "
                    "the storage and the memory of both machines"
                )
            advance(length)

        async def jobs() -> AsyncIterator[Job]:
            for offset, length, wanted in zip(self._offsets, self._lengths, self._sums, strict=True):
                if length:
                    yield partial(check, offset, length, wanted)
            async for offset, length in self._unexpected():
                yield partial(check, offset, length, zlib.crc32(_ZEROES[:length]))

        await _at_once(jobs())

    async def _jobs(self, advance: Advance) -> AsyncIterator[Job]:
        async for offset, length, hole in self._ranges():
            if hole and not self._clean:
                yield partial(self._wipe, offset, length)
            if hole:
                continue
            for start, step in cut(offset, length, PIECE):
                self._offsets.append(start)
                self._lengths.append(step)
                self._sums.append(0)
                yield partial(self._copy, len(self._offsets) - 1, advance)

    async def _copy(self, index: int, advance: Advance) -> None:
        """Copy the piece of that index."""
        offset, length = self._offsets[index], self._lengths[index]
        data = bytes(await self._source.read(offset, length))
        self._sums[index] = zlib.crc32(data)
        runs = list(_runs(data, self._block))
        for start, end, zero in runs:
            if not zero:
                await self._destination.write(offset + start, memoryview(data)[start:end])
            elif not self._clean:
                await self._destination.zero(offset + start, end - start)
        if all(zero for *_, zero in runs):
            self._lengths[index] = 0
        advance(length)

    async def _wipe(self, offset: int, length: int) -> None:
        """Make a range of the destination zeroes where it is not."""
        async for extent in extents_of(self._destination, offset, offset + length):
            if not extent.zero:
                for start, step in cut(extent.offset, extent.length, MAXIMUM_RANGE):
                    await self._destination.zero(start, step)

    async def _ranges(self) -> AsyncIterator[tuple[int, int, bool]]:
        """(offset, length, whether it is a hole) of the source, without gaps; aligned to the block, data outwards."""
        at = 0
        async for extent in extents_of(self._source, 0, self._size):
            end = extent.end if extent.zero else extent.end + self._block - 1
            end = self._size if extent.end == self._size else end - end % self._block
            end = min(end, self._size)
            if end > at:
                yield at, end - at, extent.zero
                at = end

    async def _unexpected(self) -> AsyncIterator[tuple[int, int]]:
        """Pieces of the destination that hold data though none was copied there."""
        index, count = 0, len(self._offsets)
        async for extent in extents_of(self._destination, 0, self._size):
            at = extent.end if extent.zero else extent.offset
            while at < extent.end:
                while index < count and self._offsets[index] + self._lengths[index] <= at:
                    index += 1
                end = min(extent.end, self._offsets[index]) if index < count else extent.end
                for piece in cut(at, end - at, PIECE):
                    yield piece
                at = min(extent.end, self._offsets[index] + self._lengths[index]) if index < count else end


async def extents_of(disk: Disk, offset: int, end: int) -> AsyncIterator[Extent]:
    """The extents of a range of any length."""
    longest = end - offset
    while offset < end:
        try:
            found = await disk.extents(offset, min(longest, end - offset))
        except Invalid:
            if longest <= MAXIMUM_RANGE:
                raise
            longest = MAXIMUM_RANGE
            continue
        for extent in found:
            yield extent
            offset = extent.end


def _runs(data: bytes, block: int) -> Iterator[tuple[int, int, bool]]:
    """(start, end, whether it is all zeroes) of the runs of whole blocks."""
    start, was_zero = 0, False
    for at in range(0, len(data), block):
        piece = data[at : at + block]
        zero = piece == _ZEROES[: len(piece)]
        if at and zero != was_zero:
            yield start, at, was_zero
            start = at
        was_zero = zero
    yield start, len(data), was_zero


async def _at_once(jobs: AsyncIterator[Job]) -> None:
    """Do every job, `PIECES_AT_ONCE` at a time.  The first that fails cancels the others, and its error is raised."""
    slots = asyncio.Semaphore(PIECES_AT_ONCE)

    async def work(job: Job) -> None:
        try:
            await job()
        finally:
            slots.release()

    try:
        async with asyncio.TaskGroup() as group:
            async for job in jobs:
                await slots.acquire()
                group.create_task(work(job))
    except ExceptionGroup as errors:
        raise _first(errors) from None


def _first(error: Exception) -> Exception:
    """The first of the errors in a group, in groups of groups too."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
