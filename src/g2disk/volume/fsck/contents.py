"""`Contents`, which block of a disk is where: all of it in memory, 16 bytes for each block that was written (pure).

This is the map once more, told another way: fsck holds it against the map that the volume uses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

U64: TypeAlias = npt.NDArray[np.uint64]
I64: TypeAlias = npt.NDArray[np.int64]

_ORDINAL_BITS = np.uint64(24)
_ORDINALS = np.uint64((1 << 24) - 1)


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """Blocks that hold data, ascending, each with its location; all others are zeroes."""

    blocks: U64
    locations: U64

    @staticmethod
    def empty() -> Contents:
        """A disk of zeroes."""
        return Contents(np.empty(0, np.uint64), np.empty(0, np.uint64))

    def __len__(self) -> int:
        return len(self.blocks)

    def same(self, other: Contents) -> bool:
        """Whether both say the same of every block."""
        return np.array_equal(self.blocks, other.blocks) and np.array_equal(self.locations, other.locations)

    def live(self) -> dict[int, int]:
        """How many blocks of each segment are in use, by the segment's number."""
        numbers, counts = np.unique(self.locations >> _ORDINAL_BITS, return_counts=True)
        return dict(zip(numbers.tolist(), counts.tolist(), strict=True))

    def by_segment(self) -> Iterator[tuple[int, U64, I64]]:
        """For each segment in use: its number, the blocks, and where in the segment each of them is, ascending."""
        if not len(self):
            return
        order = np.argsort(self.locations)
        numbers = self.locations[order] >> _ORDINAL_BITS
        firsts = np.flatnonzero(np.diff(numbers, prepend=np.uint64(0)))
        ends = np.append(firsts[1:], len(numbers))
        for first, end in zip(firsts.tolist(), ends.tolist(), strict=True):
            rows = order[first:end]
            yield int(numbers[first]), self.blocks[rows], (self.locations[rows] & _ORDINALS).astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Effect:
    """What a segment does to a disk: first the zeroes, then the data."""

    number: int
    blocks: U64
    """By ordinal."""
    zeroes: Sequence[tuple[int, int]]
    """Ranges (first block, count)."""


def replay(base: Contents, effects: Sequence[Effect]) -> Contents:
    """The disk after `effects`, in this order."""
    if not effects:
        return base
    blocks = np.concatenate([base.blocks, *(effect.blocks for effect in effects)])
    ranks = np.repeat(
        np.arange(len(effects) + 1, dtype=np.int64), [len(base), *(len(effect.blocks) for effect in effects)]
    )
    locations = np.concatenate([base.locations, *(_locations(effect) for effect in effects)])
    order = np.argsort(blocks, kind="stable")  # of each block's versions the last one stays the last
    ordered = blocks[order]
    last = np.ones(len(order), dtype=bool)
    last[:-1] = ordered[1:] != ordered[:-1]
    order, ordered = order[last], ordered[last]
    ranks = ranks[order]
    keep = np.ones(len(order), dtype=bool)
    for rank, effect in enumerate(effects, 1):
        for block, count in effect.zeroes:
            first, end = np.searchsorted(ordered, np.array([block, block + count], dtype=np.uint64)).tolist()
            keep[first:end] &= ranks[first:end] >= rank
    return Contents(ordered[keep], locations[order[keep]])


def ranges(blocks: U64, block_size: int) -> list[tuple[int, int]]:
    """The bytes (offset, length) of these blocks, which ascend, neighbours joined."""
    firsts, counts = runs(blocks)
    return [
        (first * block_size, count * block_size) for first, count in zip(firsts.tolist(), counts.tolist(), strict=True)
    ]


def runs(blocks: U64) -> tuple[U64, U64]:
    """These blocks, which ascend, as ranges: first blocks, and counts."""
    if not len(blocks):
        return blocks, blocks
    starts = np.append(0, np.flatnonzero(np.diff(blocks) != 1) + 1)
    counts = np.diff(np.append(starts, len(blocks)))
    return blocks[starts], counts.astype(np.uint64)


def outside(blocks: U64, parts: Sequence[tuple[int, int]]) -> U64:
    """Those of `blocks`, which ascend, that lie in none of the ranges [first, end)."""
    keep = np.ones(len(blocks), dtype=bool)
    for first, end in parts:
        start, stop = np.searchsorted(blocks, np.array([first, end], dtype=np.uint64)).tolist()
        keep[start:stop] = False
    return blocks[keep]


def _locations(effect: Effect) -> U64:
    return (np.uint64(effect.number) << _ORDINAL_BITS) + np.arange(len(effect.blocks), dtype=np.uint64)
