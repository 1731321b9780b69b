"""The judge of the simulation: histories that are right, and others that each break one rule."""

from __future__ import annotations

from math import inf

from tests.simulation.checker import Change, History, Sight, check


def change(value: int, begun: int, ended: float, certain: bool = True) -> Change:
    return Change({0: value}, begun, ended, certain)


def wrong(changes: list[Change], sights: list[tuple[int, int, int]], losses: tuple[int, ...] = ()) -> bool:
    seen = [Sight(0, *sight) for sight in sights]
    return bool(check(History(changes, seen, list(losses))))


def test_a_read_sees_what_was_acknowledged_last() -> None:
    """The acknowledged value is right; the one before it, and zeroes, are not."""
    changes = [change(1, 1, 2), change(2, 3, 4)]
    assert not wrong(changes, [(2, 5, 6)])
    assert wrong(changes, [(1, 5, 6)])
    assert wrong(changes, [(0, 5, 6)])


def test_a_read_beside_a_write_sees_the_old_or_the_new() -> None:
    """Both are right while the write is not answered, and nothing else is."""
    changes = [change(1, 1, 2), change(2, 3, 8)]
    assert not wrong(changes, [(1, 4, 5)])
    assert not wrong(changes, [(2, 4, 5)])
    assert wrong(changes, [(0, 4, 5)])


def test_nothing_is_read_that_was_not_written() -> None:
    """A torn block, and a value from the future, are wrong."""
    assert wrong([change(1, 1, 2)], [(-1, 3, 4)])
    assert wrong([change(1, 5, 6)], [(1, 3, 4)])


def test_no_older_value_comes_back() -> None:
    """Once the new value of a write under way was seen, the old one is wrong, unless there was a loss between."""
    changes = [change(1, 1, 2), change(2, 3, inf, certain=False)]
    assert wrong(changes, [(2, 4, 5), (1, 7, 8)])
    assert not wrong(changes, [(2, 4, 5), (1, 7, 8)], losses=(6,))


def test_a_value_that_was_seen_twice_stayed_between() -> None:
    """Another one in the meantime is wrong: a stale write landed and was written over."""
    changes = [change(1, 1, 20), change(2, 2, 21)]
    assert wrong(changes, [(1, 3, 4), (2, 5, 6), (1, 7, 8)])
    assert not wrong(changes, [(1, 3, 4), (1, 5, 6), (2, 7, 8)])


def test_what_a_dead_client_sent_lands_before_the_next_one_is_open_or_never() -> None:
    """Not answered, it may be there or not; after another client's write it may not come."""
    changes = [change(1, 1, 5, certain=False), change(2, 6, 7)]
    assert not wrong(changes[:1], [(1, 8, 9)])
    assert not wrong(changes[:1], [(0, 8, 9)])
    assert wrong(changes, [(1, 8, 9)])
    assert wrong(changes[:1], [(0, 6, 7), (1, 8, 9)])


def test_a_flush_makes_durable_what_was_acknowledged_before_it() -> None:
    """The medium may be newer than the flush's beginning, and not older."""
    history = History([change(1, 1, 2), change(2, 4, 6)], [Sight(0, 1, 3, 7, medium=True)])
    assert not check(history)
    history.sights.append(Sight(0, 0, 3, 7, medium=True))
    assert check(history)


def test_an_accepted_loss_takes_what_was_not_flushed_and_nothing_else() -> None:
    """Zeroes are right for the unflushed write, and wrong for the one that a flush had covered."""
    unflushed = History([change(1, 1, 2)], [Sight(0, 0, 9, 10)], [5], [7])
    assert not check(unflushed)
    flushed = History([change(1, 1, 2)], [Sight(0, 0, 9, 10)], [5], [7])
    flushed.flushed(3, 4)
    assert check(flushed)
