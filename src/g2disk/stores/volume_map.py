"""The map of a volume, coarse enough to draw."""

from __future__ import annotations

from itertools import groupby

from g2disk.clock import Clock
from g2disk.errors import OutOfRange
from g2disk.stores.disk_map import MOST_SEGMENTS, Cell, DiskMap, SegmentFigure
from g2disk.volume.format.locations import segment_number
from g2disk.volume.map.block_map import BlockMap
from g2disk.volume.map.rows import Rows

_RUNS_AT_ONCE = 4096
"""Runs of the map that are looked at before others get their turn."""


async def draw(
    blocks: BlockMap, block_size: int, size: int, offset: int, length: int, cells: int, clock: Clock
) -> DiskMap:
    """What `length` bytes from `offset` on of a volume of `size` bytes are made of, in at most `cells` parts.

    As of what has taken effect in the store; parts begin and end where blocks do.  Raises `OutOfRange`.
    """
    if offset + length > size:
        raise OutOfRange(f"bytes {offset} to {offset + length} reach beyond the disk's end at {size}")
    first, end = offset // block_size, -(-(offset + length) // block_size)
    step = max(1, -(-(end - first) // cells))
    sums = _Sums(first, step)
    seen = 0
    async for block, count, location in blocks.walk(first, end - first):
        sums.add(block, count, segment_number(location))
        seen += 1
        if seen % _RUNS_AT_ONCE == 0:
            await clock.sleep(0)
    found = sums.cells(-(-(end - first) // step), block_size)
    table = blocks.table
    segments = _figures(table.segments, is_map=False) + _figures(table.maps, is_map=True)
    return DiskMap(offset, length, step * block_size, found, segments)


class _Sums:
    """What each part holds, of those that hold anything."""

    def __init__(self, first: int, step: int) -> None:
        self._first, self._step = first, step
        self._found: dict[int, Cell] = {}

    def add(self, block: int, count: int, segment: int) -> None:
        start, end = block - self._first, block - self._first + count
        while start < end:
            index = start // self._step
            part = min(end, (index + 1) * self._step) - start
            old = self._found.get(index)
            if old is None:
                self._found[index] = Cell(part, segment, segment)
            else:
                self._found[index] = Cell(old.written + part, min(old.oldest, segment), max(old.newest, segment))
            start += part

    def cells(self, count: int, block_size: int) -> list[Cell]:
        """All parts, counted in bytes."""
        nothing = Cell(0, 0, 0)
        found = (self._found.get(index, nothing) for index in range(count))
        return [Cell(cell.written * block_size, cell.oldest, cell.newest) for cell in found]


def _figures(rows: Rows, *, is_map: bool) -> list[SegmentFigure]:
    columns = (rows.number, rows.epochs, rows.total, rows.live, rows.bytes)
    every = [
        SegmentFigure(number, epoch, total, live, stored, is_map)
        for number, epoch, total, live, stored in zip(*(column.tolist() for column in columns), strict=True)
    ]
    share = -(-len(every) // (MOST_SEGMENTS // 2))
    if share <= 1:
        return every
    return [
        _together([figure for _, figure in group])
        for _, group in groupby(enumerate(every), key=lambda pair: pair[0] // share)
    ]


def _together(figures: list[SegmentFigure]) -> SegmentFigure:
    first = figures[0]
    total = sum(figure.total for figure in figures)
    live = sum(figure.live for figure in figures)
    return SegmentFigure(first.number, first.epoch, total, live, sum(each.stored for each in figures), first.is_map)
