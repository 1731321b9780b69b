"""Segments: immutable objects of blocks, with their index in front.

`build_segment` makes one, `stored_range` says which bytes to fetch, `read_blocks` turns them into blocks.
Source: docs/formats/segment.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from g2disk.errors import Corrupt
from g2disk.volume.format.checksum import Buffer, block_checksums
from g2disk.volume.format.compression import Compression, compress, decompress
from g2disk.volume.format.names import SegmentName
from g2disk.volume.format.sealing import SALT_LENGTH, TAG_LENGTH, Sealer
from g2disk.volume.format.segment_index import (
    FRAME_BYTES,
    HEADER_LENGTH,
    SegmentExtent,
    SegmentIndex,
    SegmentKind,
    index_length,
)

__all__ = [
    "FRAME_BYTES",
    "HEADER_LENGTH",
    "SegmentExtent",
    "SegmentIndex",
    "SegmentKind",
    "SegmentName",
    "build_segment",
    "index_length",
    "read_blocks",
    "stored_range",
]


def build_segment(
    name: SegmentName,
    kind: SegmentKind,
    sequences: tuple[int, int],
    extents: Sequence[tuple[int, Buffer]],
    zeroes: Sequence[tuple[int, int]],
    block_size: int,
    sealer: Sealer,
) -> tuple[SegmentIndex, list[Buffer]]:
    """A segment's index, and its bytes as parts to be joined, among them `extents`' buffers where they are stored as
    they are.

    `sequences`: of the first and the last change, (0, 0) for collected blocks.  `extents`: first block and data, whole
    blocks; no block is in two of them.  `zeroes`: first block and count; they take effect before the data.
    Takes long: 16 MiB take milliseconds, compressed tens of them.
    """
    packed = _pack_frames(extents, sealer.compression) if _framed(sealer) else []
    index = SegmentIndex(
        *(name, kind, block_size, sealer.compression, *sequences),
        zero_blocks=np.array([block for block, _ in zeroes], "<u8"),
        zero_counts=np.array([count for _, count in zeroes], "<u8"),
        extent_blocks=np.array([block for block, _ in extents], "<u8"),
        extent_counts=np.array([len(data) // block_size for _, data in extents], "<u4"),
        crcs=np.array([crc for _, data in extents for crc in block_checksums(data, block_size)], "<u4"),
        frame_lengths=np.array([len(frame) + TAG_LENGTH * sealer.encrypted for frame in packed], "<u4"),
    )
    salt = bytes(SALT_LENGTH)
    if sealer.encrypted:
        salt = sealer.segment_salt((index.plain(), *packed))
        index.cipher = sealer.segment_cipher(name.number, name.epoch, salt)
    front = index.encode(sealer, salt)
    index.data_offset = len(front)
    if not index.framed:
        return index, [front, *(data for _, data in extents)]
    if index.cipher is None:
        return index, [front, *packed]
    return index, [front, *(index.cipher.seal(number, frame) for number, frame in enumerate(packed))]


def stored_range(index: SegmentIndex, ordinal: int, count: int) -> tuple[int, int]:
    """Which bytes of the object hold these blocks: offset and length."""
    assert 0 <= ordinal < ordinal + count <= index.block_count
    if not index.framed:
        return index.data_offset + ordinal * index.block_size, count * index.block_size
    first, last = ordinal // index.frame_blocks, (ordinal + count - 1) // index.frame_blocks
    start, end = int(index.frame_offsets[first]), int(index.frame_offsets[last + 1])
    return index.data_offset + start, end - start


def read_blocks(index: SegmentIndex, ordinal: int, count: int, stored: Buffer, stored_offset: int) -> Buffer:
    """These blocks, out of bytes of the object that begin at `stored_offset` and hold at least `stored_range`.

    A view of `stored` where that holds them as they are.  Each block's checksum is checked: raises `Corrupt`, which
    names the segment and the block.
    """
    offset, length = stored_range(index, ordinal, count)
    start = offset - stored_offset
    assert start >= 0
    view = memoryview(stored)[start : start + length]
    if len(view) != length:
        raise Corrupt(f"{_label(index)} ends too early, at byte {stored_offset + len(stored)}: {_NEXT}")
    plain: Buffer = view
    if index.framed:
        first = ordinal // index.frame_blocks
        whole = _open_frames(index, first, view)
        skipped = (ordinal - first * index.frame_blocks) * index.block_size
        plain = memoryview(whole)[skipped : skipped + count * index.block_size]
    expected = index.crcs[ordinal : ordinal + count].tolist()
    found = block_checksums(plain, index.block_size)
    if found != expected:
        wrong = next(at for at in range(count) if found[at] != expected[at])
        raise Corrupt(f"{_label(index)}: the checksum of {_block(index, ordinal + wrong)} does not fit: {_NEXT}")
    return plain


_NEXT = "run g2disk fsck --data"


def _framed(sealer: Sealer) -> bool:
    return sealer.encrypted or sealer.compression != Compression.NONE


def _label(index: SegmentIndex) -> str:
    return f"segment {index.name.number:x} of epoch {index.name.epoch}"


def _block(index: SegmentIndex, ordinal: int) -> str:
    return f"block {int(index.blocks()[ordinal])} of the disk"


def _pack_frames(extents: Sequence[tuple[int, Buffer]], compression: Compression) -> list[Buffer]:
    """The data in frames, compressed."""
    return [compress(compression, frame) for frame in _frames([memoryview(data).cast("B") for _, data in extents])]


def _frames(parts: Sequence[memoryview]) -> Iterator[Buffer]:
    """The parts' bytes in pieces of FRAME_BYTES; a piece that lies in one part is a view of it."""
    gathered: list[memoryview] = []
    missing = FRAME_BYTES
    for part in parts:
        at = 0
        while at < len(part):
            piece = part[at : at + missing]
            at += len(piece)
            missing -= len(piece)
            gathered.append(piece)
            if not missing:
                yield gathered[0] if len(gathered) == 1 else b"".join(gathered)
                gathered, missing = [], FRAME_BYTES
    if gathered:
        yield gathered[0] if len(gathered) == 1 else b"".join(gathered)


def _open_frames(index: SegmentIndex, first: int, stored: memoryview) -> Buffer:
    """The plain bytes of the frames from `first` on that `stored` holds."""
    frames: list[Buffer] = []
    at, number = 0, first
    while at < len(stored):
        end = at + int(index.frame_lengths[number])
        frames.append(_open_frame(index, number, stored[at:end]))
        at, number = end, number + 1
    return frames[0] if len(frames) == 1 else b"".join(frames)


def _open_frame(index: SegmentIndex, number: int, stored: Buffer) -> Buffer:
    first = number * index.frame_blocks
    blocks = min(index.frame_blocks, index.block_count - first)
    try:
        packed = index.cipher.open(number, stored) if index.cipher else stored
        return decompress(index.compression, packed, blocks * index.block_size)
    except Corrupt as error:
        raise Corrupt(f"{_label(index)}: the frame of {_block(index, first)} {error}: {_NEXT}") from error
