"""`StoredBytes`, the bytes of segments: from the read cache, and the rest by ranged gets, joined and shared."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from g2disk.disk import Buffer
from g2disk.objects.store import ObjectStore
from g2disk.units import MIB
from g2disk.volume.cache import CHUNK, ReadCache
from g2disk.volume.format.names import SegmentName
from g2disk.volume.workers import Workers

MOST_AT_ONCE = 4 * MIB // CHUNK
"""Chunks in one get."""


@dataclass(frozen=True, slots=True)
class Source:
    """A segment, and the volume that owns it: the clone's own or an ancestor."""

    volume: str
    name: SegmentName

    @property
    def key(self) -> str:
        """Its key in the store."""
        return self.name.key(self.volume)


@dataclass(frozen=True, slots=True)
class _Get:
    """A get in flight; what it brings stays here as long as somebody holds it."""

    first: int
    task: asyncio.Task[Buffer]

    def chunk(self, number: int) -> memoryview:
        start = (number - self.first) * CHUNK
        return memoryview(self.task.result())[start : start + CHUNK]


class StoredBytes:
    """Reads segments by chunks; whoever needs a chunk that is on its way waits for it."""

    def __init__(self, objects: ObjectStore, cache: ReadCache, workers: Workers) -> None:
        self._objects = objects
        self._cache = cache
        self._workers = workers
        self._coming: dict[tuple[SegmentName, int], _Get] = {}

    def read_now(self, source: Source, offset: int, length: int) -> Buffer | None:
        """`length` bytes from byte `offset` on if the cache has them all, else None."""
        found: list[Buffer] = []
        for chunk in range(offset // CHUNK, (offset + length - 1) // CHUNK + 1):
            data = self._cache.get(source.volume, source.name, chunk)
            if data is None:
                return None
            found.append(data)
        return _cut(found, offset % CHUNK, length)

    async def read(self, source: Source, offset: int, length: int) -> Buffer:
        """`length` bytes from byte `offset` on; fewer where the object ends.  Raises `NotFound`."""
        first, last = offset // CHUNK, (offset + length - 1) // CHUNK
        found: list[Buffer | _Get] = list(self._begin(source, first, last))
        if isinstance(found[0], _Get) and all(each is found[0] for each in found):
            return await self._read_one(found[0], offset, length)
        chunks: list[Buffer] = []
        for number, each in enumerate(found, first):
            if isinstance(each, _Get):
                await self._workers.outcome(each.task)
                chunks.append(each.chunk(number))
            else:
                chunks.append(each)
        return _cut(chunks, offset % CHUNK, length)

    async def _read_one(self, get: _Get, offset: int, length: int) -> Buffer:
        """What one get brings all of, without a copy."""
        await self._workers.outcome(get.task)
        start = offset - get.first * CHUNK
        return memoryview(get.task.result())[start : start + length]

    def prefetch(self, source: Source, offset: int, length: int) -> None:
        """Begin to bring a range into the cache."""
        for _ in self._begin(source, offset // CHUNK, (offset + length - 1) // CHUNK):
            pass

    def _begin(self, source: Source, first: int, last: int) -> Iterator[Buffer | _Get]:
        """Of each chunk its data or the get that will bring it; all gets are begun before the first is given."""
        found: list[Buffer | _Get | None] = []
        for number in range(first, last + 1):
            data: Buffer | _Get | None = self._coming.get((source.name, number))
            if data is None:
                data = self._cache.get(source.volume, source.name, number)
            found.append(data)
        at = 0
        while at < len(found):
            if found[at] is None:
                end = at
                while end < len(found) and found[end] is None and end - at < MOST_AT_ONCE:
                    end += 1
                get = self._get(source, first + at, first + end)
                found[at:end] = [get] * (end - at)
                at = end
            else:
                at += 1
        return (each for each in found if each is not None)

    def _get(self, source: Source, first: int, end: int) -> _Get:
        get = _Get(first, self._workers.start(self._load(source, first, end)))
        for number in range(first, end):
            self._coming[source.name, number] = get
        return get

    async def _load(self, source: Source, first: int, end: int) -> Buffer:
        try:
            data = await self._objects.get_range(source.key, first * CHUNK, (end - first) * CHUNK)
            view = memoryview(data)
            for number in range(first, end):
                piece = view[(number - first) * CHUNK : (number - first + 1) * CHUNK]
                if piece:
                    self._cache.put(source.volume, source.name, number, piece)
            return view
        finally:
            for number in range(first, end):
                del self._coming[source.name, number]


def _cut(chunks: list[Buffer], start: int, length: int) -> Buffer:
    """`length` bytes from `start` on of the joined chunks, without a copy where one chunk has them."""
    if len(chunks) == 1:
        return memoryview(chunks[0])[start : start + length]
    views = [memoryview(chunk) for chunk in chunks]
    views[0] = views[0][start:]
    over = sum(map(len, views)) - length
    if over > 0:
        views[-1] = views[-1][: len(views[-1]) - over]
    return b"".join(views)
