"""The segments of a volume, as fsck reads them: each one's index, and its data if that is wanted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from g2disk.disk import Buffer
from g2disk.errors import Corrupt
from g2disk.objects.store import ObjectStore
from g2disk.threads import Runner
from g2disk.volume.format.sealing import Sealer
from g2disk.volume.format.segment import SegmentIndex, SegmentName, index_length, read_blocks, stored_range
from g2disk.volume.fsck.contents import Effect

FRONT_BYTES = 64 << 10
"""What is asked for first: the header, and of most segments the whole index."""

Bits = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Segments:
    """Reads segments of a volume and its ancestors."""

    objects: ObjectStore
    sealer: Sealer
    runner: Runner

    async def index(self, key: str, name: SegmentName) -> SegmentIndex:
        """The index of the segment under `key`.  Raises `NotFound`, `Corrupt`."""
        front = await self.objects.get_range(key, 0, FRONT_BYTES)
        length = index_length(front)
        if length > len(front):
            front = await self.objects.get_range(key, 0, length)
        return await self.runner.run(SegmentIndex.decode, front, name, self.sealer)

    async def damaged(self, key: str, index: SegmentIndex) -> Bits:
        """For each block of the segment, whether its data is damaged.  Raises `NotFound`."""
        data = await self.objects.get(key)
        return await self.runner.run(_damaged, index, data)


async def stored_length(objects: ObjectStore, key: str, index: SegmentIndex) -> bool:
    """Whether the object is as long as its index says, without reading it.  Raises `NotFound`."""
    if not index.stored_bytes:
        return True
    last = await objects.get_range(key, index.stored_bytes - 1, 2)
    return len(last) == 1


def effect_of(index: SegmentIndex) -> Effect:
    """What the segment does to the disk."""
    zeroes = list(zip(index.zero_blocks.tolist(), index.zero_counts.tolist(), strict=True))
    return Effect(index.name.number, index.blocks(), zeroes)


def _damaged(index: SegmentIndex, data: Buffer) -> Bits:
    """Which blocks do not have their checksums: as a whole, or else one by one."""
    damaged = np.zeros(index.block_count, dtype=bool)
    if index.block_count and not _reads(index, 0, index.block_count, data):
        for ordinal in range(index.block_count):
            damaged[ordinal] = not _reads(index, ordinal, 1, data)
    return damaged


def _reads(index: SegmentIndex, ordinal: int, count: int, data: Buffer) -> bool:
    offset, length = stored_range(index, ordinal, count)
    try:
        read_blocks(index, ordinal, count, memoryview(data)[offset : offset + length], offset)
    except Corrupt:
        return False
    return True
