"""`BlockMap`: where the store has each block of a volume."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence

import numpy as np

from g2disk.units import MIB
from g2disk.volume.format.locations import BLOCK_LIMIT, ORDINAL_BITS
from g2disk.volume.format.manifest import Head, PageReference
from g2disk.volume.format.pages import LEAF_BLOCKS, U64, decode_root, decode_table
from g2disk.volume.format.segment import SegmentIndex
from g2disk.volume.map.changes import Changes
from g2disk.volume.map.checkpoint import Checkpoint
from g2disk.volume.map.index import Index
from g2disk.volume.map.pages import PageSource, PageWriter
from g2disk.volume.map.runs import Run, append_run, append_runs
from g2disk.volume.map.table import SegmentTable
from g2disk.volume.map.tree import Tree

MEMORY_LIMIT = 64 * MIB

_FEW_LEAVES = 32
"""Leaves that are looked at one by one, whether they exist or not."""
_LEAF_SHIFT = LEAF_BLOCKS.bit_length() - 1


class BlockMap:
    """The state of a disk as of some segment; reads may come at any time, changes one after the other."""

    def __init__(self, pages: PageSource, memory_limit: int = MEMORY_LIMIT) -> None:
        """An empty map: all blocks are zeroes."""
        self.table = SegmentTable()
        """Counts for this map; the caller may replace it with one that was rebased on it."""
        self.checkpoints = 0
        """The count of the last checkpoint; after a rollback the caller sets it to the present's, never lower."""
        self._tree = Tree(pages, memory_limit, Index())
        self._pages = pages
        self._limit = memory_limit
        self._root_reference: PageReference | None = None
        self._table_reference: PageReference | None = None

    @classmethod
    async def open(cls, pages: PageSource, head: Head, memory_limit: int = MEMORY_LIMIT) -> BlockMap:
        """The map of `head`'s root, without its runs, and its table.  Raises `NotFound`, `Corrupt`."""
        found = cls(pages, memory_limit)
        found.checkpoints = head.checkpoint
        found._root_reference, found._table_reference = head.root, head.table
        if head.root is not None:
            found._tree = Tree(pages, memory_limit, Index.decode(decode_root(await pages.load(head.root))))
        if head.table is not None:
            found.table = SegmentTable.decode(decode_table(await pages.load(head.table)))
        return found

    @property
    def memory(self) -> int:
        """Bytes that the map takes up, the table included, as far as it can tell."""
        return self._tree.memory + self.table.memory

    @property
    def wants_checkpoint(self) -> bool:
        """Whether changes take up so much memory that only a checkpoint brings it back under the limit."""
        return self._tree.dirty_memory > self._limit * 3 // 4

    async def apply(self, index: SegmentIndex, expected: U64 | None = None) -> None:
        """Let a segment take effect: its zeroes, then its extents.

        With `expected`, one location a block of the extents, only blocks that are still there move.  When this raised
        or was cancelled, it has to be called again with the same index before anything else is changed.
        """
        name = index.name
        self.table.segments.add(name.number, name.epoch, index.block_count, index.stored_bytes, name.number)
        changes = self._changes(name.number)
        await changes.zero(index.zero_blocks, index.zero_counts)
        first = np.uint64(name.number << ORDINAL_BITS)
        await changes.move(index.blocks(), np.arange(index.block_count, dtype=np.uint64) + first, expected)
        self.table.segments.settle(name.number, name.number)

    def find_now(self, block: int, count: int) -> list[Run] | None:
        """As `find`, but None where something would have to be loaded."""
        if count == 1:
            location = self._tree.leaves.location(block)
            if location is None:
                if not self._tree.is_zero(block >> _LEAF_SHIFT):
                    return None
                location = 0
            return [(block, 1, location)]
        first, end = block >> _LEAF_SHIFT, (block + count - 1 >> _LEAF_SHIFT) + 1
        if end - first > _FEW_LEAVES:
            return None
        runs: list[Run] = []
        for number in range(first, end):
            locations = self._tree.leaves.locations(number)
            if locations is None and not self._tree.is_zero(number):
                return None
            _append_leaf(runs, number, locations, block, block + count)
        return runs

    async def find(self, block: int, count: int) -> list[Run]:
        """Where the blocks of a range are, in order and without gaps; neighbours stored side by side are joined.

        Raises `Corrupt` where a part of the map is lost, and what the store raises.
        """
        runs = self.find_now(block, count)
        if runs is not None:
            return runs
        runs = []
        end = block + count
        number, last = block >> _LEAF_SHIFT, (end - 1 >> _LEAF_SHIFT) + 1
        while number < last:
            if last - number <= _FEW_LEAVES:
                numbers: Sequence[int] = range(number, last)
                number = last
            else:
                numbers, number = await self._tree.listed(number, last, _FEW_LEAVES)
            for each, locations in await self._leaves(numbers):
                if locations is not None:
                    _append_leaf(runs, each, locations, block, end)
            append_run(runs, _end(runs, block), min(number << _LEAF_SHIFT, end) - _end(runs, block), 0)
        return runs

    async def walk(self, block: int = 0, count: int = BLOCK_LIMIT) -> AsyncIterator[Run]:
        """All runs of a range that are stored (none of location 0), in order.

        Changes meanwhile are seen or not, leaf by leaf.  Raises as `find` does.
        """
        end = block + count
        number, last = block >> _LEAF_SHIFT, (end - 1 >> _LEAF_SHIFT) + 1
        while number < last:
            numbers, number = await self._tree.listed(number, last, _FEW_LEAVES)
            runs: list[Run] = []
            for each, locations in await self._leaves(numbers):
                if locations is not None:
                    _append_leaf(runs, each, locations, block, end)
            for run in runs:
                if run[2]:
                    yield run

    async def checkpoint(self, write: PageWriter) -> tuple[PageReference, PageReference]:
        """Write what changed; returns root and table, which a manifest may name: everything is stored by then.

        `checkpoints` counts up.  When it raised or was cancelled, nothing has changed, and a later one, with numbers of
        its own, is complete.  Nothing is applied meanwhile.
        """
        work = Checkpoint(self._tree, self.table, self.checkpoints + 1, write)
        root, table = await work.write(self._root_reference, self._table_reference)
        self._root_reference, self._table_reference = root, table
        self.checkpoints += 1
        self.table.adopt(work.table)
        leaves = self._tree.leaves
        leaves.clean(work.stored)
        leaves.drop(leaves.rows(work.emptied))
        self._tree.index = Index(work.nodes)
        self._tree.shrink()
        return root, table

    def _changes(self, at: int) -> Changes:
        return Changes(self._tree, self.table, at, self.checkpoints + 1)

    async def _leaves(self, numbers: Iterable[int]) -> list[tuple[int, U64 | None]]:
        """Those leaves, which are few; None where one is wholly zero, as it is nowhere."""
        leaves = self._tree.leaves
        missing = [number for number in numbers if number not in leaves]
        brought = await self._tree.bring(missing) if missing else {}
        found = []
        for number in numbers:
            while (locations := leaves.locations(number)) is None and number not in brought:
                brought.update(await self._tree.bring([number]))  # it was forgotten while others were brought
            found.append((number, brought[number] if locations is None else locations))
        return found


def _append_leaf(runs: list[Run], number: int, locations: U64 | None, block: int, end: int) -> None:
    """Append the part of a leaf that lies in [`block`, `end`), and zeroes for what was skipped before it."""
    first = max(number << _LEAF_SHIFT, block)
    stop = min(number + 1 << _LEAF_SHIFT, end)
    append_run(runs, _end(runs, block), first - _end(runs, block), 0)
    if locations is None:
        append_run(runs, first, stop - first, 0)
    else:
        base = number << _LEAF_SHIFT
        append_runs(runs, first, locations[first - base : stop - base])


def _end(runs: Sequence[Run], block: int) -> int:
    """Where the runs end that began at `block`."""
    return runs[-1][0] + runs[-1][1] if runs else block
