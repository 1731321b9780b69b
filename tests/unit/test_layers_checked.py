"""`Checked`, the border: what it lets through in either direction, and what it says of the rest."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable
from typing import Any

import pytest

from g2disk.disk import MAXIMUM_RANGE, MAXIMUM_REQUEST, Buffer, Disk, DiskInfo, Done, Extent
from g2disk.disk.layers import Checked
from g2disk.errors import DiskError, Internal, Invalid, OutOfRange, OutOfSpace, ReadOnly, Unavailable
from g2disk.request import READ, Request
from g2disk.units import GIB, MAXIMUM_DISK_SIZE, MIB

HUGE = [1 << 63, (1 << 63) - 1, (1 << 64) - 1, 1 << 64, 1 << 100]


class Answers(Disk):
    """Answers every request with what it was given, or raises it."""

    size = 8 * GIB

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer
        self.asked = 0

    async def _reply(self) -> Any:
        self.asked += 1
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    async def read(self, offset: int, length: int) -> Any:
        return await self._reply()

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        await self._reply()

    async def flush(self) -> None:
        await self._reply()

    async def trim(self, offset: int, length: int, fua: bool = False) -> None:
        await self._reply()

    async def zero(
        self, offset: int, length: int, fua: bool = False, may_trim: bool = True, fast: bool = False
    ) -> None:
        await self._reply()

    async def extents(self, offset: int, length: int) -> Any:
        return await self._reply()

    async def cache(self, offset: int, length: int) -> None:
        await self._reply()

    async def close(self) -> None:
        await self._reply()


async def ask(disk: Disk, operation: str, offset: Any, length: Any) -> Any:
    if operation == "write":
        return await disk.write(offset, bytes(length))
    return await getattr(disk, operation)(offset, length)


RANGED = ["read", "write", "trim", "zero", "extents", "cache"]


async def refused(operation: str, offset: Any, length: Any, kind: type[DiskError], match: str = ".") -> None:
    inner = Answers()
    with pytest.raises(kind, match=match) as error:
        await ask(Checked(inner), operation, offset, length)
    assert type(error.value) is kind
    assert inner.asked == 0


@pytest.mark.parametrize("operation", RANGED)
async def test_ranges_beyond_the_end_are_refused(operation: str) -> None:
    """A range that ends behind the disk's end is `OutOfRange`, also where fixed-width numbers would overflow."""
    size = Answers.size
    for offset, length in [(size, 1), (size - 1, 2), (size + 1, 0), *((huge, 1) for huge in HUGE)]:
        await refused(operation, offset, length, OutOfRange, f"which has {size}")


@pytest.mark.parametrize("operation", ["read", "trim", "zero", "extents", "cache"])
async def test_lengths_beyond_the_end_are_refused(operation: str) -> None:
    """A huge length does not wrap around."""
    for huge in HUGE:
        await refused(operation, 1, huge, OutOfRange)
        await refused(operation, huge, huge, OutOfRange)


@pytest.mark.parametrize("operation", RANGED)
async def test_negative_numbers_and_other_types_are_refused(operation: str) -> None:
    """Offsets and lengths are whole numbers from 0 up."""
    for offset in (-1, -(1 << 64)):
        await refused(operation, offset, 512, Invalid, "must not be negative")
    for wrong in (1.0, "1", None, True):
        await refused(operation, wrong, 512, Invalid, "whole numbers of bytes")
    if operation != "write":
        await refused(operation, 512, -1, Invalid, "must not be negative")
        await refused(operation, 0, 1.5, Invalid, "whole numbers of bytes")


@pytest.mark.parametrize("operation", RANGED)
async def test_unaligned_ranges_are_refused(operation: str) -> None:
    """Where the disk has a block size, offsets and lengths are multiples of it."""

    class Sectors(Answers):
        minimum_block = 512

    inner = Sectors([Extent(512, 1024)] if operation == "extents" else bytes(1024))
    for offset, length in [(1, 512), (512, 511), (256, 256)]:
        with pytest.raises(Invalid, match="multiples of 512"):
            await ask(Checked(inner), operation, offset, length)
    assert inner.asked == 0

    await ask(Checked(inner), operation, 512, 1024)
    assert inner.asked == 1


@pytest.mark.parametrize("operation", RANGED)
async def test_no_bytes_are_no_request(operation: str) -> None:
    """Length 0 within the disk is answered at once, with nothing."""
    inner = Answers(ValueError())

    for offset in (0, 7, inner.size):
        assert not await ask(Checked(inner), operation, offset, 0)

    assert inner.asked == 0


