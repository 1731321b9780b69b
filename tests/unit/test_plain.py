"""`adapt`: any object with a `size` and a `read` is a disk."""

from __future__ import annotations

import asyncio
import errno
import threading
from array import array
from collections.abc import Callable
from typing import Any

import pytest
from tests.contract.test_check_disk import opening

from g2disk.disk import Disk, Extent
from g2disk.disk.layers import Checked
from g2disk.disk.plain import adapt
from g2disk.errors import Internal, Invalid, OutOfSpace, ReadOnly, Unsupported
from g2disk.stores.memory import MemoryDisk
from g2disk.testing import check_disk, turns
from g2disk.units import MIB


class Ramdisk:
    """A ramdisk.

    The smallest that can be written.
    """

    size = MIB

    def __init__(self) -> None:
        self.bytes = bytearray(MIB)

    def read(self, offset: int, length: int) -> Any:
        return self.bytes[offset : offset + length]

    def write(self, offset: int, data: bytes) -> Any:
        self.bytes[offset : offset + len(data)] = data


class AsyncRamdisk(Ramdisk):
    async def read(self, offset: int, length: int) -> Any:
        await turns(2)
        return super().read(offset, length)

    async def write(self, offset: int, data: bytes) -> Any:
        await turns(2)
        return super().write(offset, data)


class ParallelRamdisk(Ramdisk):
    parallel = True


