"""`Checkpoint`, the writing of all that changed in a map: leaves, the index pages over them, the root, the table.

Nothing is overwritten: what is written takes the place of what was written before when the map takes it over, and for
everybody else when a manifest names it.
"""

from __future__ import annotations

import numpy as np

from g2disk.volume.format.manifest import PageReference
from g2disk.volume.format.pages import (
    U64,
    IndexPage,
    References,
    encode_index,
    encode_leaf,
    encode_root,
    encode_table,
)
from g2disk.volume.map.index import INDEX_ROWS, Node, divided, empty_page, joined, split
from g2disk.volume.map.pages import PageWriter
from g2disk.volume.map.table import SegmentTable
from g2disk.volume.map.tree import Tree

_LEAVES_AT_ONCE = 128
_NODES_AT_ONCE = 32
_FEW_ROWS = INDEX_ROWS // 4
"""A page with fewer is joined with the next one."""


class Checkpoint:
    """One checkpoint.  Changes nothing of the map; no change is made to that meanwhile."""

    def __init__(self, tree: Tree, table: SegmentTable, count: int, write: PageWriter) -> None:
        """`count`: of this checkpoint."""
        self.stored: list[int] = []
        """Leaves that are written."""
        self.emptied: list[int] = []
        """Leaves that became wholly zero: they are nowhere from now on."""
        self.nodes: list[Node] = []
        """The new index."""
        self.table = table.copy()
        """The new table."""
        self._tree = tree
        self._count = count
        self._write = write
        self._leaves = empty_page()
        self._dead: list[int] = []
        """For each page whose place is taken: the number of its map object."""
        self._budget = tree.limit // 4

    async def write(
        self, root: PageReference | None, table: PageReference | None
    ) -> tuple[PageReference, PageReference]:
        """Write everything; the new root and table, in the place of `root` and `table`."""
        await self._write_leaves()
        changed = await self._write_index()
        last = self._write.last()
        if changed or root is None:
            self._dead += [root.number] if root else []
            root = await self._write.add_last(last, encode_root(self._root_page()))
        self._dead += [table.number] if table else []
        self._count_pages(last.name.number)
        table = await self._write.add_last(last, encode_table(self.table.encode()))
        await self._write.finish()
        return root, table

    async def _write_leaves(self) -> None:
        dirty = self._tree.leaves.dirty()
        parts: list[IndexPage] = []
        for start in range(0, len(dirty), _LEAVES_AT_ONCE):
            numbers, pages = [], []
            for number in dirty[start : start + _LEAVES_AT_ONCE]:
                locations = self._tree.leaves.locations(number)
                assert locations is not None
                if locations.any():
                    numbers.append(number)
                    pages.append(encode_leaf(number, locations))
                else:
                    self.emptied.append(number)
            references = References.of(await self._write.add(pages))
            parts.append(IndexPage(np.array(numbers, "<u8"), references))
            self.stored += numbers
        self._leaves = joined(parts)

    def _affected(self) -> list[int]:
        """The places of the nodes that have to be written anew, rising."""
        index = self._tree.index
        places = {index.place(number) for number in self.emptied}
        places.update(index.place(number) for number in self.stored)
        places.update(place for place, node in enumerate(index.nodes) if node.reference is None)
        return sorted(places)

    async def _write_index(self) -> bool:
        """Whether there was anything to write."""
        nodes = self._tree.index.nodes
        affected = self._affected()
        copied = 0
        while affected:
            first = affected[0]
            self.nodes += nodes[copied:first]
            copied = await self._write_nodes(first, set(affected))
            affected = [place for place in affected if place >= copied]
        changed = copied > 0
        self.nodes += nodes[copied:]
        return changed

    async def _write_nodes(self, first: int, affected: set[int]) -> int:
        """Write a group of neighbouring nodes anew, from place `first` on; where it ends."""
        parts: list[IndexPage] = []
        rows = 0
        end = first
        nodes = self._tree.index.nodes
        while end < len(nodes) and end - first < _NODES_AT_ONCE and (end in affected or rows < _FEW_ROWS):
            part = await self._renewed(end)
            rows += len(part.leaves)
            parts.append(part)
            end += 1
        pages = split(joined(parts))
        references = await self._write.add([encode_index(page) for page in pages])
        for page, reference in zip(pages, references, strict=True):
            node = Node(int(page.leaves[0]), reference, page)
            self._budget -= node.memory
            self.nodes.append(node if self._budget > 0 else Node(node.first, reference, None))
        return end

    async def _renewed(self, place: int) -> IndexPage:
        """What is to be in the node there; its old page and those of its changed leaves are dead."""
        index = self._tree.index
        node = index.nodes[place]
        content = await self._tree.content(node)
        assert content is not None
        if node.reference is not None:
            self._dead.append(node.reference.number)
        bounds = np.array([index.nodes[place].first, index.end(place)], np.uint64)
        start, end = np.searchsorted(self._leaves.leaves, bounds).tolist()
        new = IndexPage(self._leaves.leaves[start:end], _part(self._leaves.references, start, end))
        gone = np.concatenate([new.leaves, np.array(self.emptied, "<u8")])
        removed, kept = divided(content, gone)
        self._dead += removed.references.numbers.tolist()
        return joined([kept, new])

    def _root_page(self) -> IndexPage:
        firsts: U64 = np.array([node.first for node in self.nodes], "<u8")
        return IndexPage(firsts, References.of([node.reference for node in self.nodes if node.reference]))

    def _count_pages(self, last: int) -> None:
        """Bring the table up to date; the page of the table itself is counted, but not its length."""
        maps = self.table.maps
        numbers, deltas = list(self._dead), [-1] * len(self._dead)
        for each in self._write.written:
            pages = each.pages + (each.name.number == last)
            maps.add(each.name.number, each.name.epoch, pages, each.length, self._count)
            numbers.append(each.name.number)
            deltas.append(pages)
        maps.change(np.array(numbers, "<u8"), np.array(deltas), self._count)


def _part(references: References, start: int, end: int) -> References:
    return References(
        references.numbers[start:end],
        references.epochs[start:end],
        references.offsets[start:end],
        references.lengths[start:end],
    )