async def test_long_requests_are_refused() -> None:
    """Data is limited by the disk's `maximum_request`, everything else by 2^32 bytes."""

    class Small(Answers):
        def info(self) -> DiskInfo:
            return DiskInfo(8 * GIB, maximum_request=MIB)

    for disk, limit in ((Checked(Small(bytes(MIB))), MIB), (Checked(Answers(bytes(MAXIMUM_REQUEST))), MAXIMUM_REQUEST)):
        await disk.read(0, limit)
        await disk.write(0, bytes(limit))
        with pytest.raises(Invalid, match=f"pieces of at most {limit}"):
            await disk.read(0, limit + 1)
        with pytest.raises(Invalid, match=f"pieces of at most {limit}"):
            await disk.write(0, bytes(limit + 1))

    class Writing(Answers):
        def info(self) -> DiskInfo:
            return DiskInfo(8 * GIB, zero=False)

    disk = Checked(Writing())
    await ask(disk, "zero", 0, MAXIMUM_RANGE)
    with pytest.raises(Invalid, match=f"pieces of at most {MAXIMUM_RANGE}"):
        await ask(disk, "zero", 0, MAXIMUM_RANGE + 1)


async def test_what_costs_no_writes_may_be_as_long_as_the_disk() -> None:
    """Trims, extents, hints, and zeroes where the disk has a way of its own."""

    class Sparse(Answers):
        def info(self) -> DiskInfo:
            return DiskInfo(MAXIMUM_DISK_SIZE, zero=True)

    disk = Checked(Sparse([Extent(0, MAXIMUM_DISK_SIZE)]))
    for operation in ("trim", "zero", "extents", "cache"):
        await ask(disk, operation, 0, MAXIMUM_DISK_SIZE)


async def test_a_read_only_disk_is_not_asked_to_change() -> None:
    """Changes of a read-only disk are `ReadOnly`, whatever the disk itself would do."""

    class Protected(Answers):
        def info(self) -> DiskInfo:
            return DiskInfo(MIB, read_only=True)

    inner = Protected()
    disk = Checked(inner)

    for operation in ("write", "trim", "zero"):
        with pytest.raises(ReadOnly, match=f"takes no {operation}"):
            await ask(disk, operation, 0, 512)
    await disk.flush()

    assert inner.asked == 1


async def test_only_plain_buffers_are_written() -> None:
    """Bytes, bytearrays and memoryviews of bytes in one piece pass; anything else is `Invalid`."""
    inner = Answers()
    disk = Checked(inner)
    for good in (b"ab", bytearray(b"ab"), memoryview(b"ab")):
        await disk.write(0, good)
    assert inner.asked == 3

    wrong: list[Any] = ["ab", None, [1, 2], 7, memoryview(b"abcd")[::2], memoryview(b"abcdefgh").cast("Q")]
    wrong.append(memoryview(b"abcd").cast("B", (2, 2)))
    for data in wrong:
        with pytest.raises(Invalid, match="contiguous memoryview of bytes"):
            await disk.write(0, data)
    assert inner.asked == 3


@pytest.mark.parametrize("answer", [b"", b"12", b"1234", bytearray(5), memoryview(b"12345678").cast("Q")])
async def test_a_read_of_another_length_is_a_bug(answer: Buffer) -> None:
    """A short or a long read never passes; the error says what the disk returned."""
    count = memoryview(answer).nbytes

    with pytest.raises(Internal, match=f"read of Answers returned {count} bytes for 3 at 100"):
        await Checked(Answers(answer)).read(100, 3)


@pytest.mark.parametrize("answer", [None, "abc", 3, [1, 2, 3]])
async def test_a_read_of_another_type_is_a_bug(answer: Any) -> None:
    """A read that is not bytes never passes."""
    with pytest.raises(Internal, match=f"returned {type(answer).__name__}, not bytes"):
        await Checked(Answers(answer)).read(0, 3)


class Submits(Answers):
    """Reports the first requests of a batch, keeps the next ones, and raises; later it reports all."""

    def __init__(self, problem: Exception | None, data: Any = b"abc") -> None:
        super().__init__()
        self.problem, self.data = problem, data
        self.late: Callable[[], None]

    def submit(self, requests: list[Request], done: Done) -> list[Request]:
        for request in requests:
            request.data = self.data
        done(requests[:2])
        self.late = lambda: done(requests[2:])
        if self.problem is not None:
            raise self.problem
        return None  # type: ignore[return-value]


