"""`Tree`, the leaves of a map and the index over them, loaded when they are needed and forgotten when memory is short.

Anybody may look at any time.  What changes leaves or the index (apply and checkpoint) is done by one at a time, and
always without waiting between looking and changing.  Whoever wants a leaf that is on its way waits for the same load.
A leaf may be changed while somebody else has it loaded again, so whoever changes one says so: what is on its way is not
kept then, and nobody who comes later waits for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from g2disk.errors import Corrupt, NotFound
from g2disk.volume.format.manifest import PageReference
from g2disk.volume.format.pages import U64, IndexPage, References, decode_index, decode_leaf
from g2disk.volume.map.index import Index, Node, position
from g2disk.volume.map.leaves import Leaves
from g2disk.volume.map.pages import PageSource
from g2disk.volume.map.sharing import SharedLoads

_AT_ONCE = 256
"""Leaves in one load."""


class Tree:
    """See the module."""

    def __init__(self, pages: PageSource, memory_limit: int, index: Index) -> None:
        self.index = index
        self.leaves = Leaves(memory_limit)
        self._pages = pages
        self.limit = memory_limit
        self._pinned: Sequence[int] = ()
        self._coming: SharedLoads[int, U64 | None] = SharedLoads(self._load_leaves, self._keep_leaves)
        self._contents: SharedLoads[PageReference, IndexPage] = SharedLoads(self._load_contents, lambda _: None)

    @property
    def memory(self) -> int:
        """Bytes in use."""
        return self.leaves.memory + self.index.memory

    @property
    def dirty_memory(self) -> int:
        """Bytes in use by what was changed since it was stored."""
        return self.leaves.dirty_memory + self.index.dirty_memory

    @contextmanager
    def pinned(self, numbers: Sequence[int]) -> Iterator[None]:
        """Keep leaves in memory.  For the one that makes changes."""
        assert not self._pinned
        self._pinned = numbers
        try:
            yield
        finally:
            self._pinned = ()

    def is_zero(self, number: int) -> bool | None:
        """Whether a leaf that is not in memory is nowhere, so wholly zero; None if that cannot be said at once."""
        node = self.index.node(number)
        return None if node.content is None else position(node, number) is None

    def changed(self, numbers: Sequence[int]) -> None:
        """Say that leaves were just changed, made or dropped."""
        self._coming.outdate(numbers)

    async def bring(self, numbers: Sequence[int]) -> dict[int, U64 | None]:
        """The locations in leaves that are not in memory; None for those that are wholly zero, as they are nowhere.

        They are in memory then, as long as there is room.
        """
        found: dict[int, U64 | None] = {}
        for start in range(0, len(numbers), _AT_ONCE):
            missing = [number for number in numbers[start : start + _AT_ONCE] if number not in self.leaves]
            found.update(await self._coming.get(missing))
            self.shrink()
        return found

    async def content(self, node: Node) -> IndexPage | None:
        """What is in a node; None if it is no longer a part of the index, so that the caller has to look again."""
        if node.content is not None:
            return node.content
        reference = node.reference
        assert reference is not None
        try:
            content = (await self._contents.get([reference]))[reference]
        except NotFound as error:
            if self.index.holds(node) and node.reference == reference:
                raise Corrupt(f"a part of the map is lost: {error}; run g2disk fsck") from error
            return None
        if not self.index.holds(node):
            return None
        if node.content is not None:  # read by others, and perhaps changed since
            return node.content
        self.index.loaded(node, content)
        self.shrink()
        return content

    async def listed(self, first: int, end: int, most: int) -> tuple[list[int], int]:
        """The first of the leaves from number `first` up to `end` that are anywhere, rising: `most` or fewer, all of
        one node.  And the number from which on more may follow.
        """
        while True:
            node = self.index.node(first)
            content = await self.content(node)
            if content is not None:
                break
        stop = min(self.index.end(self.index.place(first)), end)
        start, last = np.searchsorted(content.leaves, np.array([first, stop], np.uint64)).tolist()
        stored = content.leaves[start : min(last, start + most)].tolist()
        numbers = sorted(set(stored).union(self.leaves.between(first, stop)))
        if len(numbers) < most:
            return numbers, stop
        return numbers[:most], numbers[most - 1] + 1

    def shrink(self) -> None:
        """Forget what can be read again, until the memory is within its limit."""
        excess = self.memory - self.limit
        if excess <= 0:
            return
        excess += self.limit >> 4  # so that this is not done all the time
        self.index.evict(min(excess, self.index.memory - self.limit // 2))
        self.leaves.evict(self.memory - self.limit + (self.limit >> 4), self._pinned)
        self.index.evict(self.memory - self.limit)

    async def _load_leaves(self, numbers: list[int]) -> dict[int, U64 | None]:
        found: dict[int, U64 | None] = {}
        while numbers:
            references = await self._references(numbers)
            stored = [number for number in numbers if number in references]
            found.update((number, None) for number in numbers if number not in references)
            numbers = stored
            try:
                pages = await self._pages.load_many(References.of([references[number] for number in stored]))
            except NotFound as error:
                if await self._references(stored) == references:
                    raise Corrupt(f"a part of the map is lost: {error}; run g2disk fsck") from error
                continue  # a checkpoint moved them meanwhile
            found.update(zip(stored, map(decode_leaf, pages, stored), strict=True))
            break
        return found

    def _keep_leaves(self, found: dict[int, U64 | None]) -> None:
        new = {number: each for number, each in found.items() if each is not None and number not in self.leaves}
        self.leaves.insert(list(new), list(new.values()))

    async def _references(self, numbers: Sequence[int]) -> dict[int, PageReference]:
        """Where leaves are stored, of those that are."""
        contents = await self._contents_for(numbers)
        found: dict[int, PageReference] = {}
        for number in numbers:
            node = self.index.node(number)
            content = node.content or (contents.get(node.reference) if node.reference is not None else None)
            while content is None:
                content = await self.content(self.index.node(number))
            row = int(np.searchsorted(content.leaves, np.uint64(number)))
            if row < len(content.leaves) and int(content.leaves[row]) == number:
                found[number] = content.references[row]
        return found

    async def _contents_for(self, numbers: Sequence[int]) -> dict[PageReference, IndexPage]:
        """What is not in memory of the nodes of those leaves, read together; it is in memory then, if there is room."""
        nodes = {node.reference: node for node in map(self.index.node, numbers) if node.content is None}
        missing = [reference for reference in nodes if reference is not None]
        if len(missing) < 2:
            return {}
        try:
            contents = await self._contents.get(missing)
        except NotFound:
            return {}  # a checkpoint moved some; looked for one by one, it will be found out which
        for reference, node in nodes.items():
            if reference is not None and node.reference == reference:
                self.index.loaded(node, contents[reference])
        self.shrink()
        return contents

    async def _load_contents(self, references: list[PageReference]) -> dict[PageReference, IndexPage]:
        pages = await self._pages.load_many(References.of(references))
        return {reference: decode_index(page) for reference, page in zip(references, pages, strict=True)}
