"""`Index`, where the leaves of a map are stored: sorted pages of references, under a root that is always in memory."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from g2disk.volume.format.manifest import PageReference
from g2disk.volume.format.pages import U64, IndexPage, References

INDEX_ROWS = 1024
"""The most references in an index page."""

_PAGE_BYTES = 600
"""Of a page in memory, beside its rows."""
_ROW_BYTES = 28
_NODE_BYTES = 250


class Node:
    """An index page: where it is stored, and what is in it if that is in memory."""

    __slots__ = ("content", "first", "items", "reference", "used")

    def __init__(self, first: int, reference: PageReference | None, content: IndexPage | None) -> None:
        self.first = first
        """All leaves in it have this number or a higher one, and lower ones than the next node's."""
        self.reference = reference
        """None: it was changed and not stored since, or never stored."""
        self.content = content
        self.items: memoryview | None = None if content is None else content.leaves.data
        self.used = True

    @property
    def memory(self) -> int:
        """Bytes that the content takes up."""
        return 0 if self.content is None else _PAGE_BYTES + _ROW_BYTES * len(self.content.leaves)


class Index:
    """The nodes of a map in order; together they cover all leaf numbers."""

    def __init__(self, nodes: Sequence[Node] = ()) -> None:
        self.nodes = list(nodes) or [Node(0, None, empty_page())]
        self.nodes[0].first = 0
        self._firsts = [node.first for node in self.nodes]
        self._loaded = {id(node): node for node in self.nodes if node.content is not None}
        self._content_bytes = sum(node.memory for node in self.nodes)

    @classmethod
    def decode(cls, root: IndexPage) -> Index:
        """The index whose root page this is."""
        return cls([Node(int(first), root.references[row], None) for row, first in enumerate(root.leaves)])

    @property
    def memory(self) -> int:
        """Bytes in use."""
        return self._content_bytes + _NODE_BYTES * len(self.nodes)

    @property
    def dirty_memory(self) -> int:
        """Bytes in use by pages that were changed since they were stored."""
        return sum(node.memory for node in self._loaded.values() if node.reference is None)

    def place(self, leaf: int) -> int:
        """Which node leaf number `leaf` belongs to."""
        return bisect_right(self._firsts, leaf) - 1

    def node(self, leaf: int) -> Node:
        """The node that leaf number `leaf` belongs to."""
        return self.nodes[bisect_right(self._firsts, leaf) - 1]

    def end(self, place: int) -> int:
        """All leaves in the node there have lower numbers."""
        return self._firsts[place + 1] if place + 1 < len(self.nodes) else 1 << 63

    def holds(self, node: Node) -> bool:
        """Whether it is still one of the nodes."""
        return self.node(node.first) is node

    def loaded(self, node: Node, content: IndexPage) -> None:
        """Keep what was read of a node."""
        if node.content is None and self.holds(node):
            node.content, node.items, node.used = content, content.leaves.data, True
            self._loaded[id(node)] = node
            self._content_bytes += node.memory

    def replace(self, node: Node, content: IndexPage) -> None:
        """Change what is in a node; it has to be stored then."""
        self._content_bytes -= node.memory
        node.content, node.items, node.reference = content, content.leaves.data, None
        self._loaded[id(node)] = node
        self._content_bytes += node.memory

    def evict(self, excess: int) -> None:
        """Forget contents that are stored, those least recently used first, until `excess` bytes are free."""
        for _ in range(2):
            for node in list(self._loaded.values()):
                if excess <= 0:
                    return
                if node.used:
                    node.used = False
                elif node.reference is not None:
                    excess -= node.memory
                    self._content_bytes -= node.memory
                    del self._loaded[id(node)]
                    node.content = node.items = None


def empty_page() -> IndexPage:
    """A page without rows."""
    return IndexPage(np.empty(0, "<u8"), References.of([]))


def position(node: Node, leaf: int) -> int | None:
    """The row of a leaf in a node whose content is in memory; None if it is not there."""
    items = node.items
    assert items is not None
    node.used = True
    row = bisect_left(items, leaf)
    return row if row < len(items) and items[row] == leaf else None


def divided(page: IndexPage, leaves: Sequence[int] | U64) -> tuple[IndexPage, IndexPage]:
    """The rows of a page that are among `leaves`, and the others."""
    among = np.isin(page.leaves, np.asarray(leaves, "<u8"))
    return rows_of(page, among), rows_of(page, ~among)


def rows_of(page: IndexPage, which: npt.NDArray[np.generic] | slice) -> IndexPage:
    """Some rows of a page."""
    found = page.references
    references = References(found.numbers[which], found.epochs[which], found.offsets[which], found.lengths[which])
    return IndexPage(page.leaves[which], references)


def joined(pages: Iterable[IndexPage]) -> IndexPage:
    """The rows of several pages, sorted by leaf; no leaf is in two of them."""
    pages = list(pages) or [empty_page()]
    whole = IndexPage(
        np.concatenate([page.leaves for page in pages]),
        References(
            np.concatenate([page.references.numbers for page in pages]),
            np.concatenate([page.references.epochs for page in pages]),
            np.concatenate([page.references.offsets for page in pages]),
            np.concatenate([page.references.lengths for page in pages]),
        ),
    )
    return rows_of(whole, np.argsort(whole.leaves, kind="stable"))


def split(page: IndexPage, most: int = INDEX_ROWS) -> list[IndexPage]:
    """The rows in pages of even length, as few as can be."""
    count = -(-len(page.leaves) // most)
    bounds = np.linspace(0, len(page.leaves), count + 1).astype(int).tolist()
    return [rows_of(page, slice(start, end)) for start, end in pairwise(bounds)]
