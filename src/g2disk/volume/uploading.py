"""`Uploader`, the way from the journal to the store: entries are packed into segments, which are put several at once
and take effect in the order of their numbers.

Tasks: `pack` begins segments, one worker each builds and puts one, `apply` lets them take effect.  Whoever holds
`changing` may take over the work of `apply`, with `advance`.  Between a segment's number being given and its place in
`_shipments` nothing is waited for, so numbers are without gaps and in order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from g2disk.clock import Clock
from g2disk.objects.store import ObjectStore
from g2disk.threads import Runner
from g2disk.volume.format.names import SegmentName
from g2disk.volume.format.pages import U64
from g2disk.volume.format.sealing import Sealer
from g2disk.volume.format.segment import SegmentIndex, SegmentKind, build_segment
from g2disk.volume.indexes import SegmentIndexes
from g2disk.volume.journal.entry import WRITE, Entry
from g2disk.volume.packing import Extents, pack
from g2disk.volume.reading import Layers
from g2disk.volume.workers import Workers

Make = Callable[[int], Coroutine[Any, Any, SegmentIndex]]
"""Builds and puts the segment of the number that it is given."""

_MOST_ENTRIES = 16384
"""In one segment, so that many small zeroes make no endless index."""


@dataclass(slots=True, eq=False)
class Shipment:
    """A segment on its way."""

    number: int
    entries: Sequence[Entry]
    """What it holds of the journal; empty for a collected one."""
    expected: U64 | None
    """Of a collected one, where its blocks were."""
    since: float
    """When its oldest entry was appended, by the clock's `now`."""
    data_bytes: int
    stored: asyncio.Task[SegmentIndex]
    applied: asyncio.Future[None]
    """Done when it has taken effect."""


@dataclass(frozen=True, slots=True)
class Writing:
    """What segments are made and stored with."""

    volume: str
    epoch: int
    objects: ObjectStore
    sealer: Sealer
    runner: Runner
    clock: Clock
    segment_bytes: int
    concurrency: int
    delay: float


