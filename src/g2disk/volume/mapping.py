"""The states of a volume's ranges, as `Disk.extents` tells them."""

from __future__ import annotations

from g2disk.disk import Extent, coalesce
from g2disk.volume.map.overlay import BELOW, JOURNAL
from g2disk.volume.reading import Layers

_MOST = 1024
"""Extents in one answer, about."""
_FIRST_STEP = 1024
"""Blocks that are looked at first; the steps grow while there is little to find."""


async def find_extents(layers: Layers, offset: int, length: int) -> list[Extent]:
    """The states of a range in bytes, as many as fit one answer."""
    size = layers.block_size
    end = offset + length
    block, last = offset // size, -(-end // size)
    step = _FIRST_STEP
    found: list[Extent] = []
    while block < last and len(found) < _MOST:
        count = min(step, last - block)
        states = await _states(layers, block, count)
        for first, many, hole in states:
            begin, stop = max(first * size, offset), min((first + many) * size, end)
            found.append(Extent(begin, stop - begin, hole=hole, zero=hole))
        block += count
        step = step * 8 if len(states) < _FIRST_STEP // 8 else _FIRST_STEP
        found = coalesce(found)
    return found


async def _states(layers: Layers, block: int, count: int) -> list[tuple[int, int, bool]]:
    """First block, count, and whether it is a hole."""
    states: list[tuple[int, int, bool]] = []
    for first, many, kind, _ in layers.overlay.find(block, count):
        if kind == BELOW:
            runs = await layers.map.find(first, many)
            states.extend((at, length, not location) for at, length, location in runs)
        else:
            states.append((first, many, kind != JOURNAL))
    return states
