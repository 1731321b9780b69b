"""Runs of blocks that are stored side by side, or that are all zeroes."""

from __future__ import annotations

import numpy as np

from g2disk.volume.format.pages import U64

Run = tuple[int, int, int]
"""First block, count, and the location of the first block; 0: all are zeroes."""


def append_run(runs: list[Run], block: int, count: int, location: int) -> None:
    """Append `count` blocks, which may be none; joined with the run before if they continue it."""
    if not count:
        return
    if runs:
        first, before, start = runs[-1]
        if location == (start and start + before):
            runs[-1] = (first, before + count, start)
            return
    runs.append((block, count, location))


def append_runs(runs: list[Run], block: int, locations: U64) -> None:
    """Append successive blocks that are at `locations`."""
    before, after = locations[:-1], locations[1:]
    continued = (after == before + np.uint64(1)) & (before != 0) | (after == 0) & (before == 0)
    starts = [0, *(np.flatnonzero(~continued) + 1).tolist()]
    ends = [*starts[1:], len(locations)]
    found = locations[starts].tolist()
    append_run(runs, block, ends[0], found[0])
    runs += [
        (block + start, end - start, location)
        for start, end, location in zip(starts[1:], ends[1:], found[1:], strict=True)
    ]
