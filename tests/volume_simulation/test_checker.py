"""The judge of volumes: logs that are kept as they must be, and others that each break one rule."""

from __future__ import annotations

from tests.volume_simulation.checker import Change, Kept, Line


def line(*changes: tuple[int, int, int, float]) -> tuple[Line, list[Change]]:
    """A log of acknowledged changes: block, value, when it was begun and when it ended."""
    made = Line()
    all_changes = []
    for block, value, begun, ended in changes:
        change = made.begin(block, value, begun)
        change.ended, change.certain = ended, True
        all_changes.append(change)
    return made, all_changes


def test_a_killed_server_loses_nothing_that_it_acknowledged() -> None:
    """The value before is wrong, and so are zeroes; after a power cut they are right."""
    for value, right in ((2, True), (1, False), (0, False)):
        assert right is not bool(line((0, 1, 1, 2), (0, 2, 3, 4))[0].opened({0: value}, 9, Kept.ALL))
        assert not line((0, 1, 1, 2), (0, 2, 3, 4))[0].opened({0: value}, 9, Kept.FLUSHED)


def test_what_was_flushed_survives_a_power_cut_and_what_was_stored_the_machine() -> None:
    """A flush covers what had ended before it was asked for, and nothing more."""
    for stored, kept, right in (
        (False, Kept.FLUSHED, False),
        (False, Kept.STORED, True),
        (True, Kept.FLUSHED, False),
        (True, Kept.STORED, False),
    ):
        log, _ = line((0, 1, 1, 2), (0, 2, 3, 6))
        log.flushed(5, stored)
        assert right is not bool(log.opened({0: 0}, 9, kept))
        log, _ = line((0, 1, 1, 2), (0, 2, 3, 6))
        log.flushed(5, stored)
        assert not log.opened({0: 1}, 9, kept)


def test_no_change_survives_without_those_before_it() -> None:
    """Block 1's change, which was there first, is missing: wrong, unless they were under way at once."""
    assert line((1, 1, 1, 2), (0, 2, 3, 4))[0].opened({0: 2, 1: 0}, 9, Kept.STORED)
    assert not line((1, 1, 1, 2), (0, 2, 3, 4))[0].opened({0: 0, 1: 1}, 9, Kept.STORED)
    assert not line((1, 1, 1, 4), (0, 2, 3, 5))[0].opened({0: 2, 1: 0}, 9, Kept.STORED)


def test_the_order_holds_over_several_blocks() -> None:
    """One change makes another one certain to be there, and that one a third."""
    log, _ = line((0, 1, 1, 2), (1, 2, 3, 4), (1, 3, 5, 6), (2, 4, 7, 8))
    assert log.opened({0: 0, 1: 3, 2: 0}, 9, Kept.STORED)
    assert log.opened({0: 1, 1: 2, 2: 4}, 9, Kept.STORED)
    assert not log.opened({0: 1, 1: 3, 2: 0}, 9, Kept.STORED)


def test_a_change_that_failed_may_be_there_or_not() -> None:
    """It needs not be there, though later ones are."""
    for value in (0, 1):
        log, (failed, _) = line((0, 1, 1, 2), (1, 2, 3, 4))
        failed.certain = False
        assert not log.opened({0: value, 1: 2}, 9, Kept.ALL)


def test_nothing_is_there_that_was_not_written() -> None:
    """A torn block, another block's value and a value from the future are wrong."""
    log, _ = line((0, 1, 1, 2), (1, 2, 3, 4), (0, 3, 20, 21))
    for value in (-1, 2, 3):
        assert log.opened({0: value, 1: 2}, 9, Kept.STORED)


def test_what_was_lost_never_comes_back() -> None:
    """An opening without a change ends it; one that is merely overwritten may be the last one after a power cut."""
    log, (_, second) = line((0, 1, 1, 2), (0, 2, 3, 4))
    assert not log.opened({0: 1}, 9, Kept.FLUSHED)
    assert second.lost
    assert log.opened({0: 2}, 12, Kept.FLUSHED)
    assert not log.opened({0: 0}, 15, Kept.FLUSHED)


def test_what_an_opening_saw_is_durable_after_its_flush() -> None:
    """A change whose server died before it answered, too."""
    log, (change,) = line((0, 1, 1, 2))
    change.certain = False
    assert not log.opened({0: 1}, 9, Kept.FLUSHED)
    log.flushed(10, stored=False)
    assert log.opened({0: 0}, 12, Kept.FLUSHED)


def test_a_snapshot_holds_what_had_ended_before_it_and_nothing_that_began_after_it() -> None:
    """What is under way may be in it, in the log's order."""
    log, _ = line((0, 1, 1, 2), (1, 2, 4, 8), (0, 3, 9, 10), (0, 4, 30, 31))
    assert not log.snapshot({0: 1, 1: 0}, 5, 20)
    assert not log.snapshot({0: 3, 1: 2}, 5, 20)
    assert log.snapshot({0: 3, 1: 0}, 5, 20)
    assert log.snapshot({0: 0, 1: 0}, 5, 20)
    assert log.snapshot({0: 4, 1: 2}, 5, 20)


def test_a_rollback_ends_what_was_written_since() -> None:
    """The old content is the ground, and newer changes are lost."""
    log, _ = line((0, 1, 1, 2), (0, 2, 3, 4))
    log.replace({0: 1})
    assert log.opened({0: 2}, 9, Kept.STORED)
    assert log.opened({0: 0}, 9, Kept.STORED)
    assert not log.opened({0: 1}, 9, Kept.STORED)


def test_zeroes_may_have_come_from_any_change() -> None:
    """A zero that was flushed is a zero, and so is one after a flushed write."""
    log, _ = line((0, 1, 1, 2), (0, 0, 3, 4))
    log.flushed(5, stored=True)
    assert not log.opened({0: 0}, 9, Kept.ALL)
    log, (write, _) = line((0, 1, 1, 2), (0, 0, 3, 4))
    write.stored = True
    assert not log.opened({0: 0}, 9, Kept.STORED)
    log, (write,) = line((0, 1, 1, 2))
    write.stored = True
    assert log.opened({0: 0}, 9, Kept.STORED)
