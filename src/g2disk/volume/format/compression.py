"""Compression of pieces whose length is known to the reader."""

from __future__ import annotations

from enum import StrEnum

import lz4.block
import zstandard

from g2disk.errors import Corrupt
from g2disk.volume.format.checksum import Buffer

_ZSTD_LEVEL = 1


class Compression(StrEnum):
    """How frames are compressed; the values are those of the manifest."""

    NONE = "none"
    LZ4 = "lz4"
    ZSTD = "zstd"

    @property
    def code(self) -> int:
        """As binary formats write it."""
        return _CODES.index(self)

    @staticmethod
    def from_code(code: int) -> Compression:
        """Raises ValueError."""
        if code >= len(_CODES):
            raise ValueError(f"compression {code} is not known")
        return _CODES[code]


_CODES = (Compression.NONE, Compression.LZ4, Compression.ZSTD)


def compress(compression: Compression, plain: Buffer) -> Buffer:
    """`plain` compressed, or `plain` itself where that would not be shorter."""
    match compression:
        case Compression.NONE:
            return plain
        case Compression.LZ4:
            small: bytes = lz4.block.compress(plain, store_size=False)
        case Compression.ZSTD:
            small = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(plain)
    return small if len(small) < len(plain) else plain


def decompress(compression: Compression, stored: Buffer, length: int) -> Buffer:
    """What `compress` was given, which had `length` bytes.  Raises `Corrupt`; never makes more than `length` bytes."""
    if len(stored) == length:
        return stored
    try:
        plain = _decompress(compression, stored, length)
    except (ValueError, lz4.block.LZ4BlockError, zstandard.ZstdError) as error:
        raise Corrupt(f"does not decompress: {error}") from error
    if len(plain) != length:
        raise Corrupt(f"decompresses to {len(plain)} bytes instead of {length}")
    return plain


def _decompress(compression: Compression, stored: Buffer, length: int) -> bytes:
    """Raises ValueError, or the library's error."""
    match compression:
        case Compression.LZ4:
            plain: bytes = lz4.block.decompress(stored, uncompressed_size=length)
            return plain
        case Compression.ZSTD:
            # The library makes as much room as the frame claims to need.
            if (claimed := zstandard.frame_content_size(stored)) != length:
                raise ValueError(f"claims to have {claimed} bytes instead of {length}")
            return zstandard.ZstdDecompressor().decompress(stored)
    raise ValueError(f"has {len(stored)} bytes instead of {length}")
