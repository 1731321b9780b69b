"""Blocks that say themselves what they are.  Pure.

A block is `size` bytes, a multiple of 32.  It is filled with stamps of 32 bytes, each with magic, run, place, version,
writer and a CRC-32 over these, so that any piece of a block can be recognised wherever it turns up.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Final

BLOCK: Final = 512
"""Bytes of a block, unless the disk's minimum block is larger."""

ZEROES: Final = 0
"""In place of a version: the block reads as zeroes."""
ANYTHING: Final = -1
"""In place of a version: the block was trimmed, and may read as anything."""

_MAGIC = b"g2T1"
_BODY = struct.Struct("<4sQQII")  # magic, run, byte offset on the disk, version, writer
_CHECK = struct.Struct("<I")
STAMP: Final = _BODY.size + _CHECK.size
"""Bytes of a stamp."""

_MOST_PARTS = 4
"""Parts of a block that a description names."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What 32 bytes say of themselves."""

    run: int
    offset: int
    """Bytes from the disk's start."""
    version: int
    writer: int


class Blocks:
    """The blocks of one run."""

    def __init__(self, run: int, size: int = BLOCK) -> None:
        assert size % STAMP == 0
        self.run = run
        self.size = size

    def content(self, block: int, version: int, writer: int = 0) -> bytes:
        """What the block must hold in that version; zeroes for `ZEROES`."""
        if version == ZEROES:
            return bytes(self.size)
        first = block * self.size
        return b"".join(self._stamp(first + at, version, writer) for at in range(0, self.size, STAMP))

    def version_of(self, block: int, data: bytes) -> int | None:
        """The version that the block holds as a whole, `ZEROES` among them; None for anything else."""
        if not any(data):
            return ZEROES
        stamp = _decode(data[:STAMP])
        if stamp is None or data != self.content(block, stamp.version, stamp.writer):
            return None
        return stamp.version

    def describe(self, block: int, data: bytes) -> str:
        """What the bytes are, for people: a version, a torn block, another place's or another run's data."""
        first = block * self.size
        parts = [self._name(first + at, data[at : at + STAMP]) for at in range(0, len(data), STAMP)]
        kinds = list(dict.fromkeys(parts))
        if len(kinds) == 1:
            return kinds[0]
        counted = [f"{parts.count(kind)}/{len(parts)} {kind}" for kind in kinds[:_MOST_PARTS]]
        return f"torn: {', '.join(counted)}{', …' if len(kinds) > _MOST_PARTS else ''}"

    def _stamp(self, offset: int, version: int, writer: int) -> bytes:
        body = _BODY.pack(_MAGIC, self.run, offset, version, writer)
        return body + _CHECK.pack(zlib.crc32(body))

    def _name(self, offset: int, data: bytes) -> str:
        if not any(data):
            return "zeroes"
        stamp = _decode(data)
        if stamp is None:
            return "foreign bytes"
        if stamp.run != self.run:
            return "data of another run"
        if stamp.offset != offset:
            return f"version {stamp.version} of byte {stamp.offset}"
        return f"version {stamp.version}"


def _decode(data: bytes) -> Stamp | None:
    """The stamp, or None for other bytes."""
    body = data[: _BODY.size]
    if len(data) != STAMP or body[:4] != _MAGIC or data[_BODY.size :] != _CHECK.pack(zlib.crc32(body)):
        return None
    _, run, offset, version, writer = _BODY.unpack(body)
    return Stamp(run, offset, version, writer)