class Uploader:
    """See the module.  `effective` is called after each segment that took effect."""

    def __init__(
        self,
        writing: Writing,
        layers: Layers,
        indexes: SegmentIndexes,
        workers: Workers,
        changing: asyncio.Lock,
        effective: Callable[[], None],
    ) -> None:
        self._writing = writing
        self._layers = layers
        self._indexes = indexes
        self._workers = workers
        self._changing = changing
        self._effective = effective
        self.next = 1
        """The number of the next segment."""
        self.applied = 1
        """All segments with smaller numbers have taken effect."""
        self.applied_sequence = 0
        """Of the last entry that has taken effect."""
        self._pending: deque[Entry] = deque()
        self._pending_bytes = 0
        self._pending_since = 0.0
        self._forced = 0
        """Entries up to this sequence number are packed though they fill no segment."""
        self._shipments: deque[Shipment] = deque()
        self._puts = asyncio.Semaphore(writing.concurrency)
        self._packable = asyncio.Event()
        self._shipped = asyncio.Event()
        self._advanced = asyncio.Event()

    def begin(self, number: int, sequence: int) -> None:
        """Say which number the next segment gets, and the last sequence number that has taken effect."""
        self.next = self.applied = number
        self.applied_sequence = sequence

    def add(self, entries: Sequence[Entry]) -> None:
        """Take entries that were just appended."""
        if not self._pending:
            self._pending_since = self._writing.clock.now()
        self._pending.extend(entries)
        size = self._layers.block_size
        for entry in entries:
            if entry.kind == WRITE:
                self._pending_bytes += entry.count * size
        if self._pending_bytes >= self._writing.segment_bytes or len(self._pending) >= _MOST_ENTRIES:
            self._packable.set()

    def force(self) -> None:
        """Have everything packed that was appended up to now."""
        if self._pending:
            self._forced = self._pending[-1].sequence
            self._packable.set()

    def force_old(self) -> None:
        """Have it packed if the oldest of it waits for longer than it should."""
        if self._pending and self._writing.clock.now() - self._pending_since >= self._writing.delay:
            self.force()

    @property
    def unstored_bytes(self) -> int:
        """Data that was appended, and is not in the store yet."""
        return self._pending_bytes + sum(s.data_bytes for s in self._shipments if not s.stored.done())

    @property
    def unstored_since(self) -> float | None:
        """When the oldest of it was appended."""
        waiting = [shipment.since for shipment in self._shipments if not shipment.stored.done()]
        if self._pending:
            waiting.append(self._pending_since)
        return min(waiting, default=None)

    async def store_all(self) -> None:
        """Return when everything that was appended before is in the store, and all segments with lower numbers."""
        sequence = self._pending[-1].sequence if self._pending else 0
        self.force()
        while self._pending and self._pending[0].sequence <= sequence:
            await self._next_shipment()
        for shipment in tuple(self._shipments):
            await self._workers.outcome(shipment.stored)

    async def settle(self) -> None:
        """Return when everything that was appended before has taken effect.  The caller holds `changing`, so all of it
        is done here, and what is appended meanwhile takes no effect.
        """
        sequence = self._pending[-1].sequence if self._pending else 0
        self.force()
        while self._pending and self._pending[0].sequence <= sequence:
            if self._shipments:
                await self.advance()  # which may be what the packing waits for
            else:
                await self._next_shipment()
        end = self.next
        while self.applied < end:
            await self.advance()

    async def pack(self) -> None:
        """Begin segments, as long as the volume is open."""
        while True:
            await self._packable.wait()
            while self.full:
                self._advanced.clear()
                await self._advanced.wait()
            entries = self._take()
            if entries:
                self._ship(entries, None, partial(self._build, entries=entries))
            else:
                self._packable.clear()

    async def apply(self) -> None:
        """Let segments take effect, as long as the volume is open."""
        while True:
            while not self._shipments:
                await self._next_shipment()
            await self._workers.outcome(self._shipments[0].stored)
            async with self._changing:
                if self._shipments and self._shipments[0].stored.done():
                    await self.advance()

    async def advance(self) -> None:
        """Let the next segment take effect, when it is stored.  The caller holds `changing`, and there is one."""
        shipment = self._shipments[0]
        index = await self._workers.outcome(shipment.stored)
        await self._layers.map.apply(index, shipment.expected)
        # From here on nothing waits: readers find each block in the overlay or in the map.
        self._indexes.add(index)
        if shipment.entries:
            self._layers.overlay.settle(shipment.entries)
            self.applied_sequence = shipment.entries[-1].sequence
            self._release(shipment.entries[-1])
        self._shipments.popleft()
        self.applied = shipment.number + 1
        self._advanced.set()
        shipment.applied.set_result(None)
        self._effective()

    @property
    def full(self) -> bool:
        """Whether as many segments are on their way as there may be."""
        return len(self._shipments) >= 2 * self._writing.concurrency

    def ship_collected(self, extents: Extents, expected: U64) -> Shipment:
        """Give the next number to a segment of blocks that garbage collection moves.  The caller holds `changing`, and
        chose the blocks with no waiting in between; see `g2disk.volume.collecting`.
        """
        return self._ship((), expected, partial(self._put_collected, extents=extents))

    def _release(self, last: Entry) -> None:
        journal = self._layers.journal
        assert journal is not None
        journal.release(last.position + 1)

    def _take(self) -> list[Entry]:
        """The entries of the next segment; none if there are too few."""
        size, most = self._layers.block_size, self._writing.segment_bytes
        pending, forced = self._pending, self._forced
        enough = self._pending_bytes >= most or len(pending) >= _MOST_ENTRIES
        if not pending or (pending[0].sequence > forced and not enough):
            return []
        taken: list[Entry] = []
        total = 0
        while pending and len(taken) < _MOST_ENTRIES:
            entry = pending[0]
            length = entry.count * size if entry.kind == WRITE else 0
            if (total + length > most and taken) or (entry.sequence > forced and not enough):
                break
            taken.append(pending.popleft())
            total += length
            self._pending_bytes -= length
        return taken

    def _ship(self, entries: Sequence[Entry], expected: U64 | None, make: Make) -> Shipment:
        """Give out the next number, and begin to build and put its segment."""
        number = self.next
        self.next += 1
        size = self._layers.block_size
        data_bytes = sum(entry.count * size for entry in entries if entry.kind == WRITE)
        task = self._workers.start(make(number))
        applied: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        shipment = Shipment(number, entries, expected, self._pending_since, data_bytes, task, applied)
        if entries:
            self._pending_since = self._writing.clock.now()
        self._shipments.append(shipment)
        self._shipped.set()
        return shipment

    async def _next_shipment(self) -> None:
        self._shipped.clear()
        await self._shipped.wait()

    async def _build(self, number: int, entries: Sequence[Entry]) -> SegmentIndex:
        """Pack entries, and put them."""
        journal = self._layers.journal
        assert journal is not None
        async with self._puts:
            packed = await self._writing.runner.run(pack, entries, self._layers.block_size, journal.read)
            return await self._put(number, SegmentKind.DATA, packed.sequences, packed.extents, packed.zeroes)

    async def _put_collected(self, number: int, extents: Extents) -> SegmentIndex:
        async with self._puts:
            return await self._put(number, SegmentKind.COLLECTED, (0, 0), extents, [])

    async def _put(
        self,
        number: int,
        kind: SegmentKind,
        sequences: tuple[int, int],
        extents: Extents,
        zeroes: Sequence[tuple[int, int]],
    ) -> SegmentIndex:
        writing = self._writing
        name = SegmentName(number, writing.epoch)
        index, data = await writing.runner.run(
            build_segment, name, kind, sequences, extents, zeroes, self._layers.block_size, writing.sealer
        )
        await writing.objects.put(name.key(writing.volume), data)
        return index
