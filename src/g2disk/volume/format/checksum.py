"""CRC-32C (Castagnoli, RFC 3720 appendix B.4), the checksum of all formats of volumes."""

from __future__ import annotations

from typing import TypeAlias

from crc32c import crc32c

Buffer: TypeAlias = bytes | bytearray | memoryview

__all__ = ["Buffer", "block_checksums", "crc32c"]


def block_checksums(data: Buffer, block_size: int) -> list[int]:
    """The CRC-32C of each block of `data`, which is whole blocks."""
    if len(data) == block_size:
        return [crc32c(data)]
    view = memoryview(data)
    return [crc32c(view[at : at + block_size]) for at in range(0, len(view), block_size)]
