"""`BlockMap`: where the store has each block of a volume."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from g2disk.units import MIB
from g2disk.volume.format.manifest import Head, PageReference
from g2disk.volume.format.pages import U64
from g2disk.volume.map.pages import PageSource, PageWriter
from g2disk.volume.map.table import SegmentTable

if TYPE_CHECKING:
    from g2disk.volume.format.segment import SegmentIndex

MEMORY_LIMIT = 64 * MIB

Run = tuple[int, int, int]
"""First block, count, and the location of the first block; 0: all are zeroes."""


class BlockMap:
    """The state of a disk as of some segment; reads may come at any time, changes one after the other."""

    checkpoints: int
    """The count of the last checkpoint; after a rollback the caller sets it to the present's, never lower."""

    def __init__(self, pages: PageSource, memory_limit: int = MEMORY_LIMIT) -> None:
        """An empty map: all blocks are zeroes."""
        self.table = SegmentTable()
        """Counts for this map; the caller may replace it with one that was rebased on it."""

    @classmethod
    async def open(cls, pages: PageSource, head: Head, memory_limit: int = MEMORY_LIMIT) -> BlockMap:
        """The map of `head`'s root, without its runs, and its table."""
        raise NotImplementedError

    @property
    def memory(self) -> int:
        """Bytes that the map takes up, the table included, as far as it can tell."""
        raise NotImplementedError

    @property
    def wants_checkpoint(self) -> bool:
        """Whether changes take up so much memory that only a checkpoint brings it back under the limit."""
        raise NotImplementedError

    async def apply(self, index: SegmentIndex, expected: U64 | None = None) -> None:
        """Let a segment take effect: its zeroes, then its extents.

        With `expected`, one location a block of the extents, only blocks that are still there move.  When it raised or
        was cancelled, it has to be called again with the same index before anything else is changed.
        """
        raise NotImplementedError

    def find_now(self, block: int, count: int) -> list[Run] | None:
        """As `find`, but None where something would have to be loaded."""
        raise NotImplementedError

    async def find(self, block: int, count: int) -> list[Run]:
        """Where the blocks of a range are, in order and without gaps; neighbours stored side by side are joined."""
        raise NotImplementedError

    async def checkpoint(self, write: PageWriter) -> tuple[PageReference, PageReference]:
        """Write what changed; returns root and table, which a manifest may name: everything is stored by then.

        `checkpoints` counts up.  When it raised or was cancelled, nothing has changed, and a later one, with numbers of
        its own, is complete.  Nothing is applied meanwhile.
        """
        raise NotImplementedError

    def walk(self, block: int = 0, count: int = 1 << 52) -> AsyncIterator[Run]:
        """All runs of a range that are stored (none of location 0), in order.

        Changes meanwhile are seen or not, block by block.
        """
        raise NotImplementedError

    async def trim_to(self, blocks: int, at: int) -> None:
        """Forget all from block number `blocks` on, as the effect of segment `at`."""
        raise NotImplementedError
