"""`Reader`, the blocks of a volume: from the journal, from nowhere where they are zeroes, else from segments."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from g2disk.disk import Buffer
from g2disk.errors import Corrupt, NotFound
from g2disk.threads import Runner
from g2disk.volume.format.locations import ordinal as ordinal_of
from g2disk.volume.format.locations import segment_number
from g2disk.volume.format.manifest import Manifest
from g2disk.volume.format.names import SegmentName
from g2disk.volume.format.segment import SegmentIndex, read_blocks, stored_range
from g2disk.volume.indexes import SegmentIndexes
from g2disk.volume.journal.journal import Journal
from g2disk.volume.map.block_map import BlockMap
from g2disk.volume.map.overlay import JOURNAL, ZERO, Overlay
from g2disk.volume.readahead import Readahead
from g2disk.volume.stored import Source, StoredBytes
from g2disk.volume.workers import Workers

_AT_ONCE = 256 << 10
"""Bytes up to which blocks are decoded on the event loop."""

_MOST_AHEAD = 32 << 20
"""Bytes that one call brings into the cache: all of it is asked for at once."""

_ZEROES = memoryview(bytes(1 << 20))


Placed = tuple[Source | None, int, int]
"""The segment of a run of blocks, None for zeroes; the ordinal of the first of them; and how many they are."""


@dataclass(slots=True)
class Layers:
    """Where blocks may be, from the newest to the oldest; a rollback puts another map here."""

    overlay: Overlay
    journal: Journal | None
    map: BlockMap
    block_size: int


def source_finder(manifest: Callable[[], Manifest], layers: Layers) -> Callable[[int], Source]:
    """Finds the segment of a number, for what the map of `layers` points to."""

    def find(number: int) -> Source:
        return Source(manifest().owner(number), SegmentName(number, layers.map.table.epoch(number)))

    return find


class Reader:
    """Reads whole blocks.  `source_of` says where the segment of a number is."""

    def __init__(
        self,
        layers: Layers,
        stored: StoredBytes,
        indexes: SegmentIndexes,
        source_of: Callable[[int], Source],
        runner: Runner,
        workers: Workers,
        readahead: Readahead,
        confirm: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`confirm` is awaited before data is called lost: it raises if the volume is another writer's by now."""
        self.layers = layers
        self._stored = stored
        self._indexes = indexes
        self._source_of = source_of
        self._runner = runner
        self._workers = workers
        self._readahead = readahead
        self._confirm = confirm

    def read_now(self, first: int, count: int) -> Buffer | None:
        """The data of `count` blocks where no waiting is needed for it, else None."""
        layers = self.layers
        pieces: list[Buffer] = []
        for block, length, kind, position in layers.overlay.find(first, count):
            if kind == JOURNAL:
                assert layers.journal is not None
                pieces.append(layers.journal.read(position, length * layers.block_size))
            elif kind == ZERO:
                pieces.append(self._zeroes(length))
            else:
                try:
                    runs = layers.map.find_now(block, length)
                    if runs is None or not self._read_runs_now(runs, pieces):
                        return None
                except NotFound:
                    return None  # `read` finds out what became of it
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def read(self, first: int, count: int) -> Buffer:
        """The data of `count` blocks.  Raises `Corrupt`, and what the journal and the store raise."""
        layers = self.layers
        pieces: list[Buffer | None] = []
        below: list[tuple[int, int, int]] = []
        # What the journal has is read before anything is waited for: later it may have moved to the store.
        for block, length, kind, position in layers.overlay.find(first, count):
            if kind == JOURNAL:
                assert layers.journal is not None
                pieces.append(layers.journal.read(position, length * layers.block_size))
            elif kind == ZERO:
                pieces.append(self._zeroes(length))
            else:
                below.append((len(pieces), block, length))
                pieces.append(None)
        if below:
            self._look_ahead(first, count)
        for place, block, length in below:
            pieces[place] = await self._read_below(block, length)
        known = [piece for piece in pieces if piece is not None]
        return known[0] if len(known) == 1 else b"".join(known)

    async def prefetch(self, first: int, count: int) -> None:
        """Bring what the store has of a range into the cache; of a long one, the beginning."""
        count = min(count, max(_MOST_AHEAD // self.layers.block_size, 1))
        runs = await self.layers.map.find(first, count)
        try:
            placed = self._placed(runs)
        except NotFound:
            return  # collected meanwhile
        for source, ordinal, length in placed:
            if source is not None:
                try:
                    index = await self._indexes.get(source)
                except NotFound:
                    continue  # it was collected meanwhile
                self._stored.prefetch(source, *stored_range(index, ordinal, length))

    def _look_ahead(self, first: int, count: int) -> None:
        ahead = self._readahead.seen(first, count)
        if ahead is not None:
            self._workers.start(self.prefetch(*ahead))

    async def _read_below(self, first: int, count: int) -> Buffer:
        """What the map says of a range.  A segment that is gone was collected meanwhile: the map knows better then."""
        runs = await self.layers.map.find(first, count)
        while True:
            try:
                return await self._read_placed(self._placed(runs))
            except NotFound as error:
                if self._confirm is not None:
                    await self._confirm()
                again = await self.layers.map.find(first, count)
                if again == runs:
                    raise Corrupt(f"blocks {first} to {first + count} are lost: {error}; run g2disk fsck") from error
                runs = again

    def _placed(self, runs: list[tuple[int, int, int]]) -> list[Placed]:
        """The segments of runs that the map just gave; asked later, the table may not know them any more."""
        return [
            (self._source_of(segment_number(location)), ordinal_of(location), length) if location else (None, 0, length)
            for _, length, location in runs
        ]

    async def _read_placed(self, placed: list[Placed]) -> Buffer:
        found: list[tuple[SegmentIndex, Source, int, int] | int] = []
        for source, ordinal, length in placed:
            if source is None:
                found.append(length)
                continue
            index = await self._indexes.get(source)
            found.append((index, source, ordinal, length))
            if len(placed) > 1:
                self._stored.prefetch(source, *stored_range(index, ordinal, length))
        pieces = [self._zeroes(each) if isinstance(each, int) else await self._read_stored(*each) for each in found]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def _read_stored(self, index: SegmentIndex, source: Source, ordinal: int, count: int) -> Buffer:
        offset, length = stored_range(index, ordinal, count)
        data = await self._stored.read(source, offset, length)
        if count * self.layers.block_size <= _AT_ONCE:
            return read_blocks(index, ordinal, count, data, offset)
        return await self._runner.run(read_blocks, index, ordinal, count, data, offset)

    def _read_runs_now(self, runs: list[tuple[int, int, int]], pieces: list[Buffer]) -> bool:
        """Add the data of `runs` to `pieces`; False where some is missing or too much."""
        for _, length, location in runs:
            if not location:
                pieces.append(self._zeroes(length))
                continue
            index = self._indexes.get_now(segment_number(location))
            if index is None or length * self.layers.block_size > _AT_ONCE:
                return False
            ordinal = ordinal_of(location)
            offset, size = stored_range(index, ordinal, length)
            data = self._stored.read_now(self._source_of(segment_number(location)), offset, size)
            if data is None:
                return False
            pieces.append(read_blocks(index, ordinal, length, data, offset))
        return True

    def _zeroes(self, count: int) -> Buffer:
        length = count * self.layers.block_size
        return _ZEROES[:length] if length <= len(_ZEROES) else bytes(length)