@pytest.mark.parametrize("problem", [MemoryError(), OutOfSpace("full"), KeyError("x"), None])
async def test_a_submit_that_raises_reports_each_request_once(problem: Exception | None) -> None:
    """What was reported stays, the rest fails with what went wrong, and nothing is reported twice."""
    inner, finished = Submits(problem), list[Request]()
    requests = [Request(READ, 0, offset, 3) for offset in range(5)]

    assert Checked(inner).submit(requests, finished.extend) == []
    inner.late()

    assert finished == requests
    kind = OutOfSpace if isinstance(problem, OutOfSpace) else Internal
    assert [type(request.error) for request in requests] == [type(None)] * 2 + [kind] * 3
    assert [request.data for request in requests] == [b"abc"] * 2 + [None] * 3


@pytest.mark.parametrize(
    "data", [None, "abc", 3, b"12", memoryview(b"12345678").cast("Q"), memoryview(bytes(24)).cast("Q")]
)
async def test_a_wrong_answer_to_a_submitted_read_is_a_bug(data: Any) -> None:
    """What is not the bytes that were asked for never passes, and never raises where it is reported."""
    inner, finished = Submits(None, data), list[Request]()

    Checked(inner).submit([Request(READ, 0, 0, 3)], finished.extend)

    assert [type(request.error) for request in finished] == [Internal]


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (None, "returned NoneType, not a list"),
        ([], "returned none"),
        ([(0, 10)], "returned tuple, not an Extent"),
        ([Extent(0, 10)], "an extent at 0 where the next begins at 100"),
        ([Extent(101, 10)], "an extent at 101 where the next begins at 100"),
        ([Extent(100, 0)], "an extent of 0 bytes at 100, which must have 1 to 50"),
        ([Extent(100, -1)], "an extent of -1 bytes at 100"),
        ([Extent(100, 51)], "an extent of 51 bytes at 100, which must have 1 to 50"),
        ([Extent(100, 10), Extent(111, 10)], "an extent at 111 where the next begins at 110"),
        ([Extent(100, 10), Extent(105, 10)], "an extent at 105 where the next begins at 110"),
        ([Extent(100, 50), Extent(150, 1)], "an extent of 1 bytes at 150, which must have 1 to 0"),
    ],
)
async def test_wrong_extents_are_a_bug(answer: Any, match: str) -> None:
    """Extents that do not cover the beginning of the range without gaps and overlaps never pass."""
    with pytest.raises(Internal, match=match):
        await Checked(Answers(answer)).extents(100, 50)


async def test_right_extents_pass() -> None:
    """Extents may stop early."""
    answer = [Extent(100, 10), Extent(110, 20, hole=True)]

    assert await Checked(Answers(answer)).extents(100, 50) == answer


@pytest.mark.parametrize("operation", [*RANGED, "flush", "close"])
async def test_foreign_exceptions_become_ours(operation: str, caplog: pytest.LogCaptureFixture) -> None:
    """What the operating system says becomes its kind; anything else is a bug, named, with its traceback in the log."""

    async def failure(error: BaseException) -> DiskError:
        disk = Checked(Answers(error))
        with pytest.raises(DiskError) as caught:
            await (ask(disk, operation, 0, 3) if operation in RANGED else getattr(disk, operation)())
        return caught.value

    full = await failure(OSError(errno.ENOSPC, "No space left on device"))
    assert type(full) is OutOfSpace
    assert str(full) == f"{operation} of Answers: No space left on device"
    assert type(await failure(TimeoutError("slow"))) is Unavailable
    assert not caplog.records

    bug = await failure(KeyError("nope"))
    assert type(bug) is Internal
    assert str(bug).startswith(f"{operation} of Answers raised KeyError: 'nope'")
    assert [(record.levelno, bool(record.exc_info)) for record in caplog.records] == [(logging.ERROR, True)]

    ours = Unavailable("away")
    assert await failure(ours) is ours


async def test_a_cancellation_passes() -> None:
    """A cancelled request is cancelled, not an error."""
    with pytest.raises(asyncio.CancelledError):
        await Checked(Answers(asyncio.CancelledError())).read(0, 3)


def test_a_disk_without_a_size_is_a_bug(caplog: pytest.LogCaptureFixture) -> None:
    """Facts that a disk cannot give are its bug as well."""

    class Sizeless(Disk):
        pass

    with pytest.raises(Internal, match="info of Sizeless raised AttributeError"):
        Checked(Sizeless()).info()
    assert len(caplog.records) == 1
