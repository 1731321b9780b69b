"""Which segments are worth moving (pure)."""

from __future__ import annotations

from collections.abc import Sequence

from g2disk.volume.format.manifest import Head
from g2disk.volume.format.names import SegmentName
from g2disk.volume.map.table import SegmentTable

LIVE_TARGET = 0.77
"""The part of all stored blocks that should be in use.  When writes are scattered evenly, keeping this up means moving
segments that are 55 to 60% full, and that costs 1.2 to 1.5 bytes moved for each byte written."""
FULLEST = 0.85
"""A segment with this part of it in use is never moved by itself: it costs much and frees little."""


def victims(
    table: SegmentTable, snapshots: Sequence[Head], first: int, ratio: float, target: float = LIVE_TARGET
) -> list[SegmentName]:
    """The segments from number `first` on to move, the emptiest first: all with less than `ratio` of their blocks in
    use, and others as long as less than `target` of all stored blocks is.  None that a snapshot needs.
    """
    chosen = table.candidates(ratio, snapshots, first)
    garbage = table.stored_blocks - table.live_blocks
    most = int(table.stored_blocks * (1 - target))
    taken = {name.number for name in chosen}
    garbage -= sum(_garbage(table, name) for name in chosen)
    if garbage <= most:
        return chosen
    for name in table.candidates(max(FULLEST, ratio), snapshots, first):
        if name.number in taken:
            continue
        chosen.append(name)
        garbage -= _garbage(table, name)
        if garbage <= most:
            break
    return chosen


def _garbage(table: SegmentTable, name: SegmentName) -> int:
    row = table.segments.row(name.number)
    assert row is not None
    return int(table.segments.total[row]) - int(table.segments.live[row])
