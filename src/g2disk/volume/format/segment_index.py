"""What stands in front of a segment's data: a header of fixed length, and the index.

Source: docs/formats/segment.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from struct import Struct

import numpy as np

from g2disk.errors import Corrupt, Unsupported
from g2disk.volume.format.checksum import Buffer, crc32c
from g2disk.volume.format.compression import Compression
from g2disk.volume.format.locations import BLOCK_LIMIT, MOST_BLOCKS
from g2disk.volume.format.names import SegmentName
from g2disk.volume.format.pages import U32, U64
from g2disk.volume.format.sealing import SALT_LENGTH, TAG_LENGTH, FrameCipher, Sealer

FRAME_BYTES = 65536
"""Plain bytes in a frame; the last one of a segment may have fewer."""

_MAGIC = b"g2vS"
_VERSION = 1
_CHECKSUM = Struct("<4sI")
_HEADER = Struct(f"<IBBBBQIII{SALT_LENGTH}s12x")
"""Version, kind, compression, whether encrypted, log2 of the block size, number, epoch; length and checksum of the
index, salt."""
HEADER_LENGTH = _CHECKSUM.size + _HEADER.size
"""Bytes; `index_length` needs them."""
_COUNTS = Struct("<QQIIII")
"""First and last sequence; numbers of zero ranges, extents, blocks, and frames."""
_ROW_BYTES = (16, 12, 4, 4)
"""Of a zero range, an extent, a block, a frame."""
_INDEX_PART = (1 << 64) - 1
"""What the index is to the segment's cipher; frames are 0 and up."""
_MOST_INDEX_BYTES = 1 << 30


class SegmentKind(IntEnum):
    """What a segment holds."""

    DATA = 0
    """Changes, in the order of their sequence numbers."""
    COLLECTED = 1
    """Blocks that garbage collection moved here."""


@dataclass(frozen=True, slots=True)
class SegmentExtent:
    """Successive blocks of the disk that stand together."""

    block: int
    count: int
    ordinal: int
    """Of the first of them."""


