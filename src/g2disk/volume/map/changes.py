"""`Changes`, what one segment does to a map.

Everything can be done twice: a change that was interrupted is made again from its beginning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from g2disk.volume.format.locations import BLOCK_LIMIT
from g2disk.volume.format.pages import LEAF_BLOCKS, U64, IndexPage
from g2disk.volume.map.index import Node, divided
from g2disk.volume.map.leaves import Places
from g2disk.volume.map.table import SegmentTable
from g2disk.volume.map.tree import Tree

_LEAVES_AT_ONCE = 256
"""Leaves that are changed in one step, and so in memory at the same time."""
_BLOCKS_AT_ONCE = 1 << 16
"""Blocks of parts of leaves that are zeroed in one step."""
_LEAF_SHIFT = np.uint64(LEAF_BLOCKS.bit_length() - 1)


class Changes:
    """The effect of segment number `at`, before checkpoint number `checkpoint`."""

    def __init__(self, tree: Tree, table: SegmentTable, at: int, checkpoint: int) -> None:
        self._tree = tree
        self._table = table
        self._at = at
        self._checkpoint = checkpoint

    async def move(self, blocks: U64, locations: U64, expected: U64 | None) -> None:
        """Let `blocks`, none twice, be at `locations`; with `expected` only those that are there now."""
        if len(blocks) > 1 and not (blocks[1:] > blocks[:-1]).all():
            order = np.argsort(blocks)
            blocks, locations = blocks[order], locations[order]
            expected = None if expected is None else expected[order]
        for start, end in _steps(blocks):
            part = None if expected is None else expected[start:end]
            await self._move(blocks[start:end], locations[start:end], part)
            self._tree.shrink()

    async def zero(self, blocks: U64, counts: U64) -> None:
        """Let ranges be zeroes, whatever their length."""
        edges: list[tuple[int, int]] = []
        pending = 0
        for block, count in zip(blocks.tolist(), counts.tolist(), strict=True):
            end = min(block + count, BLOCK_LIMIT)
            first, last = -(-block // LEAF_BLOCKS), end // LEAF_BLOCKS
            if first < last:
                await self._drop(first, last)
                parts = [(block, first * LEAF_BLOCKS), (last * LEAF_BLOCKS, end)]
            else:
                parts = [(block, end)]
            edges += [part for part in parts if part[0] < part[1]]
            pending += sum(stop - start for start, stop in parts)
            if pending >= _BLOCKS_AT_ONCE:
                await self._zero_blocks(edges)
                edges, pending = [], 0
        await self._zero_blocks(edges)

    async def _zero_blocks(self, ranges: Sequence[tuple[int, int]]) -> None:
        if not ranges:
            return
        blocks = np.unique(np.concatenate([np.arange(start, end, dtype=np.uint64) for start, end in ranges]))
        for start, end in _steps(blocks):
            await self._move(blocks[start:end], np.zeros(end - start, np.uint64), None)
            self._tree.shrink()

    async def _move(self, blocks: U64, locations: U64, expected: U64 | None) -> None:
        numbers, which = np.unique(blocks >> _LEAF_SHIFT, return_inverse=True)
        rows = await self._rows(numbers.tolist())
        if expected is None:
            rows = self._completed(rows, numbers, which, locations)
        leaves = self._tree.leaves
        places = rows[which]
        within = (blocks & np.uint64(LEAF_BLOCKS - 1)).astype(np.int64)
        old = leaves.get(places, within)
        moving = (old != locations) & (places > 0)
        if expected is not None:
            moving &= old == expected
        self._table.take(old[moving], locations[moving], self._at)
        leaves.put(places[moving], within[moving], locations[moving])
        self._tree.changed(numbers.tolist())

    def _completed(self, rows: Places, numbers: U64, which: npt.NDArray[np.intp], locations: U64) -> Places:
        """`rows` with new leaves for those that were nowhere, as far as something is to be put there."""
        needed = np.bincount(which[locations != 0], minlength=len(numbers)) > 0
        new = np.flatnonzero(needed & (rows == 0))
        rows[new] = self._tree.leaves.create(numbers[new].tolist())
        return rows

    async def _rows(self, numbers: list[int]) -> Places:
        """The rows of leaves, all in memory when this returns; 0 for those that are nowhere."""
        leaves = self._tree.leaves
        rows = leaves.rows(numbers)
        if rows.all():
            return rows
        with self._tree.pinned(numbers):
            await self._tree.bring([number for number in numbers if number not in leaves])
        return leaves.rows(numbers)

    async def _drop(self, first: int, end: int) -> None:
        """Let whole leaves be zeroes, a few at a time."""
        while first < end:
            node = self._tree.index.node(first)
            content = await self._tree.content(node)
            assert content is not None
            numbers, first = await self._tree.listed(first, end, _LEAVES_AT_ONCE)
            if numbers:
                rows = await self._rows(numbers)
                self._drop_rows(rows[rows > 0])
                self._forget(node, content, numbers)
                self._tree.changed(numbers)
                self._tree.shrink()

    def _drop_rows(self, rows: Places) -> None:
        old = self._tree.leaves.stored(rows)
        self._table.take(old, np.zeros_like(old), self._at)
        self._tree.leaves.drop(rows)

    def _forget(self, node: Node, content: IndexPage, numbers: list[int]) -> None:
        """Take leaves out of the index; their pages, and the one that named them, are of no use from now on."""
        removed, kept = divided(content, numbers)
        dead = removed.references.numbers
        if not len(dead):
            return
        if node.reference is not None:
            dead = np.append(dead, np.uint64(node.reference.number))
        self._table.maps.change(dead, np.full(len(dead), -1), self._checkpoint)
        self._tree.index.replace(node, kept)


def _steps(blocks: U64) -> Iterator[tuple[int, int]]:
    """Where to cut rising blocks so that each part lies in few leaves."""
    if not len(blocks):
        return
    leaves = blocks >> _LEAF_SHIFT
    firsts = np.concatenate([[0], np.flatnonzero(leaves[1:] != leaves[:-1]) + 1])
    yield from pairwise([*firsts[::_LEAVES_AT_ONCE].tolist(), len(blocks)])
