"""`Leaves`, the leaves of a map that are in memory.

A leaf says where 1024 blocks are.  It is kept as up to 16 cells of 64 locations, all in one array, and only those cells
that are not wholly zero: so a leaf with a single block takes 700 bytes, and a full one 8 KiB.  Everything is done for
many leaves at once; a leaf is known by its row, which stays the same as long as it is in memory.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from g2disk.volume.format.pages import LEAF_BLOCKS, U64

T = TypeVar("T", bound=np.generic)

Places = npt.NDArray[np.int64]
"""Rows, or positions within leaves."""

Bits = npt.NDArray[np.bool_]

CELL = 64
CELLS = LEAF_BLOCKS // CELL
_CELL_BYTES = CELL * 8
_ROW_BYTES = CELLS * 4 + 16 + 120
"""With its share of the dictionary of rows."""


class _Pool:
    """Numbers from 1 on; what is given back is taken again first."""

    def __init__(self) -> None:
        self._free = np.empty(64, np.int64)
        self._count = 0
        self._next = 1

    @property
    def used(self) -> int:
        """How many are taken."""
        return self._next - 1 - self._count

    @property
    def end(self) -> int:
        """All that were ever taken are smaller."""
        return self._next

    def take(self, count: int) -> Places:
        again = min(count, self._count)
        self._count -= again
        fresh = np.arange(self._next, self._next + count - again)
        self._next += count - again
        return np.concatenate([self._free[self._count : self._count + again], fresh])

    def give_back(self, numbers: Places) -> None:
        end = self._count + len(numbers)
        if end > len(self._free):
            self._free = np.resize(self._free, 2 * end)
        self._free[self._count : end] = numbers
        self._count = end


class Leaves:
    """See the module.  Nothing here waits."""

    def __init__(self, memory: int) -> None:
        """`memory`: bytes that will probably be used; the system gives them when they are."""
        self._rows: dict[int, int] = {}
        self._row_pool = _Pool()
        self._cell_pool = _Pool()
        # Row 0 and cell 0 stay empty: they stand for leaves and cells that are wholly zero.
        rows, cells = max(memory // 1024, 16), max(memory // _CELL_BYTES, 64)
        self._cell_of: npt.NDArray[np.int32] = np.zeros((rows, CELLS), np.int32)
        self._numbers: U64 = np.zeros(rows, np.uint64)
        self._present: Bits = np.zeros(rows, np.bool_)
        self._dirty: Bits = np.zeros(rows, np.bool_)
        self._used: Bits = np.zeros(rows, np.bool_)
        self._cells: U64 = np.zeros((cells, CELL), np.uint64)
        self._hand = 0
        self._look()

    def _look(self) -> None:
        """Renew the views that `location` uses."""
        self._cell_items = self._cell_of.reshape(-1).data
        self._items = self._cells.reshape(-1).data
        self._used_items = self._used.data

    def __contains__(self, number: int) -> bool:
        return number in self._rows

    @property
    def memory(self) -> int:
        """Bytes in use."""
        return self._cell_pool.used * _CELL_BYTES + self._row_pool.used * _ROW_BYTES

    @property
    def dirty_memory(self) -> int:
        """Bytes in use by leaves that were changed."""
        dirty = self._dirty[: self._row_pool.end]
        return int(np.count_nonzero(self._cell_of[: len(dirty)][dirty])) * _CELL_BYTES + int(dirty.sum()) * _ROW_BYTES

    def location(self, block: int) -> int | None:
        """Where a block is; None if its leaf is not in memory."""
        row = self._rows.get(block >> 10)
        if row is None:
            return None
        self._used_items[row] = True
        return self._items[self._cell_items[row << 4 | (block >> 6 & 15)] << 6 | (block & 63)]

    def locations(self, number: int) -> U64 | None:
        """A copy of a whole leaf; None if it is not in memory."""
        row = self._rows.get(number)
        if row is None:
            return None
        self._used_items[row] = True
        return self._whole(row)

    def rows(self, numbers: Iterable[int]) -> Places:
        """The rows of leaves; 0 for those that are not in memory."""
        get = self._rows.get
        return np.array([get(number, 0) for number in numbers], np.int64)

    def insert(self, numbers: Sequence[int], locations: Sequence[U64]) -> None:
        """Take in leaves as they are stored; none of them is in memory."""
        if not numbers:
            return
        tables = np.stack(locations).reshape(-1, CELLS, CELL)
        leaves, parts = np.nonzero(tables.any(axis=2))
        cells = self._new_cells(len(leaves))
        self._cells[cells] = tables[leaves, parts]
        rows = self._new_rows(numbers)
        self._cell_of[rows[leaves], parts] = cells

    def create(self, numbers: Collection[int]) -> Places:
        """Take in leaves that are wholly zero; none of them is in memory."""
        return self._new_rows(numbers)

    def get(self, rows: Places, within: Places) -> U64:
        """The locations at those places."""
        found: U64 = self._cells[self._cell_of[rows, within >> 6], within & 63]
        return found

    def stored(self, rows: Places) -> U64:
        """All locations in leaves that are not 0."""
        cells = self._cell_of[rows]
        found: U64 = self._cells[cells[cells != 0]]
        stored: U64 = found[found != 0]
        return stored

    def put(self, rows: Places, within: Places, locations: U64) -> None:
        """Change the locations at those places, no place twice."""
        cells = self._cell_of[rows, within >> 6]
        lacking = (cells == 0) & (locations != 0)
        if lacking.any():
            places = np.unique(rows[lacking] << 4 | within[lacking] >> 6)
            self._cell_of[places >> 4, places & 15] = self._new_cells(len(places))
            cells = self._cell_of[rows, within >> 6]
        there = cells != 0
        self._cells[cells[there], within[there] & 63] = locations[there]
        self._dirty[rows] = True
        self._used[rows] = True

    def drop(self, rows: Places) -> None:
        """Forget leaves."""
        for number in self._numbers[rows].tolist():
            del self._rows[number]
        cells = self._cell_of[rows]
        self._cell_pool.give_back(cells[cells != 0].astype(np.int64))
        self._cell_of[rows] = 0
        self._present[rows] = False
        self._dirty[rows] = False
        self._row_pool.give_back(rows)

    def dirty(self) -> list[int]:
        """The numbers of the leaves that were changed, rising."""
        return sorted(self._numbers[self._dirty].tolist())

    def clean(self, numbers: Iterable[int]) -> None:
        """Say that leaves are stored as they are."""
        self._dirty[self.rows(numbers)] = False

    def between(self, first: int, end: int) -> list[int]:
        """The numbers of all leaves in memory from `first` up to `end`, rising."""
        numbers = self._numbers[self._present]
        return sorted(numbers[(numbers >= first) & (numbers < end)].tolist())

    def evict(self, excess: int, keep: Collection[int]) -> None:
        """Forget leaves that were not changed, those least recently used first, until `excess` bytes are free.

        `keep`: numbers of leaves that stay.
        """
        end = self._row_pool.end
        may = self._present[:end] & ~self._dirty[:end]
        may[self.rows(keep)] = False
        for _ in range(2):
            if excess <= 0:
                return
            rows = np.flatnonzero(may & ~self._used[:end])
            rows = np.roll(rows, -int(np.searchsorted(rows, self._hand)))
            costs = np.count_nonzero(self._cell_of[rows], axis=1) * _CELL_BYTES + _ROW_BYTES
            count = int(np.searchsorted(np.cumsum(costs), excess)) + 1
            rows, excess = rows[:count], excess - int(costs[:count].sum())
            if len(rows):
                self._hand = int(rows[-1]) + 1
                self.drop(rows)
                may[rows] = False
            self._used[:end] = False  # now all are as good as any

    def _whole(self, row: int) -> U64:
        found: U64 = self._cells[self._cell_of[row]].reshape(-1)
        return found

    def _new_rows(self, numbers: Collection[int]) -> Places:
        rows = self._row_pool.take(len(numbers))
        if self._row_pool.end > len(self._numbers):
            room = 2 * self._row_pool.end
            self._cell_of = _grown(self._cell_of, room)
            self._numbers = _grown(self._numbers, room)
            self._present, self._dirty = _grown(self._present, room), _grown(self._dirty, room)
            self._used = _grown(self._used, room)
            self._look()
        self._rows.update(zip(numbers, rows.tolist(), strict=True))
        self._numbers[rows] = np.fromiter(numbers, np.uint64, len(numbers))
        self._present[rows] = True
        self._used[rows] = True
        return rows

    def _new_cells(self, count: int) -> Places:
        cells = self._cell_pool.take(count)
        if self._cell_pool.end > len(self._cells):
            self._cells = _grown(self._cells, 2 * self._cell_pool.end)
            self._look()
        self._cells[cells] = 0
        return cells


def _grown(column: npt.NDArray[T], room: int) -> npt.NDArray[T]:
    """A copy with room for more rows."""
    grown = np.zeros((room, *column.shape[1:]), column.dtype)
    grown[: len(column)] = column
    return grown