@dataclass(slots=True, eq=False)
class SegmentIndex:
    """What a segment holds, and where.  The zero ranges take effect before the data."""

    name: SegmentName
    kind: SegmentKind
    block_size: int
    compression: Compression
    first_sequence: int
    """Of the changes; 0 where the kind is COLLECTED."""
    last_sequence: int
    zero_blocks: U64
    """The first block of each zero range."""
    zero_counts: U64
    extent_blocks: U64
    """The first block of each extent; the extents follow one another, by ordinal.  No block is in two of them."""
    extent_counts: U32
    crcs: U32
    """CRC-32C of each block, by ordinal, as it was before compression."""
    frame_lengths: U32
    """Stored bytes of each frame; empty where the data is neither compressed nor encrypted: then it has no frames."""
    data_offset: int = 0
    """Where the data begins, in bytes of the object."""
    cipher: FrameCipher | None = field(default=None, repr=False)
    """None where nothing is encrypted."""
    frame_offsets: U64 = field(init=False, repr=False)
    """Where each frame begins behind `data_offset`, and where the last one ends."""

    def __post_init__(self) -> None:
        self.frame_offsets = np.zeros(len(self.frame_lengths) + 1, "<u8")
        np.cumsum(self.frame_lengths, out=self.frame_offsets[1:])

    @property
    def block_count(self) -> int:
        """Blocks that it has data of."""
        return len(self.crcs)

    @property
    def framed(self) -> bool:
        """Whether the data is compressed or encrypted, in frames."""
        return self.cipher is not None or self.compression != Compression.NONE

    @property
    def frame_blocks(self) -> int:
        """Blocks in a frame; the last one may have fewer."""
        return FRAME_BYTES // self.block_size

    @property
    def stored_bytes(self) -> int:
        """Of the whole object."""
        data = int(self.frame_offsets[-1]) if self.framed else self.block_count * self.block_size
        return self.data_offset + data

    @property
    def extent_ordinals(self) -> U64:
        """The ordinal of the first block of each extent."""
        counts = self.extent_counts.astype("<u8")
        return np.asarray(np.cumsum(counts) - counts, "<u8")

    def extents(self) -> Iterator[SegmentExtent]:
        """The extents, by ordinal."""
        columns = (self.extent_blocks.tolist(), self.extent_counts.tolist(), self.extent_ordinals.tolist())
        return map(SegmentExtent, *columns)

    def blocks(self) -> U64:
        """The block of the disk that stands at each ordinal."""
        shift = self.extent_blocks - self.extent_ordinals  # may wrap; the sum wraps back
        return np.asarray(np.repeat(shift, self.extent_counts) + np.arange(self.block_count, dtype="<u8"), "<u8")

    def encode(self, sealer: Sealer, salt: bytes) -> bytes:
        """Header and index.  `salt` is `sealer.segment_salt`'s; without encryption it is zeroes."""
        plain = self.plain()
        stored = self.cipher.seal(_INDEX_PART, plain) if self.cipher else plain
        rest = _HEADER.pack(
            *(_VERSION, self.kind, self.compression.code, sealer.encrypted, self.block_size.bit_length() - 1),
            *(self.name.number, self.name.epoch, len(stored), crc32c(stored), salt),
        )
        return b"".join((_CHECKSUM.pack(_MAGIC, crc32c(rest)), rest, stored))

    def plain(self) -> bytes:
        """The index before encryption."""
        rows = (len(self.zero_blocks), len(self.extent_blocks), len(self.crcs), len(self.frame_lengths))
        columns = (self.zero_blocks, self.zero_counts, self.extent_blocks)
        narrow = (self.extent_counts, self.crcs, self.frame_lengths)
        return b"".join(
            (
                _COUNTS.pack(self.first_sequence, self.last_sequence, *rows),
                *(np.asarray(column, "<u8").tobytes() for column in columns),
                *(np.asarray(column, "<u4").tobytes() for column in narrow),
            )
        )

    @staticmethod
    def decode(data: Buffer, name: SegmentName, sealer: Sealer) -> SegmentIndex:
        """The index of segment `name`; `data` begins as the object does, and may hold more than the index.

        Raises `Corrupt`, `Unsupported`.
        """
        try:
            return _decode(memoryview(data), name, sealer)
        except (ValueError, Corrupt) as error:
            raise Corrupt(f"segment {name.number:x} of epoch {name.epoch}: {error}: run g2disk fsck") from error


def index_length(header: Buffer) -> int:
    """Bytes of header and index together, from the first HEADER_LENGTH bytes of a segment.

    Raises `Corrupt`, `Unsupported`.
    """
    try:
        return HEADER_LENGTH + _decode_header(memoryview(header))[7]
    except ValueError as error:
        raise Corrupt(f"the header of a segment: {error}: run g2disk fsck") from error


def _decode_header(data: memoryview) -> tuple[int, int, int, int, int, int, int, int, int, bytes]:
    """Raises ValueError, `Unsupported`."""
    if len(data) < HEADER_LENGTH:
        raise ValueError(f"{len(data)} bytes are too few")
    magic, checksum = _CHECKSUM.unpack_from(data)
    if magic != _MAGIC or checksum != crc32c(data[_CHECKSUM.size : HEADER_LENGTH]):
        raise ValueError("the checksum does not fit")
    found: tuple[int, int, int, int, int, int, int, int, int, bytes] = _HEADER.unpack_from(data, _CHECKSUM.size)
    if found[0] != _VERSION:
        raise Unsupported(f"a segment has format {found[0]}, this g2disk knows {_VERSION}: use a newer one")
    if found[7] > _MOST_INDEX_BYTES:
        raise ValueError("the index is too long")
    return found


