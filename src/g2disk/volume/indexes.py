"""`SegmentIndexes`, the indexes of segments that are being read, the last used of them kept in memory."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from g2disk.volume.format.sealing import Sealer
from g2disk.volume.format.segment import SegmentIndex, index_length
from g2disk.volume.stored import Source, StoredBytes
from g2disk.volume.workers import Workers

_HEADER = 64 << 10
"""Bytes that are asked for first: the header, and of most segments the whole index."""


class SegmentIndexes:
    """Indexes by segment number; within a volume and what it was cloned from, numbers name one segment each."""

    def __init__(self, stored: StoredBytes, workers: Workers, sealer: Sealer, limit: int) -> None:
        self._stored = stored
        self._workers = workers
        self._sealer = sealer
        self._limit = limit
        self._indexes: OrderedDict[int, SegmentIndex] = OrderedDict()
        self._bytes = 0
        self._coming: dict[int, asyncio.Task[SegmentIndex]] = {}

    def get_now(self, number: int) -> SegmentIndex | None:
        """The index if it is in memory."""
        index = self._indexes.get(number)
        if index is not None:
            self._indexes.move_to_end(number)
        return index

    async def get(self, source: Source) -> SegmentIndex:
        """The index, from the store if need be.  Raises `NotFound`, `Corrupt`."""
        number = source.name.number
        index = self.get_now(number)
        if index is not None:
            return index
        task = self._coming.get(number)
        if task is None:
            task = self._coming[number] = self._workers.start(self._load(source))
        return await self._workers.outcome(task)

    def add(self, index: SegmentIndex) -> None:
        """Keep the index of a segment that was just stored."""
        number = index.name.number
        self._forget(number)
        self._indexes[number] = index
        self._bytes += _memory(index)
        while self._bytes > self._limit and len(self._indexes) > 1:
            self._forget(next(iter(self._indexes)))

    def _forget(self, number: int) -> None:
        index = self._indexes.pop(number, None)
        if index is not None:
            self._bytes -= _memory(index)

    async def _load(self, source: Source) -> SegmentIndex:
        try:
            index = await load_index(self._stored, source, self._sealer)
            self.add(index)
            return index
        finally:
            del self._coming[source.name.number]


async def load_index(stored: StoredBytes, source: Source, sealer: Sealer) -> SegmentIndex:
    """Read and decode the index of a segment.  Raises `NotFound`, `Corrupt`."""
    head = await stored.read(source, 0, _HEADER)
    length = index_length(head)
    data = head if length <= len(head) else await stored.read(source, 0, length)
    return SegmentIndex.decode(memoryview(data)[:length], source.name, sealer)


def _memory(index: SegmentIndex) -> int:
    return 1024 + 4 * len(index.crcs) + 12 * len(index.extent_blocks) + 16 * len(index.zero_blocks)
