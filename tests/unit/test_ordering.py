"""Changes that overlap, one after the other; all others at once."""

from __future__ import annotations

import random

import pytest

from g2disk.remote.ordering import Ordering
from g2disk.request import READ, TRIM, WRITE, ZERO, Request


class Entry:
    def __init__(self, operation: int, offset: int, length: int) -> None:
        self.request = Request(operation, 0, offset, length)

    def overlaps(self, other: Entry) -> bool:
        one, two = self.request, other.request
        both = one.length and two.length
        return bool(both) and one.offset < two.offset + two.length and two.offset < one.offset + one.length


def test_a_change_waits_for_what_it_overlaps_and_nothing_else_does() -> None:
    """Also not what came behind the one that waits; reads never wait."""
    ordering: Ordering[Entry] = Ordering()
    first, again, other, read = (
        Entry(WRITE, 0, 8192),
        Entry(WRITE, 4096, 4096),
        Entry(TRIM, 1 << 40, 1 << 40),
        Entry(READ, 0, 8192),
    )
    assert [first] == ordering.admit([first])
    assert [other, read] == ordering.admit([again, other, read])
    assert [] == ordering.finished([other])
    assert [again] == ordering.finished([first])
    assert [] == ordering.finished([again])


def test_the_largest_ranges_are_ordered() -> None:
    """To the last byte of the largest disk."""
    ordering: Ordering[Entry] = Ordering()
    whole, last = Entry(ZERO, 0, (1 << 63) - 4096), Entry(WRITE, (1 << 63) - 8192, 4096)
    assert [whole] == ordering.admit([whole, last])
    assert [last] == ordering.finished([whole])


@pytest.mark.parametrize("seed", range(5))
def test_no_two_that_overlap_are_ever_let_go_together(seed: int) -> None:
    """Random changes of all sizes; in the end all have gone, overlapping ones in the order in which they came."""
    rng = random.Random(seed)
    ordering: Ordering[Entry] = Ordering()
    going: list[Entry] = []
    came: list[Entry] = []
    gone: list[Entry] = []
    for _ in range(3000):
        if rng.random() < 0.5:
            length = rng.choice([0, 1, 512, 4096, 70000, 1 << 20])
            entry = Entry(rng.choice([WRITE, TRIM, ZERO]), rng.randrange(1 << 21), length)
            came.append(entry)
            free = ordering.admit([entry])
        elif going:
            free = ordering.finished([going.pop(rng.randrange(len(going)))])
        else:
            continue
        for each in free:
            assert not any(each.overlaps(other) for other in going)
            going.append(each)
            gone.append(each)
    while going:
        free = ordering.finished([going.pop()])
        going += free
        gone += free
    assert not ordering.waiting
    place = {id(entry): at for at, entry in enumerate(gone)}
    assert len(came) == len(place)
    for at in range(1, len(came)):
        for before in came[max(0, at - 50) : at]:
            assert not before.overlaps(came[at]) or place[id(before)] < place[id(came[at])]
