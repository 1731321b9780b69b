"""The layers around object stores count, repeat, wait and fail as they say."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from g2disk.errors import Corrupt, Denied, DiskError, Exists, NotFound, OutOfSpace, Unavailable
from g2disk.objects import ObjectStore
from g2disk.objects.layers import PRICES, Fault, Faulty, Metered, Retrying, Waiting, dice, script
from g2disk.objects.memory import MemoryObjects
from g2disk.testing import ManualClock, turns

FAILED = Fault(Unavailable)


def faulty(clock: ManualClock, **faults: list[Fault | None]) -> Faulty:
    return Faulty(MemoryObjects(clock), script(faults), clock)


async def test_metered_counts_every_request_and_its_bytes() -> None:
    """Requests count when they fail, too; bytes when they came through."""
    clock = ManualClock()
    store = Metered(faulty(clock, put=[None, FAILED]), PRICES["s3"])
    await store.put("a", [b"12", b"345"])
    with pytest.raises(Unavailable):
        await store.put("b", [b"xxx"])
    await store.create("c", [b"1"])
    with pytest.raises(Exists):
        await store.create("c", [b"2"])
    await store.get("a")
    await store.get_range("a", 1, 2)
    with pytest.raises(NotFound):
        await store.get("nothing")
    await store.list("")
    await store.delete("a")
    usage = store.usage()
    assert (usage.puts, usage.gets, usage.lists, usage.deletes) == (4, 3, 1, 1)
    assert (usage.bytes_put, usage.bytes_got, usage.errors) == (6, 7, 1)
    assert usage.cost == pytest.approx(5 * PRICES["s3"].put + 3 * PRICES["s3"].get)


async def test_metered_counts_a_list_request_for_each_page() -> None:
    """2,001 keys are three requests."""
    store = Metered(MemoryObjects())
    for number in range(2001):
        await store.inner.put(f"k{number}", [b""])
    await store.list("")
    assert store.usage().lists == 3


async def test_retrying_repeats_for_a_while() -> None:
    """Calls are repeated while the store is unavailable, with pauses that grow, until the time is out."""
    clock = ManualClock()
    store = Retrying(faulty(clock, put=[FAILED] * 3), clock, Random(1), seconds=10)
    await clock.run(store.put("a", [b"x"]))
    assert 0.35 <= clock.now() <= 0.7
    assert await store.get("a") == b"x"
    gone = Retrying(faulty(clock, get=[FAILED] * 1000), clock, Random(1), seconds=10)
    begin = clock.now()
    with pytest.raises(Unavailable):
        await clock.run(gone.get("a"))
    assert 5 <= clock.now() - begin <= 10


@pytest.mark.parametrize("kind", [Denied, OutOfSpace, Corrupt])
async def test_retrying_lets_other_errors_out(kind: type[DiskError]) -> None:
    """What a repeat soon cannot mend is raised at once."""
    clock = ManualClock()
    store = Retrying(faulty(clock, get=[Fault(kind)]), clock, Random(1), seconds=10)
    with pytest.raises(kind):
        await store.get("a")


@pytest.mark.parametrize("kind", [Unavailable, Denied, OutOfSpace])
async def test_waiting_waits_for_ever_and_says_why(kind: type[DiskError]) -> None:
    """Calls wait while the store is out of reach, full or refuses us, go on by themselves, and the cause is seen."""
    clock = ManualClock(now=100)
    inner = faulty(clock)
    inner.plan = lambda operation, key: Fault(kind)
    store = Waiting(inner, clock, Random(1))
    assert store.trouble() is None
    calls = [store.put("a", [b"x"]), store.get_range("a", 0, 1), store.list(""), store.delete("b")]
    tasks = [asyncio.create_task(call) for call in calls]
    await clock.advance(3600)
    assert not any(task.done() for task in tasks)
    trouble = store.trouble()
    assert trouble is not None
    assert trouble.since == 100
    assert "a fault was planned for this" in trouble.cause
    inner.plan = script({})
    await inner.put("a", [b"x"])
    await clock.advance(5)
    assert all(task.done() and not task.exception() for task in tasks)
    assert store.trouble() is None


async def test_waiting_ends_when_it_is_cancelled() -> None:
    """A call that waits can be cancelled, and is no trouble any more."""
    clock = ManualClock()
    store = Waiting(faulty(clock, get=[FAILED] * 100), clock, Random(1))
    task = asyncio.create_task(store.get("a"))
    await turns(10)
    assert store.trouble()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert store.trouble() is None


@pytest.mark.parametrize("layer", ["retrying", "waiting"])
async def test_a_create_is_never_repeated(layer: str) -> None:
    """Its error goes out after one attempt: a repeat could take our own object for somebody else's."""
    clock = ManualClock()
    inner = Metered(faulty(clock, create=[Fault(Unavailable, applied=True)]))
    store: ObjectStore = Waiting(inner, clock, Random(1))
    if layer == "retrying":
        store = Retrying(inner, clock, Random(1), seconds=60)
    with pytest.raises(Unavailable):
        await store.create("a", [b"x"])
    assert inner.usage().puts == 1
    assert await store.get("a") == b"x"


async def test_faulty_loses_answers() -> None:
    """A change may be done though it failed, and may not be."""
    clock = ManualClock()
    store = faulty(clock, put=[Fault(applied=True), Fault()], delete=[Fault(applied=True)])
    with pytest.raises(Unavailable):
        await store.put("a", [b"x"])
    with pytest.raises(Unavailable):
        await store.put("b", [b"x"])
    assert [entry.key for entry in await store.list("")] == ["a"]
    with pytest.raises(Unavailable):
        await store.delete("a")
    assert await store.list("") == []


async def test_faulty_lets_puts_come_late() -> None:
    """A put that failed comes true later, with the bytes it was given; a late create never replaces."""
    clock = ManualClock()
    late = Fault(late=5)
    store = faulty(clock, put=[late], create=[late, late])
    buffer = bytearray(b"old")
    for call in (store.put("a", [buffer]), store.create("b", [buffer]), store.create("c", [buffer])):
        with pytest.raises(Unavailable):
            await call
    buffer[:] = b"new"
    await store.create("c", [b"first"])
    with pytest.raises(NotFound):
        await store.get("a")
    await clock.advance(5)
    assert [await store.get(key) for key in "abc"] == [b"old", b"old", b"first"]


async def test_faulty_delays_reorder_calls() -> None:
    """The later of two puts can be done first."""
    clock = ManualClock()
    store = faulty(clock, put=[Fault(None, delay=2), Fault(None, delay=1)])
    tasks = [asyncio.create_task(store.put("a", [data])) for data in (b"1", b"2")]
    await clock.advance(3)
    await asyncio.gather(*tasks)
    assert await store.get("a") == b"1"


async def test_faulty_lists_what_was() -> None:
    """A stale listing lacks what was put since, and has what was deleted."""
    clock = ManualClock()
    store = faulty(clock, list=[Fault(None, stale=2), None])
    for key in "abc":
        await store.put(key, [b"x"])
    await store.delete("a")
    assert [entry.key for entry in await store.list("")] == ["a", "b"]
    assert [entry.key for entry in await store.list("")] == ["b", "c"]


async def test_dice_are_repeatable() -> None:
    """The same seed gives the same faults."""

    def draw(seed: int) -> list[bool]:
        plan = dice(Random(seed), 0.5, [FAILED], ["put"])
        return [plan("put", "a") is not None for _ in range(50)]

    assert draw(1) == draw(1) != draw(2)
    assert dice(Random(1), 1, [FAILED], ["put"])("get", "a") is None
