"""The server's side of the transmission phase: requests out of what was received.

NBD protocol, "Transmission phase".  A request that cannot be is refused, and what it carries is skipped, so that the
stream stays in step; a stream that is out of step raises `NbdProtocolError`, and the connection has to end.
"""

from __future__ import annotations

import struct
from typing import Final

from g2disk.errors import Invalid
from g2disk.nbd import constants as nbd
from g2disk.nbd.errors import NbdProtocolError
from g2disk.receive_buffer import ReceiveBuffer
from g2disk.request import EXTENTS, READ, WRITE, Request

_COMPACT = struct.Struct(">IHHQQI")
_EXTENDED = struct.Struct(">IHHQQQ")
_EFFECT = struct.Struct(">Q")
_CONTEXT = struct.Struct(">I")

_MOST_SKIPPED: Final = 1 << 32
"""Bytes of payload that are skipped to stay in step; who sends more is not worth it."""

_COMMON = (READ, WRITE)
_FUA = nbd.CMD_FLAG_FUA
_FLAGS = {
    nbd.CMD_READ: _FUA | nbd.CMD_FLAG_DF,
    nbd.CMD_WRITE: _FUA,
    nbd.CMD_FLUSH: _FUA,
    nbd.CMD_TRIM: _FUA,
    nbd.CMD_CACHE: _FUA,
    nbd.CMD_WRITE_ZEROES: _FUA | nbd.CMD_FLAG_NO_HOLE | nbd.CMD_FLAG_FAST_ZERO,
    nbd.CMD_BLOCK_STATUS: _FUA | nbd.CMD_FLAG_REQ_ONE,
}
"""The flags that each request may have.  FUA is allowed on all, and has no effect on some."""


