"""Which segments count, told from their names and from when each epoch began."""

from __future__ import annotations

from g2disk.volume.format.manifest import EpochRecord, Head
from g2disk.volume.format.names import SegmentName
from g2disk.volume.fsck.accepted import accepted, of_head

EPOCHS = (EpochRecord(epoch=4, first=10), EpochRecord(epoch=5, first=20), EpochRecord(epoch=7, first=20))


def names(*pairs: tuple[int, int]) -> list[SegmentName]:
    return [SegmentName(number, epoch) for number, epoch in pairs]


def test_a_number_belongs_to_the_last_epoch_that_began_there() -> None:
    """What a fenced writer put under numbers that its successor used, or skipped, does not count."""
    found = accepted(names((10, 4), (19, 4), (20, 4), (20, 5), (20, 7), (21, 5), (22, 7)), EPOCHS, {})

    assert {10: 4, 19: 4, 20: 7, 22: 7} == found


def test_before_the_oldest_record_the_greatest_epoch_counts() -> None:
    """Epochs never fall from one number to the next: what would make them fall came late."""
    assert {1: 1, 3: 2, 5: 2} == accepted(names((1, 1), (3, 1), (3, 2), (4, 1), (5, 2)), EPOCHS, {})


def test_a_table_knows_better() -> None:
    """What a table lists is believed."""
    assert {20: 4} == accepted(names((20, 4), (20, 7)), EPOCHS, {20: 4})


def test_a_head_ends_where_it_ends_and_leaves_out_what_was_rolled_back() -> None:
    """Segments behind a head, and those that a rollback gave up, are not its."""
    head = Head(applied=9, next=9, abandoned=((4, 6),))

    assert names((1, 1), (3, 1), (6, 2)) == of_head({1: 1, 3: 1, 4: 1, 5: 2, 6: 2, 9: 2}, head)
