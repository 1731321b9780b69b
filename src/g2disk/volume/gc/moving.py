"""Reading what of a segment is still in use, to be stored anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from g2disk.disk import Buffer
from g2disk.volume.format.locations import location
from g2disk.volume.format.names import SegmentName
from g2disk.volume.format.segment import SegmentIndex, read_blocks, stored_range
from g2disk.volume.fsck.segments import Segments

if TYPE_CHECKING:
    from g2disk.volume.volume import Volume

_AT_ONCE = 256
"""Extents that are looked up before others get their turn on the event loop."""

Piece: TypeAlias = tuple[int, int, Buffer]
"""First block, location of the first block, data."""


@dataclass(frozen=True, slots=True)
class Live:
    """A run of blocks that stand together, in the disk and in the segment, and are in use."""

    block: int
    ordinal: int
    count: int


async def read_live(volume: Volume, name: SegmentName) -> list[Piece]:
    """What is still in use of a segment.  Raises `NotFound` and `Corrupt` where it is damaged."""
    key = volume.manifest.segment_key(name)
    runner = volume.resources.runner
    index = await Segments(volume.objects, volume.parts.sealer, runner).index(key, name)
    live = await _find_live(volume, index)
    if not live:
        return []
    data = await volume.objects.get(key)
    return await runner.run(_cut, index, live, data)


def arranged(pieces: list[Piece], block_size: int) -> tuple[list[tuple[int, Buffer]], npt.NDArray[np.uint64]]:
    """The pieces in the order of their blocks, as extents, and where each block was."""
    pieces.sort(key=lambda piece: piece[0])
    places = [np.arange(start, start + len(data) // block_size, dtype=np.uint64) for _, start, data in pieces]
    return [(block, data) for block, _, data in pieces], np.concatenate(places)


async def _find_live(volume: Volume, index: SegmentIndex) -> list[Live]:
    found: list[Live] = []
    for turn, extent in enumerate(index.extents()):
        if turn % _AT_ONCE == _AT_ONCE - 1:
            await volume.resources.clock.sleep(0)
        at = location(index.name.number, extent.ordinal)
        for block, count, where in await volume.map.find(extent.block, extent.count):
            if where == at + block - extent.block:
                found.append(Live(block, extent.ordinal + block - extent.block, count))
    return found


def _cut(index: SegmentIndex, live: list[Live], data: Buffer) -> list[Piece]:
    view = memoryview(data)
    pieces: list[Piece] = []
    for run in live:
        offset, length = stored_range(index, run.ordinal, run.count)
        blocks = read_blocks(index, run.ordinal, run.count, view[offset : offset + length], offset)
        pieces.append((run.block, location(index.name.number, run.ordinal), blocks))
    return pieces
