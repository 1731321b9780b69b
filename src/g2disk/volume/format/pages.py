"""Map pages: leaves, which say where blocks are; the index over them; the segment table.

A page is what is inside a blob (sealing.Sealer), whose checksum covers it.  Source: docs/formats/map.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from g2disk.errors import Corrupt, Unsupported
from g2disk.volume.format.checksum import Buffer
from g2disk.volume.format.manifest import PageReference

U64: TypeAlias = npt.NDArray[np.uint64]
U32: TypeAlias = npt.NDArray[np.uint32]
U8: TypeAlias = npt.NDArray[np.uint8]

LEAF_BLOCKS = 1024
"""Blocks that a leaf says the locations of."""
DATA_SEGMENT = 0
MAP_OBJECT = 1

_HEAD = Struct("<4sIQ")
"""Magic, version; of a leaf its number, else the number of rows."""
_VERSION = 1
_LEAF, _INDEX, _ROOT, _TABLE = b"g2vL", b"g2vI", b"g2vR", b"g2vT"
_REFERENCES = ("<u8", "<u4", "<u4", "<u4")
_TABLE_COLUMNS = ("<u8", "<u8", "<u8", "<u8", "<u4", "<u4", "<u4", "<u1")


@dataclass(slots=True, eq=False)
class References:
    """Page references as columns of one length."""

    numbers: U64
    epochs: U32
    offsets: U32
    lengths: U32

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, row: int) -> PageReference:
        """The reference in that row."""
        return PageReference(
            int(self.numbers[row]), int(self.epochs[row]), int(self.offsets[row]), int(self.lengths[row])
        )

    @staticmethod
    def of(references: list[PageReference]) -> References:
        """`references` as columns."""
        return References(
            np.array([reference.number for reference in references], dtype="<u8"),
            np.array([reference.epoch for reference in references], dtype="<u4"),
            np.array([reference.offset for reference in references], dtype="<u4"),
            np.array([reference.length for reference in references], dtype="<u4"),
        )


@dataclass(slots=True, eq=False)
class IndexPage:
    """Where leaves are; of the root page: where index pages are."""

    leaves: U64
    """The numbers of the leaves, rising; in the root page the number of the first leaf of each index page."""
    references: References


@dataclass(slots=True, eq=False)
class TablePage:
    """All segments and map objects that some head needs, as columns sorted by kind and number."""

    numbers: U64
    bytes: U64
    """Of the object."""
    born: U64
    died: U64
    """0: it is alive."""
    epochs: U32
    live: U32
    """Blocks or pages that are in use."""
    total: U32
    """Blocks or pages that it holds."""
    kinds: U8
    """DATA_SEGMENT or MAP_OBJECT."""


def encode_leaf(leaf: int, locations: U64) -> bytes:
    """Leaf number `leaf`: the locations of blocks leaf * 1024 and on."""
    assert len(locations) == LEAF_BLOCKS
    return _HEAD.pack(_LEAF, _VERSION, leaf) + np.asarray(locations, "<u8").tobytes()


def decode_leaf(page: Buffer, leaf: int) -> U64:
    """The LEAF_BLOCKS locations in leaf number `leaf`, read-only.  Raises `Corrupt`, `Unsupported`."""
    if _decode_head(page, _LEAF) != leaf:
        raise Corrupt(f"a map page is not leaf {leaf}: run g2disk fsck")
    (locations,) = _columns(page, ("<u8",), LEAF_BLOCKS)
    return locations


def encode_index(page: IndexPage) -> bytes:
    """An index page."""
    return _encode_references(_INDEX, page)


def decode_index(page: Buffer) -> IndexPage:
    """Raises `Corrupt`, `Unsupported`."""
    return _decode_references(_INDEX, page)


def encode_root(page: IndexPage) -> bytes:
    """The root page."""
    return _encode_references(_ROOT, page)


def decode_root(page: Buffer) -> IndexPage:
    """Raises `Corrupt`, `Unsupported`."""
    return _decode_references(_ROOT, page)


def encode_table(table: TablePage) -> bytes:
    """The segment table."""
    columns = (
        *(table.numbers, table.bytes, table.born, table.died),
        *(table.epochs, table.live, table.total, table.kinds),
    )
    return _encode(_TABLE, columns, _TABLE_COLUMNS)


def decode_table(page: Buffer) -> TablePage:
    """Raises `Corrupt`, `Unsupported`."""
    rows = _decode_head(page, _TABLE)
    numbers, sizes, born, died, epochs, live, total, kinds = _columns(page, _TABLE_COLUMNS, rows)
    if kinds.size and kinds.max() > MAP_OBJECT:
        raise Corrupt("a segment table names a kind that is not known: run g2disk fsck")
    return TablePage(numbers, sizes, born, died, epochs, live, total, kinds)


def _encode_references(magic: bytes, page: IndexPage) -> bytes:
    found = page.references
    columns = (page.leaves, found.numbers, found.epochs, found.offsets, found.lengths)
    return _encode(magic, columns, ("<u8", *_REFERENCES))


def _decode_references(magic: bytes, page: Buffer) -> IndexPage:
    rows = _decode_head(page, magic)
    leaves, *columns = _columns(page, ("<u8", *_REFERENCES), rows)
    if rows and not (leaves[1:] > leaves[:-1]).all():
        raise Corrupt("the leaves in a map page do not rise: run g2disk fsck")
    return IndexPage(leaves, References(*columns))


def _encode(magic: bytes, columns: tuple[npt.NDArray[np.unsignedinteger], ...], types: tuple[str, ...]) -> bytes:
    assert len({len(column) for column in columns}) == 1
    parts = [np.asarray(column, kind).tobytes() for column, kind in zip(columns, types, strict=True)]
    return b"".join((_HEAD.pack(magic, _VERSION, len(columns[0])), *parts))


def _decode_head(page: Buffer, magic: bytes) -> int:
    """The number in the page's head."""
    if len(page) < _HEAD.size:
        raise Corrupt(f"a map page has {len(page)} bytes only: run g2disk fsck")
    found, version, number = _HEAD.unpack_from(page)
    if found != magic:
        raise Corrupt(f"a map page is {found!r} instead of {magic!r}: run g2disk fsck")
    if version != _VERSION:
        raise Unsupported(f"a map page has format {version}, this g2disk knows {_VERSION}: use a newer one")
    return int(number)


def _columns(page: Buffer, types: tuple[str, ...], rows: int) -> list[npt.NDArray[np.unsignedinteger]]:
    """The columns behind the head, read-only."""
    widths = [np.dtype(kind).itemsize for kind in types]
    if len(page) != _HEAD.size + rows * sum(widths):
        raise Corrupt(f"a map page of {rows} rows has {len(page)} bytes: run g2disk fsck")
    columns, at = [], _HEAD.size
    for kind, width in zip(types, widths, strict=True):
        column = np.frombuffer(page, kind, rows, at)
        column.flags.writeable = False
        columns.append(column)
        at += rows * width
    return columns
