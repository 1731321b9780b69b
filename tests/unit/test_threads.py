"""The file store's threads, and the sync that waiters share."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from g2disk.cancellation import to_the_end
from g2disk.stores.file.commit import Commit
from g2disk.testing.clock import turns
from g2disk.threads import Crew, Usage


@pytest.fixture
async def crew() -> AsyncIterator[Crew]:
    crew = Crew(3, "test")
    yield crew
    crew.stop()


async def until(condition: Callable[[], bool]) -> None:
    """Let everything else run until `condition` holds."""
    while not condition():
        await turns()


async def test_results_and_exceptions_arrive_where_the_call_was_made(crew: Crew) -> None:
    """A call gives what its function returned or raises what it raised, however many there are."""
    numbers = await asyncio.gather(*(crew.run(divmod, number, 7) for number in range(500)))
    assert numbers == [divmod(number, 7) for number in range(500)]
    with pytest.raises(ZeroDivisionError):
        await crew.run(divmod, 1, 0)


async def test_threads_are_started_as_needed_and_never_more_than_allowed(crew: Crew) -> None:
    """One call takes one thread; many at once take as many as the crew may have."""
    await crew.run(int)
    await crew.run(int)
    assert len(crew._threads) == 1
    gate = threading.Event()
    calls = [asyncio.ensure_future(crew.run(gate.wait)) for _ in range(10)]
    await turns(5)
    assert len(crew._threads) == 3
    gate.set()
    assert all(await asyncio.gather(*calls))


async def test_a_cancelled_call_ends_only_when_its_thread_has(crew: Crew) -> None:
    """Cancelling waits for the function, also when it is cancelled again, and raises CancelledError then."""
    gate, begun, ended = threading.Event(), threading.Event(), []

    def work() -> None:
        begun.set()
        gate.wait()
        ended.append(True)

    task = asyncio.ensure_future(crew.run(work))
    await until(begun.is_set)
    for _ in range(3):
        task.cancel()
        await turns(20)
        assert not task.done()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [True]


async def test_work_to_the_end_is_finished_before_cancellation_is_told() -> None:
    """What is cancelled in the middle is done as a whole, and then the caller sees the cancellation."""
    step, done = asyncio.Event(), []

    async def work() -> None:
        await step.wait()
        done.append(True)

    task = asyncio.ensure_future(to_the_end(work()))
    await turns(3)
    task.cancel()
    await turns(20)
    assert not task.done()
    step.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == [True]


async def test_all_who_wait_for_the_calls_of_a_moment_wait_for_them() -> None:
    """A second one that waits, and one that waits for all to be idle, are not told that a call is over that is not."""
    usage = Usage()
    end = usage.begin()
    waiting = [asyncio.ensure_future(wait()) for wait in (usage.over, usage.over, usage.idle)]
    await turns(3)
    assert not any(waiter.done() for waiter in waiting)

    end()

    await asyncio.gather(*waiting)


async def test_usage_waits_for_the_calls_before_and_not_for_later_ones() -> None:
    """`over` returns when the calls that were counted before it have ended, though others go on."""
    usage = Usage()
    first = usage.begin()
    waiting = asyncio.ensure_future(usage.over())
    await turns(3)
    later = usage.begin()
    assert not waiting.done()
    first()
    await waiting
    idle = asyncio.ensure_future(usage.idle())
    await turns(3)
    assert not idle.done()
    later()
    await idle


class Sync:
    """A sync that ends when the test says so."""

    def __init__(self) -> None:
        self.begun = 0
        self.gate = threading.Semaphore(0)
        self.errors: list[Exception | None] = []

    def __call__(self) -> None:
        self.begun += 1
        self.gate.acquire()
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error


@pytest.fixture
def sync(crew: Crew) -> Iterator[Sync]:
    """Ends before the crew, whatever becomes of the test."""
    sync = Sync()
    yield sync
    sync.gate.release(100)


async def test_a_waiter_is_not_served_by_a_sync_that_began_before_it(crew: Crew, sync: Sync) -> None:
    """Those who ask during a sync share the next one, which begins when the running one has ended."""
    commit = Commit(crew, Usage(), sync)
    first = asyncio.ensure_future(commit.wait())
    await until(lambda: sync.begun == 1)
    later = [asyncio.ensure_future(commit.wait()) for _ in range(20)]
    await turns(20)
    assert sync.begun == 1
    sync.gate.release()
    await first
    await until(lambda: sync.begun == 2)
    assert not any(task.done() for task in later)
    sync.gate.release()
    await asyncio.gather(*later)
    assert sync.begun == 2


async def test_a_cancelled_waiter_does_not_disturb_the_others(crew: Crew, sync: Sync) -> None:
    """Whoever waits with a cancelled one still gets the sync that is to come."""
    commit = Commit(crew, Usage(), sync)
    running = asyncio.ensure_future(commit.wait())
    await until(lambda: sync.begun == 1)
    coming = [asyncio.ensure_future(commit.wait()) for _ in range(3)]
    await turns(3)
    for task in (running, coming[0], coming[1]):
        task.cancel()
    sync.gate.release(2)
    await coming[2]
    assert sync.begun == 2
    assert [task.cancelled() for task in (running, *coming)] == [True, True, True, False]


async def test_no_sync_is_made_for_cancelled_waiters_alone(crew: Crew, sync: Sync) -> None:
    """If nobody waits any more when a sync ends, the next one is made only for who comes then."""
    usage = Usage()
    commit = Commit(crew, usage, sync)
    running = asyncio.ensure_future(commit.wait())
    await until(lambda: sync.begun == 1)
    alone = asyncio.ensure_future(commit.wait())
    await turns(3)
    alone.cancel()
    await turns(3)
    sync.gate.release()
    await running
    await usage.idle()
    assert sync.begun == 1
    sync.gate.release()
    await commit.wait()
    assert sync.begun == 2


async def test_a_failed_sync_fails_for_all_of_its_waiters_and_no_others(crew: Crew, sync: Sync) -> None:
    """Each waiter learns of the sync that it waited for."""
    sync.errors = [None, OSError("second"), None]
    commit = Commit(crew, Usage(), sync)
    first = asyncio.ensure_future(commit.wait())
    await until(lambda: sync.begun == 1)
    second = [asyncio.ensure_future(commit.wait()) for _ in range(3)]
    await turns(3)
    sync.gate.release()
    await until(lambda: sync.begun == 2)
    third = asyncio.ensure_future(commit.wait())
    await turns(3)
    sync.gate.release(2)
    outcomes = await asyncio.gather(first, *second, third, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["None", "second", "second", "second", "None"]
