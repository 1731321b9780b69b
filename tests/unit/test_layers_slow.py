"""`Slow`, and the `ManualClock` that moves it."""

from __future__ import annotations

import asyncio

import pytest

from g2disk.disk.layers import Slow
from g2disk.stores.memory import MemoryDisk
from g2disk.testing import ManualClock, turns
from g2disk.units import MIB


async def test_latencies_run_together() -> None:
    """Requests in flight together are all answered after one latency."""
    clock = ManualClock()
    disk = Slow(MemoryDisk(MIB), clock, latency=0.5)

    async def all_of_them() -> None:
        async with asyncio.TaskGroup() as group:
            for request in (disk.read(0, 1), disk.write(0, b"x"), disk.flush(), disk.trim(0, 1), disk.cache(0, 1)):
                group.create_task(request)

    await clock.run(all_of_them())
    assert clock.now() == 0.5
    await clock.run(disk.flush())
    assert clock.now() == 1.0


async def test_data_stands_in_line() -> None:
    """With a bandwidth, data passes one after the other, and time without data is not saved up."""
    clock = ManualClock()
    disk = Slow(MemoryDisk(MIB), clock, latency=1, bandwidth=1000)
    ends: list[float] = []

    async def write(length: int) -> None:
        await disk.write(0, bytes(length))
        ends.append(clock.now())

    async def three() -> None:
        async with asyncio.TaskGroup() as group:
            for length in (2000, 500, 1000):
                group.create_task(write(length))

    await clock.run(three())
    assert ends == [3.0, 3.5, 4.5]
    await clock.advance(100)
    await clock.run(write(1000))
    assert ends[-1] == 104.5 + 2.0


async def test_ranges_without_data_wait_for_no_bandwidth() -> None:
    """Trims and zeroes carry no data."""
    clock = ManualClock()
    disk = Slow(MemoryDisk(MIB), clock, bandwidth=1)

    await clock.run(disk.zero(0, MIB))
    await clock.run(disk.trim(0, MIB))

    assert clock.now() == 0


async def test_a_cancelled_request_never_reaches_the_disk() -> None:
    """A write that is cancelled while it is delayed changes nothing."""
    clock = ManualClock()
    inner = MemoryDisk(MIB)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(Slow(inner, clock, latency=1).write(0, b"data"))
        await turns(5)
        task.cancel()
    await clock.advance(10)

    assert bytes(await inner.read(0, 4)) == bytes(4)


async def test_sleepers_wake_in_order_at_their_time() -> None:
    """Time moves from deadline to deadline, also to those that are set on the way, and stops where it is told to.

    A deadline at that very moment is reached.
    """
    clock = ManualClock(100)
    woken: list[tuple[str, float]] = []

    async def sleep(name: str, *seconds: float) -> None:
        for duration in seconds:
            await clock.sleep(duration)
            woken.append((name, clock.now()))

    async with asyncio.TaskGroup() as group:
        group.create_task(sleep("a", 3))
        group.create_task(sleep("b", 1, 1, 5))
        group.create_task(sleep("c", 1))
        await clock.advance(2.5)
        assert woken == [("b", 101), ("c", 101), ("b", 102)]
        assert clock.now() == 102.5
        assert clock.sleepers == 2
        assert repr(clock) == "ManualClock(102.5 s, 2 asleep)"
        await clock.advance(4.5)
        assert woken[3:] == [("a", 103), ("b", 107)]
    assert clock.now() == 107


async def test_a_cancelled_sleeper_is_gone() -> None:
    """A cancelled sleep counts no more, and does not move time."""
    clock = ManualClock()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(clock.sleep(5))
        await turns(2)
        assert clock.sleepers == 1
        task.cancel()
    assert clock.sleepers == 0

    await clock.run(clock.sleep(7))
    assert clock.now() == 7


async def test_run_gives_the_answer_or_the_error() -> None:
    """What the work returns or raises comes out of `run`, in virtual time."""
    clock = ManualClock()

    async def work(error: Exception | None) -> int:
        await clock.sleep(3600)
        if error:
            raise error
        return 7

    assert await clock.run(work(None)) == 7
    with pytest.raises(ValueError, match="oh"):
        await clock.run(work(ValueError("oh")))
    assert clock.now() == 7200
