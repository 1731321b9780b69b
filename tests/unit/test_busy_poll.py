"""Staying awake for a moment after an answer."""

from __future__ import annotations

from collections.abc import Callable

from g2disk.servers.nbd.busy_poll import LONGEST_PAUSE, SECONDS, BusyPoll


class Turns:
    """An event loop and a clock that go on when they are told to."""

    def __init__(self) -> None:
        self.time_now = 0.0
        self.ready: list[Callable[[], None]] = []

    def now(self) -> float:
        """See `Clock.now`."""
        return self.time_now

    def wall(self) -> float:
        return self.now()

    async def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`."""
        self.time_now += seconds

    def call_soon(self, callback: Callable[[], None]) -> None:
        """See `asyncio.AbstractEventLoop.call_soon`."""
        self.ready.append(callback)

    def turn(self, seconds: float = 1e-6) -> bool:
        """One iteration; whether the loop had something to do, and so did not sleep."""
        self.time_now += seconds
        ready, self.ready = self.ready, []
        for callback in ready:
            callback()
        return bool(ready)


def turns_awake(loop: Turns) -> int:
    """The iterations until the loop has nothing to do."""
    count = 0
    while loop.turn():
        count += 1
    return count


def test_the_loop_stays_awake_for_a_moment_after_an_answer() -> None:
    """And no longer, if nothing comes."""
    loop = Turns()
    poll = BusyPoll(loop.call_soon, loop)
    poll.answered()
    turns_awake(loop)

    assert SECONDS <= loop.time_now < SECONDS + 5e-6


def test_what_comes_ends_the_wait() -> None:
    """The request that was waited for is answered, and then it is waited for the next one."""
    loop = Turns()
    poll = BusyPoll(loop.call_soon, loop)
    for _ in range(100):
        poll.answered()
        assert loop.turn()
        poll.received()
        assert loop.turn()
        assert not loop.turn()


def test_waiting_in_vain_is_done_less_and_less_often() -> None:
    """Of many answers with nothing soon after them, few are waited for; a success changes that."""
    loop = Turns()
    poll = BusyPoll(loop.call_soon, loop)

    def answer() -> bool:
        poll.answered()
        return turns_awake(loop) > 0

    waited = sum(answer() for _ in range(10 * LONGEST_PAUSE))
    assert 10 <= waited <= 25

    while not loop.ready:
        poll.answered()
    loop.turn()
    poll.received()
    turns_awake(loop)
    assert answer()
