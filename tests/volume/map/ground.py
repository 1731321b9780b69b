"""What the tests of maps stand on: segments without data, a store that takes its time, and a model in a dictionary."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import numpy as np

from g2disk.disk import Buffer
from g2disk.objects.memory import MemoryObjects
from g2disk.threads import Inline
from g2disk.volume.format.compression import Compression
from g2disk.volume.format.manifest import Head
from g2disk.volume.format.names import MapName, SegmentName
from g2disk.volume.format.sealing import Sealer
from g2disk.volume.format.segment import SegmentIndex, SegmentKind
from g2disk.volume.map.block_map import BlockMap
from g2disk.volume.map.pages import PageSource, PageWriter

VOLUME = "0123456789abcdef" * 2
GIANT = 1 << 51
"""Blocks of 4 KiB in 8 EiB."""


async def step() -> None:
    """Let everything else that is ready go on."""
    stepped = asyncio.Event()
    asyncio.get_running_loop().call_soon(stepped.set)
    await stepped.wait()


class SlowObjects(MemoryObjects):
    """Answers a few steps of the event loop later, and counts what it is asked; gets wait until they are `free`."""

    def __init__(self) -> None:
        super().__init__()
        self.gets: list[tuple[str, int, int]] = []
        self.puts: list[tuple[str, int]] = []
        self.free = asyncio.Event()
        self.free.set()

    async def get_range(self, key: str, offset: int, length: int) -> Buffer:
        self.gets.append((key, offset, length))
        await step()
        await self.free.wait()
        return await super().get_range(key, offset, length)

    async def put(self, key: str, data: Sequence[Buffer]) -> None:
        await step()
        self.puts.append((key, sum(map(len, data))))
        await super().put(key, data)


class Store:
    """Map objects of one volume, in memory."""

    def __init__(self, sealer: Sealer | None = None, object_bytes: int = 1 << 24) -> None:
        self.objects = SlowObjects()
        self.sealer = sealer or Sealer()
        self.next = 1
        self.object_bytes = object_bytes
        self.source = PageSource(self.objects, self.sealer, lambda name: name.key(VOLUME))

    def writer(self) -> PageWriter:
        """For one checkpoint."""
        return PageWriter(self.objects, self.sealer, Inline(), VOLUME, 1, self.next, self.object_bytes)

    async def checkpoint(self, mapping: BlockMap, following: int) -> Head:
        """Write one; the head that a manifest would have, when `following` is the number of the next segment."""
        writer = self.writer()
        root, table = await mapping.checkpoint(writer)
        self.next = writer.next
        checkpoints = mapping.checkpoints
        return Head(root=root, table=table, checkpoint=checkpoints, applied=following, next=following)

    def key(self, name: MapName) -> str:
        return name.key(VOLUME)


def segment(
    number: int,
    extents: Iterable[tuple[int, int]] = (),
    zeroes: Iterable[tuple[int, int]] = (),
    kind: SegmentKind = SegmentKind.DATA,
) -> SegmentIndex:
    """A segment with those ranges (first block, count)."""
    extents, zeroes = list(extents), list(zeroes)
    return SegmentIndex(
        SegmentName(number, 1),
        kind,
        4096,
        Compression.NONE,
        number,
        number,
        np.array([block for block, _ in zeroes], "<u8"),
        np.array([count for _, count in zeroes], "<u8"),
        np.array([block for block, _ in extents], "<u8"),
        np.array([count for _, count in extents], "<u4"),
        np.zeros(sum(count for _, count in extents), "<u4"),
        np.empty(0, "<u4"),
    )


class Model:
    """A map as a dictionary, and what follows from it."""

    def __init__(self) -> None:
        self.at: dict[int, int] = {}

    def apply(self, index: SegmentIndex, expected: np.ndarray | None = None) -> None:
        for block, count in zip(index.zero_blocks.tolist(), index.zero_counts.tolist(), strict=True):
            for each in [each for each in self.at if block <= each < block + count]:
                del self.at[each]
        for ordinal, block in enumerate(index.blocks().tolist()):
            if expected is None or self.at.get(block, 0) == int(expected[ordinal]):
                self.at[block] = index.name.number << 24 | ordinal

    def find(self, block: int, count: int) -> list[tuple[int, int, int]]:
        """As `BlockMap.find`, told from the blocks that are stored."""
        runs: list[tuple[int, int, int]] = []
        place = block
        for each in sorted(each for each in self.at if block <= each < block + count):
            if each > place:
                runs.append((place, each - place, 0))
            if (
                runs
                and runs[-1][2]
                and runs[-1][0] + runs[-1][1] == each
                and runs[-1][2] + runs[-1][1] == self.at[each]
            ):
                runs[-1] = (runs[-1][0], runs[-1][1] + 1, runs[-1][2])
            else:
                runs.append((each, 1, self.at[each]))
            place = each + 1
        if place < block + count:
            runs.append((place, block + count - place, 0))
        return runs

    def live(self) -> dict[int, int]:
        """Blocks in use, by segment."""
        counts: dict[int, int] = {}
        for location in self.at.values():
            counts[location >> 24] = counts.get(location >> 24, 0) + 1
        return counts


def live(mapping: BlockMap) -> dict[int, int]:
    """Blocks in use by segment, as the table says, of those that are alive; the dead have none."""
    rows = mapping.table.segments
    assert not rows.live[rows.died > 0].any()
    assert rows.live[rows.died == 0].all()
    return dict(zip(rows.number[rows.died == 0].tolist(), rows.live[rows.died == 0].tolist(), strict=True))
