"""Locations: where a block is, as 64 bits: the segment's number << 24 | the block's ordinal in the segment.

0 stands for a block of zeroes, which no segment holds.
"""

from __future__ import annotations

ORDINAL_BITS = 24
MOST_BLOCKS = 1 << ORDINAL_BITS
"""In one segment."""
ZEROES = 0
"""The location of a block that was never written, or zeroed since."""
BLOCK_LIMIT = 1 << 52
"""All block numbers are smaller: 8 EiB have 2^51 blocks of 4 KiB."""


def location(number: int, ordinal: int) -> int:
    """The location of that block of segment `number`."""
    return number << ORDINAL_BITS | ordinal


def segment_number(at: int) -> int:
    """The number of the segment that location `at` lies in."""
    return at >> ORDINAL_BITS


def ordinal(at: int) -> int:
    """Where in its segment location `at` lies, in blocks."""
    return at & MOST_BLOCKS - 1