class Recorder(Ramdisk):
    """Has everything, and takes no flags."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Any] = []

    def write(self, offset: int, data: bytes) -> Any:
        self.calls.append("write")
        super().write(offset, data)

    def flush(self) -> None:
        self.calls.append("flush")

    def trim(self, offset: int, length: int) -> None:
        self.calls.append("trim")

    def zero(self, offset: int, length: int) -> None:
        self.calls.append("zero")
        self.bytes[offset : offset + length] = bytes(length)

    def extents(self, offset: int, length: int) -> list[Any]:
        last = Extent(offset + length - 1, 1)
        return [(offset, length - 1, False, False), last] if length > 1 else [last]

    def cache(self, offset: int, length: int) -> None:
        self.calls.append("cache")

    def close(self) -> None:
        self.calls.append("close")


class Flagged(Recorder):
    """Has everything, and takes every flag."""

    def write(self, offset: int, data: bytes, fua: bool = False) -> Any:
        self.calls.append(("write", fua))
        Ramdisk.write(self, offset, data)

    def trim(self, offset: int, length: int, *, fua: bool) -> None:  # type: ignore[override]
        self.calls.append(("trim", fua))

    def zero(self, offset: int, length: int, **flags: bool) -> None:
        self.calls.append(("zero", flags))
        self.bytes[offset : offset + length] = bytes(length)


@pytest.mark.parametrize("kind", [Ramdisk, AsyncRamdisk, ParallelRamdisk, Recorder, Flagged])
async def test_plain_objects_keep_the_promises(kind: Callable[[], object]) -> None:
    """Sync, async, in many threads, with and without flags: what was adapted passes the contract of disks."""
    await check_disk(opening(lambda: adapt(kind())), seed=7)


def test_a_disk_is_returned_as_it_is() -> None:
    """There is nothing to adapt in a Disk."""
    disk = MemoryDisk(MIB)

    assert adapt(disk) is disk


async def test_capabilities_follow_from_the_methods() -> None:
    """Info advertises what the object has, and describes it by the first line of its docstring."""
    least, most, plain = adapt(Ramdisk()).info(), adapt(Flagged()).info(), adapt(Recorder()).info()

    assert (least.size, least.description, least.read_only) == (MIB, "A ramdisk.", False)
    assert least.flush
    assert not any([least.trim, least.zero, least.fast_zero, least.extents, least.cache])
    assert all([most.flush, most.trim, most.zero, most.fast_zero, most.extents, most.cache])
    assert (plain.zero, plain.fast_zero) == (True, False)


async def test_without_write_it_is_read_only() -> None:
    """An object that only reads is a read-only disk, whatever else it has."""

    class Rom:
        size = MIB

        def read(self, offset: int, length: int) -> bytes:
            return bytes(length)

        def trim(self, offset: int, length: int) -> None:
            raise AssertionError

        zero = trim

    disk = adapt(Rom())
    info = disk.info()
    assert info.read_only
    assert (info.trim, info.zero) == (False, False)
    for change in (disk.write(0, b"x"), disk.trim(0, 1), disk.zero(0, 1)):
        with pytest.raises(ReadOnly, match=r"it has no write\(offset, data\)"):
            await change
    await check_disk(opening(lambda: adapt(Rom())), seed=8)


async def test_fua_without_the_flag_is_a_flush_behind() -> None:
    """A durable request of an object that knows no `fua` is followed by a flush; others are not."""
    thing = Recorder()
    disk = adapt(thing)
    await disk.write(0, b"x", fua=True)
    await disk.trim(0, 1, fua=True)
    await disk.zero(0, 1, fua=True)
    await disk.write(0, b"x")

    assert thing.calls == ["write", "flush", "trim", "flush", "zero", "flush", "write"]


async def test_flags_are_handed_on_to_those_that_take_them() -> None:
    """Each flag that a method takes arrives, and no flush is added."""
    thing = Flagged()
    disk = adapt(thing)
    await disk.write(0, b"x", fua=True)
    await disk.write(0, b"x")
    await disk.trim(0, 1, fua=True)
    await disk.zero(0, 1, fua=True, may_trim=False, fast=True)

    assert thing.calls == [
        ("write", True),
        ("write", False),
        ("trim", True),
        ("zero", {"fua": True, "may_trim": False, "fast": True}),
    ]


async def test_zero_of_any_kind_works() -> None:
    """Without `fast` nothing is called fast; without `zero` zeroes are written, and flushed once if it must be."""
    thing = Recorder()
    with pytest.raises(Unsupported, match="takes no `fast`"):
        await adapt(thing).zero(0, 10, fast=True)
    assert thing.calls == []
    await adapt(thing).zero(0, 10, may_trim=False)
    assert thing.calls == ["zero"]

    class Writer(Ramdisk):
        size = 4 * MIB
        flushes = 0

        def __init__(self) -> None:
            self.bytes = bytearray(self.size)

        def flush(self) -> None:
            self.flushes += 1

    writer = Writer()
    await adapt(writer).write(0, b"x" * 3 * MIB)
    await adapt(writer).zero(1, 3 * MIB - 2, fua=True)
    assert bytes(writer.bytes[: 3 * MIB]) == b"x" + bytes(3 * MIB - 2) + b"x"
    assert writer.flushes == 1
    with pytest.raises(Unsupported):
        await adapt(writer).zero(0, 10, fast=True)


async def test_the_rest_is_handed_on() -> None:
    """Extents may be tuples; cache and close arrive."""
    thing = Recorder()
    disk = adapt(thing)

    assert await disk.extents(10, 5) == [Extent(10, 4), Extent(14, 1)]
    await disk.cache(0, 1)
    await disk.close()
    assert thing.calls == ["cache", "close"]


async def test_what_is_written_may_be_kept() -> None:
    """The object gets bytes, which nobody changes later."""

    class Keeper(Ramdisk):
        kept: Any = None

        def write(self, offset: int, data: bytes) -> None:
            self.kept = data

    thing = Keeper()
    buffer = bytearray(b"old")
    await adapt(thing).write(0, memoryview(buffer))
    buffer[:] = b"new"
    assert thing.kept == b"old"

    data = b"passes without a copy"
    await adapt(thing).write(0, data)
    assert thing.kept is data


async def test_any_bytes_may_be_returned() -> None:
    """What has the buffer interface is read as its bytes; anything else is a bug of the object, and named."""

    class Reader(Ramdisk):
        answer: Any = None

        def read(self, offset: int, length: int) -> Any:
            return self.answer

    thing = Reader()
    disk = Checked(adapt(thing))
    for answer in (b"12345678", bytearray(b"12345678"), memoryview(b"12345678"), array("B", b"12345678")):
        thing.answer = answer
        assert bytes(await disk.read(0, 8)) == b"12345678"
    thing.answer = array("Q", [0])
    assert bytes(await disk.read(0, 8)) == bytes(8)
    for wrong in ("12345678", None, 8):
        thing.answer = wrong
        with pytest.raises(Internal, match=f"read of Reader returned {type(wrong).__name__}, not bytes"):
            await disk.read(0, 8)
    thing.answer = b"1234567"
    with pytest.raises(Internal, match="read of PlainDisk returned 7 bytes for 8"):
        await disk.read(0, 8)


async def test_a_short_write_is_not_taken_for_a_whole_one() -> None:
    """A number that `write` returns, as os.pwrite does, is how much was stored."""

    class Writer(Ramdisk):
        def write(self, offset: int, data: bytes) -> Any:
            return min(len(data), 5)

    await adapt(Writer()).write(0, b"12345")
    with pytest.raises(Internal, match="stored 5 of 6 bytes"):
        await adapt(Writer()).write(0, b"123456")


async def test_the_size_can_be_a_property_or_a_method() -> None:
    """An attribute or a property is asked each time, a method once."""

    class Growing(Ramdisk):
        current = MIB

        @property
        def size(self) -> int:  # type: ignore[override]
            return self.current

    class Method(Ramdisk):
        asked = 0

        def __init__(self) -> None:
            self.bytes = bytearray(512)

        def size(self) -> int:  # type: ignore[override]
            self.asked += 1
            return 512

    growing, method = Growing(), Method()
    disk = adapt(growing)
    growing.current = 2 * MIB
    assert disk.info().size == 2 * MIB
    disk = adapt(method)
    assert (disk.info().size, disk.info().size, method.asked) == (512, 512, 1)


def test_identity_and_block_are_the_objects() -> None:
    """An object that outlives the process says so by its identity; others are new disks each time."""

    class Named(Ramdisk):
        identity = "serial 7"
        minimum_block = 4096

    info = adapt(Named()).info()
    assert (info.identity, info.minimum_block, info.preferred_block) == ("serial 7", 4096, 4096)
    assert adapt(Ramdisk()).info().identity != adapt(Ramdisk()).info().identity

    class Crooked(Ramdisk):
        minimum_block = 1000

    with pytest.raises(Invalid, match="minimum_block of Crooked is 1000; it must be a power of two"):
        adapt(Crooked())


def _without(name: str) -> object:
    members = {"size": MIB, "read": Ramdisk.read, "write": Ramdisk.write}
    del members[name]
    return type("Thing", (), members)()


def _with(**members: Any) -> object:
    return type("Thing", (Ramdisk,), members)()


async def _async_size(self: object) -> int:
    raise AssertionError


@pytest.mark.parametrize(
    ("thing", "match"),
    [
        (7, "int cannot be a disk: it has no read; it has no size; a disk needs size"),
        (_without("size"), r"Thing cannot be a disk: it has no size; a disk needs size \(in bytes\) and read"),
        (_without("read"), r"it has no read; a disk needs size \(in bytes\) and read\(offset, length\), and write"),
        (_with(read=b"abc"), "its read is not a method"),
        (_with(read=lambda self, offset: b""), r"its read\(offset\) cannot be called as read\(offset, length\)"),
        (_with(write=lambda self, o, d, flags: None), r"its write\(o, d, flags\) cannot be called as write\(offset, d"),
        (_with(flush=lambda self, what: None), r"its flush\(what\) cannot be called as flush\(\)"),
        (_with(size="big"), "its size is not a whole number"),
        (_with(size=1.5e6), "its size is not a whole number"),
        (_with(size=_async_size), "its size is async; make it an attribute"),
        (Ramdisk, r"Ramdisk is a class; a disk is made of one of its objects: Ramdisk\(\)"),
    ],
)
def test_what_cannot_be_a_disk_is_told_what_it_needs(thing: object, match: str) -> None:
    """One `Invalid` says what is missing or wrong, and what a disk needs."""
    with pytest.raises(Invalid, match=match):
        adapt(thing)


@pytest.mark.parametrize("size", [0, -512, 1000, 1 << 63])
def test_impossible_sizes_are_refused(size: int) -> None:
    """Sizes obey `g2disk.units`."""
    with pytest.raises(Invalid):
        adapt(type("Thing", (), {"size": size, "read": Ramdisk.read})())


class Gate(Ramdisk):
    """Calls wait inside until they are let go, and are counted."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self.inside = 0
        self.most = 0
        self._lock = threading.Lock()

    def read(self, offset: int, length: int) -> Any:
        self._wait()
        return super().read(offset, length)

    def write(self, offset: int, data: bytes) -> Any:
        self._wait()
        super().write(offset, data)

    def _wait(self) -> None:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.entered.release()
        assert self.go.acquire(timeout=30)
        with self._lock:
            self.inside -= 1

    async def wait_entered(self) -> None:
        assert await asyncio.to_thread(self.entered.acquire, timeout=30)


