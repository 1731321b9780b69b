"""The layout of a Session's messages in protobuf's wire format: columns of numbers, and the payload behind them.

Pure.  Source: protobuf's "Encoding" page.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct

NO_DATA = memoryview(b"")
_PAYLOAD = 15 << 3 | 2

_MOST_AT_ONCE = 4096
"""Requests in a message that `struct` takes apart; beyond that a format of its own for each number costs memory."""


def column_length(message: memoryview, start: int, number: int) -> int:
    """The elements of the packed column of 32-bit numbers that begins at `start`, field `number`.

    0 where there is none, or where it has more than are taken apart at once.
    """
    if start + 1 >= len(message) or message[start] != number << 3 | 2:
        return 0
    size, _ = _read_varint(message, start + 1)
    return 0 if size % 4 or size > 4 * _MOST_AT_ONCE else size // 4


def payload_at(message: memoryview, start: int) -> memoryview | None:
    """The payload field that is all of the message from `start` on; empty at its end, None for anything else."""
    if start == len(message):
        return NO_DATA
    if message[start] != _PAYLOAD:
        return None
    length, begin = _read_varint(message, start + 1)
    return message[begin:] if length == len(message) - begin else None


def _read_varint(message: memoryview, start: int) -> tuple[int, int]:
    """A number of up to five bytes, and where it ends; -1 where there is none."""
    value = 0
    for at, byte in enumerate(message[start : start + 5]):
        value |= (byte & 0x7F) << 7 * at
        if byte < 0x80:
            return value, start + at + 1
    return -1, start


def varint(value: int) -> bytes:
    """`value` as protobuf encodes numbers."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


@lru_cache(_MOST_AT_ONCE)
def request_tags(count: int) -> tuple[bytes, bytes, bytes, bytes]:
    """What stands before each column of a SessionRequest: the field's number and type, and the column's bytes."""
    narrow, wide = varint(4 * count), varint(8 * count)
    return b"\x32" + narrow, b"\x3a" + narrow, b"\x42" + wide, b"\x4a" + wide


@lru_cache(_MOST_AT_ONCE)
def request_format(count: int) -> Struct:
    """The columns of a SessionRequest with so many requests, with what stands before each."""
    ids, operations, offsets, lengths = map(len, request_tags(count))
    return Struct(f"<{ids}s{count}I{operations}s{count}I{offsets}s{count}Q{lengths}s{count}Q")


@lru_cache(_MOST_AT_ONCE)
def reply_tags(count: int) -> tuple[bytes, bytes]:
    """What stands before each column of a SessionReply."""
    size = varint(4 * count)
    return b"\x2a" + size, b"\x32" + size


@lru_cache(_MOST_AT_ONCE)
def reply_format(count: int) -> Struct:
    """The columns of a SessionReply with so many replies, with what stands before each."""
    ids, lengths = map(len, reply_tags(count))
    return Struct(f"<{ids}s{count}I{lengths}s{count}I")
