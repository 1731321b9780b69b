"""Frames as bytes: their types, flags, header and payloads (RFC 9113, sections 4 and 6)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

from g2disk.http2.errors import PROTOCOL_ERROR, Http2Error

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client sends first (section 3.4)."""

DATA: Final = 0x0
HEADERS: Final = 0x1
PRIORITY: Final = 0x2
RST_STREAM: Final = 0x3
SETTINGS: Final = 0x4
PUSH_PROMISE: Final = 0x5
PING: Final = 0x6
GOAWAY: Final = 0x7
WINDOW_UPDATE: Final = 0x8
CONTINUATION: Final = 0x9

END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
PRIORITISED: Final = 0x20

HEADER_LENGTH: Final = 9
HEADER: Final = struct.Struct(">IBI")
"""Length << 8 | type; flags; stream, whose top bit means nothing."""
MESSAGE_HEADER: Final = struct.Struct(">IBIBI")
"""A DATA frame's header, and the prefix of the gRPC message in it: 0 for not compressed, and its length."""
PREFIX: Final = struct.Struct(">BI")
"""The prefix of a gRPC message ("gRPC over HTTP2": Length-Prefixed-Message)."""
NUMBER: Final = struct.Struct(">I")
SETTING: Final = struct.Struct(">HI")
GOING: Final = struct.Struct(">II")
"""GOAWAY: last stream; error code."""

LARGEST_STREAM: Final = (1 << 31) - 1
LARGEST_WINDOW: Final = (1 << 31) - 1


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One small frame."""
    return HEADER.pack(len(payload) << 8 | kind, flags, stream) + payload


def settings(pairs: Iterable[tuple[int, int]]) -> bytes:
    """Section 6.5."""
    return frame(SETTINGS, 0, 0, b"".join(SETTING.pack(*pair) for pair in pairs))


def reset(stream: int, code: int) -> bytes:
    """Section 6.4."""
    return frame(RST_STREAM, 0, stream, NUMBER.pack(code))


def window_update(stream: int, increment: int) -> bytes:
    """Section 6.9; stream 0 is the connection."""
    return frame(WINDOW_UPDATE, 0, stream, NUMBER.pack(increment))


def go_away(last_stream: int, code: int, debug: str = "") -> bytes:
    """Section 6.8."""
    return frame(GOAWAY, 0, 0, GOING.pack(last_stream, code) + debug.encode())


def header_block(stream: int, block: bytes, ended: bool, most: int) -> bytes:
    """HEADERS, and CONTINUATION where one frame of `most` bytes does not hold the block (section 4.3)."""
    ending = END_STREAM if ended else 0
    if len(block) <= most:
        return frame(HEADERS, ending | END_HEADERS, stream, block)
    frames = [frame(HEADERS, ending, stream, block[:most])]
    for start in range(most, len(block), most):
        last = END_HEADERS if start + most >= len(block) else 0
        frames.append(frame(CONTINUATION, last, stream, block[start : start + most]))
    return b"".join(frames)


def unpadded(payload: memoryview) -> memoryview:
    """The payload of a frame with PADDED, without the padding (section 6.1).  Raises `Http2Error`."""
    if not payload or payload[0] >= len(payload):
        raise Http2Error(PROTOCOL_ERROR, "more padding than the frame holds")
    return payload[1 : len(payload) - payload[0]]
