"""What fsck thinks a disk holds, against a plain model."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from g2disk.volume.fsck.contents import Contents, Effect, outside, ranges, replay

BLOCKS = 40


def effect(random: Random, number: int) -> Effect:
    blocks = random.sample(range(BLOCKS), random.randrange(6))
    zeroes = [(random.randrange(BLOCKS), random.randrange(1, 20)) for _ in range(random.randrange(3))]
    return Effect(number, np.array(sorted(blocks), np.uint64), zeroes)


def apply(model: dict[int, int], change: Effect) -> None:
    for block, count in change.zeroes:
        for each in range(block, block + count):
            model.pop(each, None)
    for ordinal, block in enumerate(change.blocks.tolist()):
        model[block] = (change.number << 24) + ordinal


@pytest.mark.parametrize("seed", range(200))
def test_segments_replayed_together_are_as_if_one_by_one(seed: int) -> None:
    """However many segments are replayed at once, each block is where the last one put it, or zero."""
    random = Random(seed)
    contents, model, number = Contents.empty(), dict[int, int](), 0
    for _ in range(4):
        changes = [effect(random, number := number + 1) for _ in range(random.randrange(5))]
        contents = replay(contents, changes)
        for change in changes:
            apply(model, change)

        assert sorted(model.items()) == list(zip(contents.blocks.tolist(), contents.locations.tolist(), strict=True))


def test_each_segment_in_use_is_told_with_its_blocks() -> None:
    """The blocks by segment are those of the whole, each at its place in the segment."""
    contents = replay(
        Contents.empty(),
        [Effect(3, np.array([5, 6, 9], np.uint64), []), Effect(7, np.array([6, 2], np.uint64), [])],
    )

    found = {number: (blocks.tolist(), places.tolist()) for number, blocks, places in contents.by_segment()}

    assert {3: ([5, 9], [0, 2]), 7: ([6, 2], [0, 1])} == found
    assert {3: 2, 7: 2} == contents.live()


def test_blocks_become_ranges_of_bytes() -> None:
    """Neighbouring blocks are one range."""
    assert [(4096, 8192), (20480, 4096)] == ranges(np.array([1, 2, 5], np.uint64), 4096)
    assert [] == ranges(np.empty(0, np.uint64), 4096)


def test_blocks_outside_of_ranges() -> None:
    """Only what lies in no range is left."""
    assert [1, 9] == outside(np.array([1, 4, 5, 8, 9], np.uint64), [(4, 6), (8, 9)]).tolist()


def test_a_disk_of_zeroes_uses_no_segment() -> None:
    """Nothing is told of an empty disk, and that is no error."""
    assert [] == list(Contents.empty().by_segment())
    assert {} == Contents.empty().live()
    assert 0 == len(replay(Contents.empty(), [Effect(1, np.empty(0, np.uint64), [(0, 5)])]))