async def test_sync_methods_run_one_at_a_time() -> None:
    """An object that does not say otherwise is in one call at a time, off the event loop."""
    gate = Gate()
    disk = adapt(gate)
    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(disk.read(0, 1))
        for _ in range(5):
            await gate.wait_entered()
            await turns(20)
            assert gate.inside == 1
            gate.go.release()

    assert gate.most == 1


async def test_parallel_objects_take_calls_together() -> None:
    """With `parallel = True` several calls are inside at once."""

    class Wide(Gate):
        parallel = True

    gate = Wide()
    disk = adapt(gate)
    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(disk.read(0, 1))
        for _ in range(5):
            await gate.wait_entered()
        gate.go.release(5)

    assert gate.most == 5


async def test_a_cancelled_call_that_has_begun_is_waited_for() -> None:
    """A cancellation ends when the thread has ended, even if asked for twice: nothing is written late."""
    gate = Gate()
    disk = adapt(gate)
    task = asyncio.create_task(disk.write(0, b"new"))
    await gate.wait_entered()
    task.cancel()
    await turns(20)
    task.cancel()
    await turns(20)
    assert not task.done()

    gate.go.release()
    await asyncio.wait({task})
    assert task.cancelled()
    assert bytes(gate.bytes[:3]) == b"new"


