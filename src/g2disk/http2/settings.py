"""The settings of both ends, and the limits that we keep (RFC 9113, section 6.5)."""

from __future__ import annotations

from typing import Final

from g2disk.http2.errors import FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, PROTOCOL_ERROR, Http2Error
from g2disk.http2.frames import LARGEST_WINDOW, SETTING
from g2disk.units import KIB, MIB

HEADER_TABLE_SIZE: Final = 0x1
ENABLE_PUSH: Final = 0x2
MAX_CONCURRENT_STREAMS: Final = 0x3
INITIAL_WINDOW_SIZE: Final = 0x4
MAX_FRAME_SIZE: Final = 0x5
MAX_HEADER_LIST_SIZE: Final = 0x6

DEFAULT_WINDOW: Final = 65535
SMALLEST_FRAME_LIMIT: Final = 16 * KIB
LARGEST_FRAME_LIMIT: Final = 16 * MIB - 1

MOST_STREAMS: Final = 1024
"""Streams that a client may have open at once."""
MOST_HEADERS: Final = 16 * KIB
"""A header list's size as section 6.5.2 counts it; grpc's own limits are 8 and 16 KiB."""
STREAM_WINDOW: Final = 16 * MIB
"""Bytes that a peer may send on a stream ahead of us; also what one stream that is paused can cost in memory."""
CONNECTION_WINDOW: Final = 64 * MIB

_COMMON = ((INITIAL_WINDOW_SIZE, STREAM_WINDOW), (MAX_FRAME_SIZE, LARGEST_FRAME_LIMIT))
CLIENT: Final = ((ENABLE_PUSH, 0), *_COMMON, (MAX_HEADER_LIST_SIZE, MOST_HEADERS))
SERVER: Final = ((MAX_CONCURRENT_STREAMS, MOST_STREAMS), *_COMMON, (MAX_HEADER_LIST_SIZE, MOST_HEADERS))


def parse(payload: memoryview, from_server: bool) -> dict[int, int]:
    """The values of a SETTINGS frame that mean something to us; those of unknown settings are there too.

    Raises `Http2Error` for values that are not allowed.
    """
    if len(payload) % SETTING.size:
        raise Http2Error(FRAME_SIZE_ERROR, f"SETTINGS of {len(payload)} bytes; six a setting are right")
    values: dict[int, int] = dict(SETTING.iter_unpack(payload))
    if values.get(ENABLE_PUSH, 0) > (0 if from_server else 1):
        raise Http2Error(PROTOCOL_ERROR, f"ENABLE_PUSH is {values[ENABLE_PUSH]}")
    if values.get(INITIAL_WINDOW_SIZE, 0) > LARGEST_WINDOW:
        raise Http2Error(FLOW_CONTROL_ERROR, f"INITIAL_WINDOW_SIZE is {values[INITIAL_WINDOW_SIZE]}")
    if not SMALLEST_FRAME_LIMIT <= values.get(MAX_FRAME_SIZE, SMALLEST_FRAME_LIMIT) <= LARGEST_FRAME_LIMIT:
        raise Http2Error(PROTOCOL_ERROR, f"MAX_FRAME_SIZE is {values[MAX_FRAME_SIZE]}")
    return values
