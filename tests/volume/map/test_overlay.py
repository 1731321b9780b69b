"""What only the journal holds, against a dictionary."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from g2disk.volume.journal.entry import WRITE, ZERO, Entry
from g2disk.volume.map import overlay
from g2disk.volume.map.overlay import Overlay
from tests.volume.map.ground import GIANT

SIZE = 4096
FEW = 16
"""Blocks up to which a zeroed range is kept block by block."""


class History:
    """All changes and how many of them are settled; what the overlay must say follows from the rest."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.settled = 0

    def append(self, kind: int, block: int, count: int) -> Entry:
        last = self.entries[-1] if self.entries else Entry(0, ZERO, 0, 0, SIZE)
        position = last.position + (last.count * SIZE if last.kind == WRITE else 16) + 48
        entry = Entry(len(self.entries) + 1, kind, block, count, position)
        self.entries.append(entry)
        return entry

    def settle(self, count: int) -> list[Entry]:
        end = min(self.settled + count, len(self.entries))
        taken, self.settled = self.entries[self.settled : end], end
        return taken

    def at(self, block: int) -> tuple[int, int]:
        """Kind and position of one block: the last change of it counts, unless it is settled."""
        for entry in reversed(self.entries[self.settled :]):
            if entry.block <= block < entry.block + entry.count:
                if entry.kind == WRITE:
                    return overlay.JOURNAL, entry.position + (block - entry.block) * SIZE
                return overlay.ZERO, 0
        return overlay.BELOW, 0


def change(history: History, random: Random, span: int) -> Entry:
    kind = random.choice((WRITE, WRITE, ZERO))
    block = random.randrange(span)
    most = 40 if kind == WRITE else random.choice((FEW, FEW + 1, 100, span))
    return history.append(kind, block, random.randint(1, max(1, min(most, span - block))))


def check_range(known: Overlay, history: History, block: int, count: int) -> None:
    found = known.find(block, count)
    place = block
    for first, length, kind, position in found:
        assert first == place
        assert length > 0
        place += length
        for each in {first, first + length - 1, first + length // 2}:
            assert history.at(each) == (kind, position + (each - first) * SIZE if kind == overlay.JOURNAL else 0)
    assert place == block + count
    for before, after in pairwise(found):
        assert before[2] != after[2] or (before[2] == overlay.JOURNAL and before[3] + before[1] * SIZE != after[3])


@pytest.mark.parametrize("span", [30, 300, GIANT])
@pytest.mark.parametrize("seed", range(8))
def test_the_overlay_knows_the_last_unsettled_change_of_each_block(seed: int, span: int) -> None:
    """Writes, zeroes of any size and settling in order: each block is what its newest unsettled change made of it."""
    random, history, known = Random(seed), History(), Overlay(SIZE)
    for _ in range(120):
        if random.random() < 0.25:
            known.settle(history.settle(random.randint(1, 8)))
        elif random.random() < 0.5:
            known.record([change(history, random, span) for _ in range(random.randint(1, 4))])
        else:
            entry = change(history, random, span)
            work = known.write if entry.kind == WRITE else known.zero
            work(entry.block, entry.count, entry.position)
        for _ in range(4):
            near = history.entries[-1].block if history.entries else 0
            block = (
                max(0, min(near + random.randint(-5, 5), span - 1)) if random.random() < 0.7 else random.randrange(span)
            )
            check_range(known, history, block, min(random.choice((1, 1, 2, 50, 1000, span)), span - block))
    known.settle(history.settle(len(history.entries)))
    assert len(known) == 0


def test_an_earlier_zeroing_that_settles_leaves_a_later_one() -> None:
    """The write between them must not shine through when it settles, too."""
    for count in (1, FEW + 1):
        known, history = Overlay(SIZE), History()
        entries = [history.append(kind, 5, count) for kind in (ZERO, WRITE, ZERO)]
        known.record(entries)
        known.settle(entries[:1])
        known.settle(entries[1:2])
        assert known.find(5, count) == [(5, count, overlay.ZERO, 0)]
        known.settle(entries[2:])
        assert known.find(5, count) == [(5, count, overlay.BELOW, 0)]


def test_zeroing_8_eib_costs_one_range() -> None:
    """And forgets all writes that it covers."""
    known = Overlay(SIZE)
    for block in range(1000):
        known.write(block * 77, 3, SIZE + block * 3 * SIZE)
    known.zero(0, GIANT, 1 << 40)
    assert len(known) == 1
    assert known.find(0, GIANT) == [(0, GIANT, overlay.ZERO, 0)]
    known.write(1 << 50, 1, 1 << 41)
    assert known.find((1 << 50) - 1, 3) == [
        ((1 << 50) - 1, 1, overlay.ZERO, 0),
        (1 << 50, 1, overlay.JOURNAL, 1 << 41),
        ((1 << 50) + 1, 1, overlay.ZERO, 0),
    ]


def test_clear_forgets_everything() -> None:
    """As a rollback needs it."""
    known = Overlay(SIZE)
    known.write(1, 4, SIZE)
    known.zero(0, GIANT // 2, 10 * SIZE)
    known.clear()
    assert known.find(0, 8) == [(0, 8, overlay.BELOW, 0)]
