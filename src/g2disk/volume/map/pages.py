"""`PageSource` and `PageWriter`: map pages in the object store.

A map object is nothing but sealed pages, one after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from g2disk.disk import Buffer
from g2disk.errors import Corrupt
from g2disk.objects.store import ObjectStore
from g2disk.threads import Runner
from g2disk.units import KIB, MIB
from g2disk.volume.format.manifest import PageReference
from g2disk.volume.format.names import MapName
from g2disk.volume.format.pages import References
from g2disk.volume.format.sealing import Sealer

OBJECT_BYTES = 16 * MIB
"""A map object ends with the page that reaches this."""

_GAP = 32 * KIB
"""Bytes nobody asked for that are got along where that saves a request."""
_MOST_AT_ONCE = 4 * MIB
"""Bytes in one request for several pages."""
_REQUESTS = 8
"""In flight at once."""


def page_context(key: str, offset: int) -> str:
    """What the page at byte `offset` of the map object under `key` is sealed under."""
    return f"{key}@{offset}"


class PageSource:
    """Reads pages."""

    def __init__(self, objects: ObjectStore, sealer: Sealer, key_of: Callable[[MapName], str]) -> None:
        """`key_of` says under which key a map object is stored: that of the volume that owns it."""
        self._objects = objects
        self._sealer = sealer
        self._key_of = key_of
        self._slots = asyncio.Semaphore(_REQUESTS)

    async def load(self, reference: PageReference) -> Buffer:
        """One page.  Raises `NotFound`, `Corrupt`, and what the store raises."""
        return (await self.load_many(References.of([reference])))[0]

    async def load_many(self, references: References) -> list[Buffer]:
        """Several, in the order of `references`; those that stand close together are got together."""
        order = np.lexsort((references.offsets, references.epochs, references.numbers)).tolist()
        ordered = [references[row] for row in order]
        pages: dict[int, Buffer] = {}

        async def bring(start: int, end: int) -> None:
            async with self._slots:
                pages.update(zip(order[start:end], await self._get(ordered[start:end]), strict=True))

        try:
            async with asyncio.TaskGroup() as tasks:
                for start, end in _groups(ordered):
                    tasks.create_task(bring(start, end))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures.exceptions[0].__cause__
        return [pages[row] for row in range(len(references))]

    async def _get(self, references: Sequence[PageReference]) -> list[Buffer]:
        first, last = references[0], references[-1]
        key = self._key_of(MapName(first.number, first.epoch))
        length = last.offset + last.length - first.offset
        data = memoryview(await self._objects.get_range(key, first.offset, length))
        if len(data) != length:
            raise Corrupt(f"{key}: ends before byte {first.offset + length}: run g2disk fsck")
        pages = []
        for each in references:
            start = each.offset - first.offset
            pages.append(self._sealer.open(page_context(key, each.offset), data[start : start + each.length]))
        return pages


def _groups(references: Sequence[PageReference]) -> Iterator[tuple[int, int]]:
    """Where to cut sorted references so that one request brings each part."""
    start = 0
    for row in range(1, len(references)):
        first, previous, each = references[start], references[row - 1], references[row]
        if (
            (each.number, each.epoch) != (first.number, first.epoch)
            or each.offset - (previous.offset + previous.length) > _GAP
            or each.offset + each.length - first.offset > _MOST_AT_ONCE
        ):
            yield start, row
            start = row
    if references:
        yield start, len(references)


@dataclass(slots=True, eq=False)
class WrittenObject:
    """A map object of a checkpoint."""

    name: MapName
    pages: int = 0
    length: int = 0
    """Bytes."""
    parts: list[bytes] = field(default_factory=list, repr=False)


class PageWriter:
    """Writes the pages of one checkpoint."""

    def __init__(
        self,
        objects: ObjectStore,
        sealer: Sealer,
        runner: Runner,
        volume: str,
        epoch: int,
        number: int,
        object_bytes: int = OBJECT_BYTES,
    ) -> None:
        """`number`: of the first map object.  It is never used again, whether or not the checkpoint comes to an end."""
        self.next = number
        """The number after those of the map objects that were begun: the manifest's `next_map`."""
        self.written: list[WrittenObject] = []
        """The map objects; what was not put yet is in the last."""
        self._objects = objects
        self._sealer = sealer
        self._runner = runner
        self._volume = volume
        self._epoch = epoch
        self._limit = object_bytes

    async def add(self, pages: Sequence[bytes]) -> list[PageReference]:
        """Seal and write pages; where they will be.  They are stored for certain when `finish` has returned."""
        references: list[PageReference] = []
        while len(references) < len(pages):
            target = self.last()
            rest = pages[len(references) :]
            references += await self._runner.run(self._seal, target, rest)
            if target.length >= self._limit:
                await self._put(target)
        return references

    def last(self) -> WrittenObject:
        """The object that the next page will go to."""
        if not self.written or self.written[-1].length >= self._limit:
            self.written.append(WrittenObject(MapName(self.next, self._epoch)))
            self.next += 1
        return self.written[-1]

    async def add_last(self, target: WrittenObject, page: bytes) -> PageReference:
        """As `add`, but to the object that `last` said, whatever its length.  Nothing comes after but more of these."""
        (reference,) = await self._runner.run(self._seal, target, [page], False)
        return reference

    async def finish(self) -> None:
        """Return when all pages are stored."""
        if self.written and self.written[-1].parts:
            await self._put(self.written[-1])

    def _seal(self, target: WrittenObject, pages: Sequence[bytes], limited: bool = True) -> list[PageReference]:
        key = target.name.key(self._volume)
        references = []
        for page in pages:
            if limited and target.length >= self._limit:
                break
            blob = self._sealer.seal(page_context(key, target.length), page)
            references.append(PageReference(target.name.number, self._epoch, target.length, len(blob)))
            target.parts.append(blob)
            target.length += len(blob)
            target.pages += 1
        return references

    async def _put(self, target: WrittenObject) -> None:
        await self._objects.put(target.name.key(self._volume), target.parts)
        target.parts = []
