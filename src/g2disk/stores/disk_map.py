"""`DiskMap`, what a disk on an object store is made of, coarse enough to draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cell:
    """One part of the range; all parts but the last have the same length."""

    written: int
    """Bytes that hold data."""
    oldest: int
    """The number of the earliest segment that holds any of it; 0 where nothing is written."""
    newest: int
    """The number of the latest one."""


@dataclass(frozen=True, slots=True)
class SegmentFigure:
    """One segment, or map object, in the object store."""

    number: int
    epoch: int
    total: int
    """Blocks, or pages of the map, that it was made of."""
    live: int
    """Those that the disk as it is now still needs."""
    stored: int
    """Bytes in the object store."""
    is_map: bool = False


@dataclass(frozen=True, slots=True)
class DiskMap:
    """A range of a disk, and all the segments of that disk."""

    offset: int
    length: int
    cell_bytes: int
    """The length of a part of the range, a multiple of the block size."""
    cells: Sequence[Cell]
    segments: Sequence[SegmentFigure]
    """Ascending by number; at most `MOST_SEGMENTS`, and then neighbours are put together under the first one's name."""


MOST_CELLS = 1 << 16
"""Parts in one map."""

MOST_SEGMENTS = 4096
