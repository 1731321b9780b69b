"""Virtual time, and processes that die and stop between two callbacks."""

from __future__ import annotations

import asyncio

import pytest

from tests.simulation.loop import Process, Stuck, VirtualLoop


@pytest.fixture
def loop() -> VirtualLoop:
    return VirtualLoop()  # type: ignore[abstract]


def test_time_jumps_to_the_next_timer(loop: VirtualLoop) -> None:
    """A thousand seconds take none, and timers of one moment ring in the order in which they were set."""
    rang: list[int] = []

    async def main() -> float:
        for number in range(5):
            loop.call_later(1000.0, rang.append, number)
        await loop.sleep(1000.0)
        return loop.time()

    assert loop.run(main()) == 1000.0
    assert rang == [0, 1, 2, 3, 4]


def test_what_can_never_go_on_is_stuck(loop: VirtualLoop) -> None:
    """Nothing ready and no timer set, while somebody waits, is an error and no hang."""

    async def main() -> None:
        await loop.create_future()

    with pytest.raises(Stuck):
        loop.run(main())


def test_a_killed_process_does_nothing_more(loop: VirtualLoop) -> None:
    """Its tasks stop where they are, their `finally` included, and so do the tasks that they started."""
    done: list[str] = []

    async def work(name: str) -> None:
        try:
            if name == "parent":
                loop.create_task(work("child"))
            await loop.sleep(1.0)
            done.append(name)
            await loop.sleep(9.0)
        finally:
            done.append(f"{name} ends")

    async def main() -> None:
        process = Process("victim")
        loop.create_task(work("parent"), context=process.context.copy())
        await loop.sleep(5.0)
        process.kill()
        await loop.sleep(100.0)
        assert done == ["parent", "child"]

    loop.run(main())


def test_a_stopped_process_goes_on_where_it_was(loop: VirtualLoop) -> None:
    """Its timers ring late, in order, when it has time again."""
    rang: list[tuple[str, float]] = []

    async def main() -> None:
        process = Process("sleeper")
        for delay in (2.0, 1.0):
            loop.call_later(delay, lambda name=f"{delay}": rang.append((name, loop.time())), context=process.context)
        process.stopped = True
        await loop.sleep(10.0)
        assert rang == []
        loop.resume(process)
        await loop.sleep(1.0)

    loop.run(main())
    assert rang == [("1.0", 10.0), ("2.0", 10.0)]


def test_what_a_callback_raises_is_kept(loop: VirtualLoop) -> None:
    """A bug in a callback is no part of a run that is right."""

    async def main() -> None:
        loop.call_soon(lambda: 1 / 0)
        await asyncio.wait([loop.after_steps(5)], timeout=1.0)

    loop.run(main())
    assert "ZeroDivisionError" in loop.errors[0]