async def test_a_cancelled_call_that_has_not_begun_never_does() -> None:
    """A call that still stands in line is taken out of it."""
    gate = Gate()
    disk = adapt(gate)
    async with asyncio.TaskGroup() as group:
        group.create_task(disk.read(0, 1))
        await gate.wait_entered()
        task = group.create_task(disk.write(0, b"new"))
        await turns(20)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        gate.go.release(2)
    gate.go.release()

    await disk.read(0, 1)
    assert bytes(gate.bytes[:3]) == bytes(3)


@pytest.mark.parametrize("make_async", [False, True])
async def test_exceptions_become_disk_errors(make_async: bool, caplog: pytest.LogCaptureFixture) -> None:
    """What the operating system says keeps its kind, a bug is `Internal`, and neither hangs."""

    def failing(error: Exception) -> Disk:
        def read(self: object, offset: int, length: int) -> bytes:
            raise error

        async def read_async(self: object, offset: int, length: int) -> bytes:
            raise error

        return adapt(_with(read=read_async if make_async else read))

    with pytest.raises(OutOfSpace, match="read of Thing: full"):
        await failing(OSError(errno.ENOSPC, "full")).read(0, 1)
    with pytest.raises(Internal, match="read of Thing raised KeyError"):
        await failing(KeyError(1)).read(0, 1)
    with pytest.raises(Internal, match="StopIteration"):
        await failing(StopIteration()).read(0, 1)
    assert len(caplog.records) == 2


async def test_a_sync_method_may_return_an_awaitable() -> None:
    """A method that is async without looking so, such as a decorated one, is awaited."""

    async def later(length: int) -> bytes:
        return b"z" * length

    assert await adapt(_with(read=lambda self, offset, length: later(length))).read(0, 3) == b"zzz"


def test_it_can_be_read() -> None:
    """The representation shows the object."""
    thing = Ramdisk()

    assert repr(adapt(thing)) == f"adapt({thing!r})"
