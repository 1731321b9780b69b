"""`Rows`, the columns of a segment table for objects of one kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from g2disk.errors import Corrupt
from g2disk.volume.format.pages import U32, U64, TablePage

_COLUMNS = ("number", "bytes", "born", "died", "epochs", "live", "total")
"""In the order of a `TablePage`."""
_TYPES = ("<u8", "<u8", "<u8", "<u8", "<u4", "<u4", "<u4")

Bits = npt.NDArray[np.bool_]


class Rows:
    """One row an object, sorted by number.  The columns are views of what is there now: read them, and let them go."""

    number: U64
    bytes: U64
    """Of the object."""
    born: U64
    died: U64
    """0: it is alive."""
    epochs: U32
    live: U32
    """Blocks or pages in use."""
    total: U32
    """Blocks or pages that it holds."""

    def __init__(self) -> None:
        self._room = 64
        self._full = [np.zeros(self._room, kind) for kind in _TYPES]
        self._cut(0)

    def __len__(self) -> int:
        return self._count

    @property
    def memory(self) -> int:
        """Bytes in use."""
        return sum(column.nbytes for column in self._full)

    def _cut(self, count: int) -> None:
        self._count = count
        for name, column in zip(_COLUMNS, self._full, strict=True):
            setattr(self, name, column[:count])

    def columns(self) -> list[npt.NDArray[np.unsignedinteger]]:
        """The columns in the order of a `TablePage`."""
        return [column[: self._count] for column in self._full]

    def load(self, page: TablePage, which: Bits) -> None:
        """Take those rows of a page.  Raises `Corrupt`."""
        columns = (page.numbers, page.bytes, page.born, page.died, page.epochs, page.live, page.total)
        self._replace([column[which] for column in columns])
        if not (self.number[1:] > self.number[:-1]).all() or (self.live > self.total).any():
            raise Corrupt("the rows of a segment table contradict each other: run g2disk fsck")

    def _replace(self, columns: Sequence[npt.NDArray[np.unsignedinteger]]) -> None:
        count = len(columns[0])
        self._room = max(64, count + count // 2)
        self._full = [np.zeros(self._room, kind) for kind in _TYPES]
        for mine, column in zip(self._full, columns, strict=True):
            mine[:count] = column
        self._cut(count)

    def row(self, number: int) -> int | None:
        """Which row `number` is in."""
        row = int(np.searchsorted(self.number, np.uint64(number)))
        return row if row < self._count and int(self.number[row]) == number else None

    def epoch(self, number: int) -> int | None:
        """The epoch of object `number`, if it is there."""
        row = self.row(number)
        return None if row is None else int(self.epochs[row])

    def add(self, number: int, epoch: int, total: int, size: int, born: int) -> None:
        """List an object of which nothing is in use yet; nothing is changed where it is listed already."""
        row = int(np.searchsorted(self.number, np.uint64(number)))
        if row < self._count and int(self.number[row]) == number:
            return
        if self._count == self._room:
            self._replace(self.columns())
        values = (number, size, born, 0, epoch, 0, total)
        for column, value in zip(self._full, values, strict=True):
            column[row + 1 : self._count + 1] = column[row : self._count].copy()
            column[row] = value
        self._cut(self._count + 1)

    def change(self, numbers: U64, deltas: npt.NDArray[np.int64], at: int) -> None:
        """Add to the counts of what is in use; what loses its last dies `at`.  Raises `Corrupt`."""
        if not len(numbers):
            return
        found, inverse = np.unique(numbers, return_inverse=True)
        sums = np.bincount(inverse, deltas, len(found)).astype(np.int64)
        rows = np.searchsorted(self.number, found)
        known = rows < self._count
        if not known.all() or not (self.number[rows] == found).all():
            missing = int(found[~known][0]) if not known.all() else int(found[self.number[rows] != found][0])
            raise Corrupt(f"the map uses object {missing}, which the segment table does not list: run g2disk fsck")
        live = self.live[rows].astype(np.int64) + sums
        if (live < 0).any() or (live > self.total[rows]).any():
            raise Corrupt(f"the segment table counts wrong for object {int(found[0])}: run g2disk fsck")
        self.live[rows] = live
        self.died[rows] = np.where(live > 0, 0, np.where(self.died[rows] > 0, self.died[rows], at))

    def settle(self, number: int, at: int) -> None:
        """Say that object `number` has got all that it will ever hold; it dies `at` if nothing of it is in use."""
        row = self.row(number)
        if row is not None and not self.live[row] and not self.died[row]:
            self.died[row] = at

    def dead_before(self, first: int, moment: int) -> Bits:
        """Rows from number `first` on that died before `moment`."""
        dead: Bits = (self.died > 0) & (self.died < moment) & (self.number >= first)
        return dead

    def names(self, which: Bits) -> Iterator[tuple[int, int]]:
        """Number and epoch of those rows."""
        return zip(self.number[which].tolist(), self.epochs[which].tolist(), strict=True)

    def remove(self, numbers: Sequence[int]) -> None:
        """Take dead objects out; those that are not listed are out already."""
        leaving = np.isin(self.number, np.array(numbers, "<u8"))
        assert (self.died[leaving] > 0).all()
        self._replace([column[~leaving] for column in self.columns()])

    def rebase(self, target: Rows, moment: int) -> None:
        """Alive is what `target` says, with its counts; what else is alive dies at `moment`."""
        self.died[self.died == 0] = moment
        self.live[:] = 0
        alive = target.died == 0
        lost = alive & ~np.isin(target.number, self.number)
        if lost.any():
            self._replace(
                [np.concatenate(pair) for pair in zip(self.columns(), [c[lost] for c in target.columns()], strict=True)]
            )
            order = np.argsort(self.number)
            self._replace([column[order] for column in self.columns()])
        rows = np.searchsorted(self.number, target.number[alive])
        self.died[rows] = 0
        self.live[rows] = target.live[alive]