class RequestParser:
    """Requests, in the order in which they came.

    Receive into `writable()`, then call `filled`.  Each `Request` has the client's cookie as its `tag`, and the data of
    a write is a view of what was received.
    """

    def __init__(self, *, structured: bool, extended: bool, base_allocation: bool, maximum_payload: int) -> None:
        """`maximum_payload` is in bytes, for requests with data."""
        self._buffer = ReceiveBuffer()
        self.writable = self._buffer.writable
        self.rest = self._buffer.rest
        self._structured, self._extended, self._base_allocation = structured, extended, base_allocation
        self._maximum = maximum_payload
        self._magic = nbd.EXTENDED_REQUEST_MAGIC if extended else nbd.REQUEST_MAGIC
        self._header = _EXTENDED if extended else _COMPACT
        self._skipping = 0
        self.disconnected = False
        """The client said that it will send nothing more (NBD_CMD_DISC)."""

    def feed(self, data: bytes) -> tuple[list[Request], list[Request]]:
        """What `filled` returns, for bytes that were received somewhere else (the rest of the handshake)."""
        requests: list[Request] = []
        refused: list[Request] = []
        rest = memoryview(data)
        while rest and not self.disconnected:
            room = self.writable()
            count = min(len(room), len(rest))
            room[:count] = rest[:count]
            rest = rest[count:]
            good, bad = self.filled(count)
            requests += good
            refused += bad
        return requests, refused

    def filled(self, count: int) -> tuple[list[Request], list[Request]]:
        """The requests that are complete now, and those that are refused, with their errors set.

        Nothing more is read after a disconnect.  Raises `NbdProtocolError`.
        """
        buffer = self._buffer
        buffer.filled(count)
        requests: list[Request] = []
        refused: list[Request] = []
        if self._skipping:
            self._skip()
        view = buffer.view
        available, position, size, unpack = len(view), 0, self._header.size, self._header.unpack_from
        while available - position >= size and not self.disconnected:
            magic, flags, operation, cookie, offset, length = unpack(view, position)
            if magic != self._magic:
                raise NbdProtocolError(f"{magic:#010x} where a request must begin; the client does not speak NBD")
            end = position + size
            data = None
            if operation == WRITE or flags & nbd.CMD_FLAG_PAYLOAD_LEN:
                payload = self._payload(operation, flags, length)
                if payload > self._maximum:
                    refused.append(_refuse(operation, flags, offset, length, cookie, f"{payload} bytes are too much"))
                    buffer.consume(end)
                    self._skipping = payload
                    self._skip()
                    view = buffer.view
                    available, position = len(view), 0
                    continue
                if payload > available - end:
                    buffer.consume(position)
                    buffer.expect(size + payload)
                    return requests, refused
                data = view[end : end + payload]
                end += payload
            position = end
            if operation in _COMMON:
                if not flags:
                    requests.append(Request(operation, flags, offset, length, cookie, data))
                    continue
            elif operation == nbd.CMD_DISC:
                self.disconnected = True
                break
            request = Request(operation, flags, offset, length, cookie, data)
            (requests if self._examine(request) else refused).append(request)
        buffer.consume(position)
        return requests, refused

    def _skip(self) -> None:
        """Drop what belongs to a refused request."""
        dropped = min(self._skipping, len(self._buffer))
        self._buffer.consume(dropped)
        self._skipping -= dropped

    def _payload(self, operation: int, flags: int, length: int) -> int:
        """Bytes that follow the header."""
        if not self._extended:
            return length if operation == WRITE else 0
        if operation == WRITE and not flags & nbd.CMD_FLAG_PAYLOAD_LEN:
            raise NbdProtocolError("an extended write without the flag PAYLOAD_LEN; the client is broken")
        if length > _MOST_SKIPPED:
            raise NbdProtocolError(f"a request with {length} bytes of payload; the client is broken")
        return length

    def _examine(self, request: Request) -> bool:
        """Whether the request may go on; if not, its error is set."""
        allowed = _FLAGS.get(request.operation)
        wrong = ""
        if allowed is None:
            wrong = f"there is no command {request.operation}"
        elif request.operation == EXTENTS:
            wrong = self._examine_block_status(request)
        elif self._extended and request.flags & nbd.CMD_FLAG_PAYLOAD_LEN:
            if request.operation == WRITE:
                request.flags &= ~nbd.CMD_FLAG_PAYLOAD_LEN
            else:
                wrong = f"{nbd.COMMAND_NAMES[request.operation]} takes no payload"
        if not wrong and allowed is not None and request.flags & ~allowed:
            wrong = f"{nbd.COMMAND_NAMES[request.operation]} does not take the flags {request.flags & ~allowed:#x}"
        if not wrong and request.flags & nbd.CMD_FLAG_DF and not self._structured:
            wrong = "the flag DF needs structured replies"
        if wrong:
            request.error, request.data = Invalid(wrong), None
        return not wrong

    def _examine_block_status(self, request: Request) -> str:
        if not self._base_allocation:
            return "BLOCK_STATUS needs a context; negotiate base:allocation first"
        if self._extended and request.flags & nbd.CMD_FLAG_PAYLOAD_LEN:
            request.flags &= ~nbd.CMD_FLAG_PAYLOAD_LEN
            if not _names_base_allocation(request.data):
                return "BLOCK_STATUS with a payload that does not name the context base:allocation once"
            request.length = _EFFECT.unpack_from(request.data)[0]
            request.data = None
        return "" if request.length else "BLOCK_STATUS of 0 bytes"


def _names_base_allocation(payload: memoryview) -> bool:
    return (
        len(payload) == _EFFECT.size + _CONTEXT.size
        and _CONTEXT.unpack_from(payload, _EFFECT.size)[0] == nbd.BASE_ALLOCATION_ID
    )


def _refuse(operation: int, flags: int, offset: int, length: int, cookie: int, wrong: str) -> Request:
    request = Request(operation, flags, offset, length, cookie)
    request.error = Invalid(wrong)
    return request
