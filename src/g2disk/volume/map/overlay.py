"""`Overlay`: the blocks whose newest version only the journal holds.

Every change has a position in the journal, which grows from each to the next; it tells two changes of one block apart.
Single blocks are in a dictionary.  Large zeroed ranges are kept as ranges, whatever their size; a block in the
dictionary is always newer than the range that it lies in, since a zeroed range takes the place of all that it covers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from sortedcontainers import SortedDict

from g2disk.volume.journal.entry import WRITE, Entry

BELOW: Final = 0
"""Kind: the overlay does not know the block; the store's map does."""
JOURNAL: Final = 1
"""Kind: the block's data is in the journal."""
ZERO: Final = 2
"""Kind: the block is zeroes."""

_FEW = 16
"""Zeroed ranges of up to so many blocks are kept block by block: a range costs as much as these."""

Found = tuple[int, int, int, int]
"""First block, count, kind, and for `JOURNAL` the position of the first block's data (else 0)."""


class Overlay:
    """What changed since the state that the map describes.  Positions are greater than 0."""

    def __init__(self, block_size: int) -> None:
        self._size = block_size
        self._blocks: dict[int, int] = {}
        # The position of the block's data, or of the zeroing with a minus.
        self._ranges: SortedDict = SortedDict()
        # First block -> (end, position); they do not overlap.

    def __len__(self) -> int:
        """Blocks and zeroed ranges that are kept; each costs about 150 bytes."""
        return len(self._blocks) + len(self._ranges)

    def write(self, block: int, count: int, position: int) -> None:
        """Blocks got data that is in the journal from `position` on."""
        if count == 1:
            self._blocks[block] = position
        else:
            end = position + count * self._size
            self._blocks.update(zip(range(block, block + count), range(position, end, self._size), strict=True))

    def zero(self, block: int, count: int, position: int) -> None:
        """Blocks became zeroes, by the change at `position` of the journal."""
        if count <= _FEW:
            for each in range(block, block + count):
                self._blocks[each] = -position
            return
        end = block + count
        for each in list(self._known(block, end)):
            del self._blocks[each]
        self._cut(block, end)
        self._ranges[block] = (end, position)

    def record(self, entries: Iterable[Entry]) -> None:
        """Take in changes, in their order."""
        blocks = self._blocks
        for entry in entries:
            if entry.kind != WRITE:
                self.zero(entry.block, entry.count, entry.position)
            elif entry.count == 1:
                blocks[entry.block] = entry.position
            else:
                self.write(entry.block, entry.count, entry.position)

    def find(self, block: int, count: int) -> list[Found]:
        """What is known of a range, in order and without gaps; neighbours that continue each other are joined."""
        if count == 1:
            position = self._blocks.get(block)
            if position is None:
                return [(block, 1, ZERO if self._ranges and self._in_range(block) else BELOW, 0)]
            return [(block, 1, JOURNAL, position) if position > 0 else (block, 1, ZERO, 0)]
        if not self._blocks and not self._ranges:
            return [(block, count, BELOW, 0)]
        return self._joined(block, block + count)

    def settle(self, entries: Iterable[Entry]) -> None:
        """Forget changes that the map knows now, except where a later change took their place.

        Changes are settled in their order, none is left out.
        """
        blocks, size = self._blocks, self._size
        for entry in entries:
            position = entry.position
            if entry.kind == WRITE:
                for each in range(entry.block, entry.block + entry.count):
                    if blocks.get(each) == position:
                        del blocks[each]
                    position += size
            elif entry.count <= _FEW:
                for each in range(entry.block, entry.block + entry.count):
                    if blocks.get(each) == -position:
                        del blocks[each]
            else:
                self._forget_range(entry)

    def clear(self) -> None:
        """Forget everything."""
        self._blocks.clear()
        self._ranges.clear()

    def _forget_range(self, entry: Entry) -> None:
        end = entry.block + entry.count
        for first in list(self._ranges.irange(entry.block, end, inclusive=(True, False))):
            if self._ranges[first][1] == entry.position:
                del self._ranges[first]

    def _known(self, block: int, end: int) -> Iterator[int]:
        """The blocks of the range that are in the dictionary, in no order."""
        if end - block < len(self._blocks):
            return (each for each in range(block, end) if each in self._blocks)
        return (each for each in self._blocks if block <= each < end)

    def _before(self, block: int) -> int | None:
        """Where the last range begins that begins at or before `block`."""
        at = self._ranges.bisect_right(block)
        return self._ranges.keys()[at - 1] if at else None

    def _in_range(self, block: int) -> bool:
        first = self._before(block)
        return first is not None and block < self._ranges[first][0]

    def _overlapping(self, block: int, end: int) -> Iterator[tuple[int, int]]:
        """The parts of zeroed ranges that lie in [block, end), ascending."""
        before = self._before(block)
        firsts = self._ranges.irange(block, end, inclusive=(False, False))
        for first in chain([before] if before is not None else [], firsts):
            stop = self._ranges[first][0]
            if stop > block:
                yield max(first, block), min(stop, end)

    def _cut(self, block: int, end: int) -> None:
        """Take [block, end) out of all ranges."""
        before = self._before(block)
        for first in ([before] if before is not None else []) + list(self._ranges.irange(block, end, (False, False))):
            stop, position = self._ranges[first]
            if stop <= block:
                continue
            del self._ranges[first]
            if first < block:
                self._ranges[first] = (block, position)
            if stop > end:
                self._ranges[end] = (stop, position)

    def _joined(self, block: int, end: int) -> list[Found]:
        found: list[Found] = []
        at = block
        known = range(block, end) if end - block <= 2 * len(self._blocks) else sorted(self._known(block, end))
        get = self._blocks.get
        for each in known:
            position = get(each)
            if position is None:
                continue
            if at < each:
                self._rest(at, each, found)
            at = each + 1
            if position < 0:
                _append(found, each, 1, ZERO)
                continue
            first, count, kind, start = found[-1] if found else (0, 0, BELOW, 0)
            if kind == JOURNAL and position == start + count * self._size:
                found[-1] = (first, count + 1, JOURNAL, start)
            else:
                found.append((each, 1, JOURNAL, position))
        self._rest(at, end, found)
        return found

    def _rest(self, block: int, end: int, found: list[Found]) -> None:
        """Append [block, end), of which nothing is in the dictionary."""
        if self._ranges:
            for first, stop in self._overlapping(block, end):
                _append(found, block, first - block, BELOW)
                _append(found, first, stop - first, ZERO)
                block = stop
        _append(found, block, end - block, BELOW)


def _append(found: list[Found], block: int, count: int, kind: int) -> None:
    """Append `count` blocks, which may be none, joined with those before them where they are of one kind."""
    if not count:
        return
    if found and found[-1][2] == kind:
        first, before, _, _ = found[-1]
        found[-1] = (first, before + count, kind, 0)
    else:
        found.append((block, count, kind, 0))
