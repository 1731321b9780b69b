"""Making a segment table anew, from what is there and in use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from g2disk.volume.format.pages import DATA_SEGMENT, MAP_OBJECT, TablePage
from g2disk.volume.format.segment import SegmentIndex
from g2disk.volume.map.table import SegmentTable


@dataclass(frozen=True, slots=True, order=True)
class Row:
    """An object that the table is to list."""

    kind: int
    number: int
    epoch: int
    bytes: int
    total: int
    live: int
    born: int
    died: int


def table_of(rows: Iterable[Row]) -> SegmentTable:
    """The table with these rows."""
    ordered = sorted(rows)

    def column(name: str, kind: str) -> np.ndarray:
        return np.array([getattr(row, name) for row in ordered], dtype=kind)

    page = TablePage(
        numbers=column("number", "<u8"),
        bytes=column("bytes", "<u8"),
        born=column("born", "<u8"),
        died=column("died", "<u8"),
        epochs=column("epoch", "<u4"),
        live=column("live", "<u4"),
        total=column("total", "<u4"),
        kinds=column("kind", "u1"),
    )
    return SegmentTable.decode(page)


def segment_rows(
    indexes: Iterable[SegmentIndex], live: Mapping[int, int], old: SegmentTable | None, end: int
) -> list[Row]:
    """Rows for segments, of which so many blocks are in use (by number).

    What is in use is alive.  What is not died when the old table says, or else at `end`, which is later than it did: so
    a snapshot that may need it keeps it.
    """
    rows = []
    for index in indexes:
        number, count = index.name.number, live.get(index.name.number, 0)
        row = old.segments.row(number) if old is not None else None
        died = int(old.segments.died[row]) if old is not None and row is not None else 0
        rows.append(
            Row(
                kind=DATA_SEGMENT,
                number=number,
                epoch=index.name.epoch,
                bytes=index.stored_bytes,
                total=index.block_count,
                live=count,
                born=number,
                died=0 if count else died or end,
            )
        )
    return rows


def map_row(number: int, epoch: int, size: int, pages: int, *, born: int, died: int) -> Row:
    """The row of a map object with so many pages in use; dead for the disk itself if it `died`."""
    return Row(MAP_OBJECT, number, epoch, size, max(pages, 1), 0 if died else pages, born, died)


def live_maps(table: SegmentTable) -> list[tuple[int, int, int, int]]:
    """Number, epoch, bytes and pages in use of the map objects that are alive."""
    maps = table.maps
    alive = maps.died == 0
    columns = (maps.number, maps.epochs, maps.bytes, maps.live)
    return list(zip(*(column[alive].tolist() for column in columns), strict=True))
