"""Reading the map of a head as far as it can be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from g2disk.disk import Buffer
from g2disk.errors import Corrupt, DiskError, NotFound
from g2disk.volume.format.manifest import Head, Manifest, PageReference
from g2disk.volume.format.names import MapName
from g2disk.volume.format.pages import (
    LEAF_BLOCKS,
    IndexPage,
    References,
    decode_index,
    decode_leaf,
    decode_root,
    decode_table,
)
from g2disk.volume.fsck.contents import U64, Contents
from g2disk.volume.fsck.report import Kind, Report
from g2disk.volume.map.pages import PageSource
from g2disk.volume.map.table import SegmentTable

Decoder: TypeAlias = Callable[[Buffer], IndexPage]

_BATCH = 512
"""Pages that are loaded at once."""


@dataclass(slots=True)
class MapFound:
    """What could be read of the map under a root."""

    contents: Contents = field(default_factory=Contents.empty)
    unknown: list[tuple[int, int]] = field(default_factory=list)
    """Ranges [first block, end) of which a page is missing or damaged."""
    pages: Counter[MapName] = field(default_factory=Counter)
    """How many pages of each map object are in use."""
    table: SegmentTable | None = None

    @property
    def whole(self) -> bool:
        """Nothing is missing."""
        return not self.unknown and self.table is not None


class MapReader:
    """Reads maps of a volume; what is wrong goes into the report, a line for each map object."""

    def __init__(self, pages: PageSource, manifest: Manifest, report: Report) -> None:
        self._pages = pages
        self._manifest = manifest
        self._report = report
        self._said: set[str] = set()
        self._blocks = 0
        self._known: dict[tuple[PageReference | None, PageReference | None], MapFound] = {}

    async def read(self, head: Head, size: int) -> MapFound:
        """The map of `head`'s root, without its runs.  Heads with one root have one map: it is read once."""
        known = self._known.get((head.root, head.table))
        if known is None:
            known = self._known[head.root, head.table] = await self._read(head, size)
        return known

    async def _read(self, head: Head, size: int) -> MapFound:
        found = MapFound()
        self._blocks = -(-size // self._manifest.block_size)
        if head.root is None or head.table is None:
            found.table = SegmentTable()
            return found
        found.pages.update((_object(head.root), _object(head.table)))
        await self._read_table(head.table, found)
        root = await self._one(head.root)
        page = self._decoded(decode_root, root, head.root)
        if page is None:
            found.unknown.append((0, self._blocks))
        else:
            await self._read_leaves(await self._read_index(page, found), found)
        return found

    async def _read_table(self, reference: PageReference, found: MapFound) -> None:
        data = await self._one(reference)
        if data is None:
            return
        try:
            found.table = SegmentTable.decode(decode_table(data))
        except Corrupt as error:
            self._say(reference, error)

    async def _read_index(self, root: IndexPage, found: MapFound) -> list[tuple[IndexPage, int]]:
        """The index pages, each with the first block behind what it is about."""
        starts = (root.leaves * np.uint64(LEAF_BLOCKS)).tolist()
        ends = [*starts[1:], max(self._blocks, starts[-1] + LEAF_BLOCKS if starts else 0)]
        pages: list[tuple[IndexPage, int]] = []
        for row, data in enumerate(await self._many(root.references)):
            reference = root.references[row]
            found.pages[_object(reference)] += 1
            page = self._decoded(decode_index, data, reference)
            if page is None:
                found.unknown.append((starts[row], ends[row]))
            else:
                pages.append((page, ends[row]))
        return pages

    async def _read_leaves(self, pages: Sequence[tuple[IndexPage, int]], found: MapFound) -> None:
        blocks: list[U64] = []
        locations: list[U64] = []
        for page, _ in pages:
            for first in range(0, len(page.leaves), _BATCH):
                part = _rows(page.references, first, first + _BATCH)
                leaves = page.leaves[first : first + _BATCH].tolist()
                for row, (leaf, data) in enumerate(zip(leaves, await self._many(part), strict=True)):
                    reference = part[row]
                    found.pages[_object(reference)] += 1
                    values = self._leaf(data, leaf, reference)
                    if values is None:
                        start = leaf * LEAF_BLOCKS
                        found.unknown.append((start, start + LEAF_BLOCKS))
                        continue
                    used = np.flatnonzero(values).astype(np.uint64)
                    blocks.append(used + np.uint64(leaf * LEAF_BLOCKS))
                    locations.append(values[used.astype(np.int64)])
        if blocks:
            found.contents = Contents(np.concatenate(blocks), np.concatenate(locations))

    def _leaf(self, data: Buffer | None, leaf: int, reference: PageReference) -> U64 | None:
        if data is None:
            return None
        try:
            return decode_leaf(data, leaf)
        except Corrupt as error:
            self._say(reference, error)
            return None

    def _decoded(self, decode: Decoder, data: Buffer | None, reference: PageReference) -> IndexPage | None:
        if data is None:
            return None
        try:
            return decode(data)
        except Corrupt as error:
            self._say(reference, error)
            return None

    async def _many(self, references: References) -> Sequence[Buffer | None]:
        """The pages; None for each that cannot be read."""
        try:
            return await self._pages.load_many(references)
        except (Corrupt, NotFound):
            return [await self._one(references[row]) for row in range(len(references))]

    async def _one(self, reference: PageReference) -> Buffer | None:
        try:
            return await self._pages.load(reference)
        except (Corrupt, NotFound) as error:
            self._say(reference, error)
            return None

    def _say(self, reference: PageReference, error: DiskError) -> None:
        key = self._manifest.map_key(_object(reference))
        if key not in self._said:
            self._said.add(key)
            self._report.add(Kind.MAP, f"{error}; --repair makes the map anew from the segments", key)


def _rows(references: References, first: int, end: int) -> References:
    rows = slice(first, end)
    return References(
        references.numbers[rows], references.epochs[rows], references.offsets[rows], references.lengths[rows]
    )


def _object(reference: PageReference) -> MapName:
    return MapName(reference.number, reference.epoch)
