"""What the unary calls of one connection may hold in memory."""

from __future__ import annotations

from g2disk.servers.grpc.bounds import MOST_BYTES, MOST_CALLS, Bounds


class Call:
    """A call that notes what it is told."""

    def __init__(self, bounds: Bounds, size: int = 0) -> None:
        self.begun = self.paused = False
        self.bounds, self.size = bounds, size
        bounds.opened(self)

    def begin(self) -> None:
        self.begun = True

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def arrive(self) -> None:
        """The whole request comes."""
        self.bounds.received(self, self.size)
        self.bounds.complete(self)


def test_requests_beyond_the_bound_pause_those_that_are_still_coming() -> None:
    """Streams that are open, and those that open later, are paused, and resumed when there is room."""
    bounds = Bounds()
    coming, large = Call(bounds), Call(bounds, MOST_BYTES + 1)
    large.arrive()
    later = Call(bounds)
    assert (True, True, True) == (large.begun, coming.paused, later.paused)

    bounds.answered(large, 0)

    assert (False, False) == (coming.paused, later.paused)


def test_replies_that_nobody_reads_hold_up_later_calls() -> None:
    """No call is begun while too many bytes of replies wait; all are when they have left."""
    bounds = Bounds()
    first, second = Call(bounds, 1), Call(bounds, 1)
    first.arrive()
    bounds.answered(first, MOST_BYTES + 1)
    second.arrive()
    assert not second.begun

    bounds.closed(first)

    assert second.begun


def used_to(size: int) -> Bounds:
    """The bounds of a connection whose replies had `size` bytes so far."""
    bounds = Bounds()
    for _ in range(30):
        call = Call(bounds, 1)
        call.arrive()
        bounds.answered(call, size)
        bounds.closed(call)
    return bounds


def begun(bounds: Bounds) -> int:
    """How many of many calls begin at once."""
    calls = [Call(bounds, 1) for _ in range(2 * MOST_CALLS)]
    for call in calls:
        call.arrive()
    return sum(call.begun for call in calls)


def test_as_many_calls_begin_as_their_replies_are_likely_to_fit() -> None:
    """Few on a new connection; then it goes by the replies so far; one always may."""
    assert 8 == begun(Bounds())
    assert MOST_CALLS == begun(used_to(4096))
    assert 64 == begun(used_to(MOST_BYTES // 64))
    assert 1 == begun(used_to(MOST_BYTES))


def test_calls_wait_their_turn_in_order() -> None:
    """Beyond the most that are answered at once the next begins when one is done."""
    bounds = used_to(10)
    calls = [Call(bounds, 1) for _ in range(MOST_CALLS + 2)]
    for call in calls:
        call.arrive()
    assert [True] * MOST_CALLS + [False] * 2 == [call.begun for call in calls]

    bounds.answered(calls[7], 10)

    assert [True, False] == [call.begun for call in calls[-2:]]


def test_a_call_that_ends_early_leaves_nothing_behind() -> None:
    """Reset while its request comes, while it waits, and while it is being answered: the bound is free again."""
    bounds = Bounds()
    half = Call(bounds, MOST_BYTES + 1)
    bounds.received(half, half.size)
    bounds.closed(half)
    running = [Call(bounds, 1) for _ in range(8)]
    waiting = Call(bounds, MOST_BYTES + 1)
    for call in (*running, waiting):
        call.arrive()
    watcher = Call(bounds)
    assert watcher.paused
    bounds.closed(waiting)
    assert not watcher.paused
    bounds.closed(running[0])
    bounds.answered(running[0], 0)
    watcher.arrive()

    assert not waiting.begun
    assert watcher.begun


def test_nothing_is_begun_on_a_connection_that_is_over() -> None:
    """Calls that waited for their turn are dropped with it."""
    bounds = Bounds()
    calls = [Call(bounds, 1) for _ in range(MOST_CALLS + 1)]
    for call in calls:
        call.arrive()
    bounds.end()
    bounds.answered(calls[0], 0)

    assert not calls[-1].begun
