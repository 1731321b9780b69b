"""A layout without text as PNG (PNG specification, W3C, third edition)."""

from __future__ import annotations

import struct
import zlib

from g2disk.cli.picture.layout import BACKGROUND, Layout

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_EIGHT_BIT_RGB = (8, 2, 0, 0, 0)
"""Bits, colour type, and the only compression, filter method and no interlacing there is."""


def png(layout: Layout) -> bytes:
    """The file; lines of text are left out."""
    rows = [bytearray(bytes(BACKGROUND) * layout.width) for _ in range(layout.height)]
    for box in layout.boxes:
        paint = bytes(box.colour) * box.width
        for row in rows[box.y : box.y + box.height]:
            row[3 * box.x : 3 * (box.x + box.width)] = paint
    pixels = b"".join(b"\0" + row for row in rows)  # each row behind its filter, none
    header = struct.pack(">IIBBBBB", layout.width, layout.height, *_EIGHT_BIT_RGB)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(pixels, 9)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