def _decode(data: memoryview, name: SegmentName, sealer: Sealer) -> SegmentIndex:
    """Raises ValueError, `Corrupt`, `Unsupported`."""
    _, kind, compression, encrypted, shift, number, epoch, length, checksum, salt = _decode_header(data)
    if (number, epoch) != (name.number, name.epoch):
        raise ValueError(f"it is segment {number:x} of epoch {epoch}")
    if bool(encrypted) != sealer.encrypted or not 12 <= shift <= 16:
        raise ValueError("not a segment of this volume")
    stored = data[HEADER_LENGTH:][:length]
    if len(stored) != length or checksum != crc32c(stored):
        raise ValueError("the checksum of the index does not fit")
    cipher = sealer.segment_cipher(number, epoch, salt) if encrypted else None
    # A copy where it is not encrypted: the columns are views, and would keep the whole of `data` in memory.
    plain = cipher.open(_INDEX_PART, stored) if cipher else bytes(stored)
    first, last, zero_blocks, zero_counts, extent_blocks, extent_counts, crcs, frame_lengths = _decode_columns(plain)
    index = SegmentIndex(
        *(name, SegmentKind(kind), 1 << shift, Compression.from_code(compression), first, last),
        *(zero_blocks, zero_counts, extent_blocks, extent_counts, crcs, frame_lengths),
        data_offset=HEADER_LENGTH + length,
        cipher=cipher,
    )
    _check(index)
    return index


def _check(index: SegmentIndex) -> None:
    """Raises ValueError."""
    numbered = 1 <= index.first_sequence <= index.last_sequence
    if numbered != (index.kind == SegmentKind.DATA) or (not numbered and index.first_sequence | index.last_sequence):
        raise ValueError("the sequence numbers do not fit its kind")
    _check_ranges(index.zero_blocks, index.zero_counts)
    _check_ranges(index.extent_blocks, index.extent_counts)
    if int(index.extent_counts.sum(dtype="<u8")) != index.block_count or index.block_count > MOST_BLOCKS:
        raise ValueError("the extents do not have as many blocks as the index")
    frames = -(-index.block_count // index.frame_blocks) if index.framed else 0
    if len(index.frame_lengths) != frames:
        raise ValueError(f"{len(index.frame_lengths)} frames instead of {frames}")
    if (index.frame_lengths == 0).any() or (index.frame_lengths > FRAME_BYTES + TAG_LENGTH).any():
        raise ValueError("a frame is too long, or empty")


def _check_ranges(blocks: U64, counts: U64 | U32) -> None:
    """Raises ValueError."""
    if len(blocks) and (int(blocks.max()) >= BLOCK_LIMIT or int(counts.max()) > BLOCK_LIMIT or not counts.all()):
        raise ValueError("a range of blocks reaches too far, or is empty")


def _decode_columns(plain: Buffer) -> tuple[int, int, U64, U64, U64, U32, U32, U32]:
    """Raises ValueError."""
    if len(plain) < _COUNTS.size:
        raise ValueError("the index is too short")
    first, last, *rows = _COUNTS.unpack_from(plain)
    if len(plain) != _COUNTS.size + sum(count * width for count, width in zip(rows, _ROW_BYTES, strict=True)):
        raise ValueError("the index does not have the length that its counts need")
    zeroes, extents, blocks, frames = rows
    at = _COUNTS.size
    wide = [np.frombuffer(plain, "<u8", zeroes, at), np.frombuffer(plain, "<u8", zeroes, at + 8 * zeroes)]
    at += 16 * zeroes
    wide.append(np.frombuffer(plain, "<u8", extents, at))
    at += 8 * extents
    narrow = []
    for count in (extents, blocks, frames):
        narrow.append(np.frombuffer(plain, "<u4", count, at))
        at += 4 * count
    return first, last, wide[0], wide[1], wide[2], narrow[0], narrow[1], narrow[2]
