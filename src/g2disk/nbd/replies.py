"""Replies of the transmission phase, encoded: simple, structured and extended (NBD protocol, "Transmission phase").

Data is passed through as it is; the result is a list of buffers for one `writelines`, none of them empty: asyncio's own
event loop of Python 3.12 and 3.13 would try to send an empty one for ever.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TypeAlias

from g2disk.errors import DiskError, Internal
from g2disk.nbd import constants as nbd
from g2disk.nbd.errors import nbd_errno
from g2disk.request import EXTENTS, FLUSH, READ, WRITE, ZERO, Request

Part: TypeAlias = bytes | bytearray | memoryview
Encode: TypeAlias = Callable[[list[Request]], list[Part]]

_SIMPLE = struct.Struct(">IIQ").pack
_STRUCTURED = struct.Struct(">IHHQI").pack
_STRUCTURED_DATA = struct.Struct(">IHHQIQ").pack
_EXTENDED = struct.Struct(">IHHQQQ").pack
_EXTENDED_DATA = struct.Struct(">IHHQQQQ").pack
_ERROR = struct.Struct(">IH").pack
_WORD = struct.Struct(">I").pack
_TWO_WORDS = struct.Struct(">II").pack
_DONE = nbd.REPLY_FLAG_DONE

LONGEST_MESSAGE = 1000
"""Bytes of text in an error reply; the protocol allows 4096."""


def encoder(*, structured: bool, extended: bool) -> Encode:
    """The function that encodes the replies to requests that are done, as the handshake agreed.

    A request's `tag` is its cookie.
    """
    if extended:
        return encode_extended
    return encode_structured if structured else encode_simple


def encode_simple(requests: list[Request]) -> list[Part]:
    """Simple replies: what the kernel understands."""
    parts: list[Part] = []
    for request in requests:
        if request.error is not None:
            parts.append(_SIMPLE(nbd.SIMPLE_REPLY_MAGIC, errno_of(request), request.tag))
        elif request.operation == READ and request.length:
            parts += (_SIMPLE(nbd.SIMPLE_REPLY_MAGIC, 0, request.tag), request.data)
        else:
            parts.append(_SIMPLE(nbd.SIMPLE_REPLY_MAGIC, 0, request.tag))
    return parts


def encode_structured(requests: list[Request]) -> list[Part]:
    """Structured replies, each one chunk; so reads with the flag DF are answered right."""
    parts: list[Part] = []
    for request in requests:
        if request.error is None and request.operation == READ and request.length:
            kind, length = nbd.REPLY_TYPE_OFFSET_DATA, request.length + 8
            header = _STRUCTURED_DATA(nbd.STRUCTURED_REPLY_MAGIC, _DONE, kind, request.tag, length, request.offset)
            parts += (header, request.data)
            continue
        kind, payload = _chunk(request, _short_status)
        parts.append(_STRUCTURED(nbd.STRUCTURED_REPLY_MAGIC, _DONE, kind, request.tag, len(payload)) + payload)
    return parts


def encode_extended(requests: list[Request]) -> list[Part]:
    """Extended replies: structured ones with 64 bits of length, and the request's offset in each."""
    parts: list[Part] = []
    for request in requests:
        if request.error is None and request.operation == READ and request.length:
            kind, length = nbd.REPLY_TYPE_OFFSET_DATA, request.length + 8
            header = _EXTENDED_DATA(
                nbd.EXTENDED_REPLY_MAGIC, _DONE, kind, request.tag, request.offset, length, request.offset
            )
            parts += (header, request.data)
            continue
        kind, payload = _chunk(request, _long_status)
        header = _EXTENDED(nbd.EXTENDED_REPLY_MAGIC, _DONE, kind, request.tag, request.offset, len(payload))
        parts.append(header + payload)
    return parts


def errno_of(request: Request) -> int:
    """The number for a request that failed.  A flush, which has no range, cannot be wrong, whatever a server says."""
    error = request.error or Internal("no error")
    errno = nbd_errno(error, writing=request.operation in (WRITE, ZERO))
    if request.operation == FLUSH and errno == nbd.EINVAL:
        return nbd.EIO
    return errno


def _chunk(request: Request, status: Callable[[Request], tuple[int, bytes]]) -> tuple[int, bytes]:
    """The chunk's type and payload, for all but the data of a read."""
    if request.error is not None:
        return nbd.REPLY_TYPE_ERROR, _error(request, request.error)
    return status(request) if request.operation == EXTENTS else (nbd.REPLY_TYPE_NONE, b"")


def _error(request: Request, error: DiskError) -> bytes:
    text = str(error).encode(errors="replace")[:LONGEST_MESSAGE].decode(errors="ignore").encode()
    return _ERROR(errno_of(request), len(text)) + text


def _states(request: Request) -> list[tuple[int, int]]:
    """(length, state) of the extents that go out."""
    extents = request.data[:1] if request.flags & nbd.CMD_FLAG_REQ_ONE else request.data
    hole, zero = nbd.STATE_HOLE, nbd.STATE_ZERO
    return [(extent.length, extent.hole * hole | extent.zero * zero) for extent in extents]


def _short_status(request: Request) -> tuple[int, bytes]:
    pairs = b"".join([_TWO_WORDS(length, state) for length, state in _states(request)])
    return nbd.REPLY_TYPE_BLOCK_STATUS, _WORD(nbd.BASE_ALLOCATION_ID) + pairs


def _long_status(request: Request) -> tuple[int, bytes]:
    states = _states(request)
    flat = [number for pair in states for number in pair]
    pairs = struct.pack(f">{len(flat)}Q", *flat)
    return nbd.REPLY_TYPE_BLOCK_STATUS_EXT, _TWO_WORDS(nbd.BASE_ALLOCATION_ID, len(states)) + pairs
