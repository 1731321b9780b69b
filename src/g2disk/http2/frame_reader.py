"""`FrameReader`, which cuts frames from the bytes of a connection (RFC 9113, sections 3.4 and 4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from g2disk.http2 import frames
from g2disk.http2.errors import ENHANCE_YOUR_CALM, FRAME_SIZE_ERROR, PROTOCOL_ERROR, Http2Error
from g2disk.http2.frames import HEADER, HEADER_LENGTH
from g2disk.http2.headers import MOST_BLOCK
from g2disk.receive_buffer import ReceiveBuffer
from g2disk.units import KIB

Frame: TypeAlias = tuple[int, int, int, memoryview]
"""Type, flags, stream, payload."""

_LENGTHS = {frames.PRIORITY: 5, frames.RST_STREAM: 4, frames.PING: 8, frames.WINDOW_UPDATE: 4}
_MOST_OF_OTHERS = 16 * KIB
"""Bytes of a SETTINGS or a GOAWAY frame; a few dozen are usual."""
_MOST = {
    frames.HEADERS: MOST_BLOCK,
    frames.CONTINUATION: MOST_BLOCK,
    frames.SETTINGS: _MOST_OF_OTHERS,
    frames.GOAWAY: _MOST_OF_OTHERS,
}


class FrameReader:
    """Holds what came of a frame that is not complete."""

    def __init__(self, preface: bytes) -> None:
        self._preface = preface
        self._buffer = ReceiveBuffer()
        self.writable = self._buffer.writable
        """Where to receive to; see `ReceiveBuffer`."""

    def filled(self, count: int) -> Iterator[Frame]:
        """The frames that `count` more bytes complete.  Raises `Http2Error` for lengths that are not allowed."""
        buffer = self._buffer
        buffer.filled(count)
        view = buffer.view
        start, end, needed = self._skip_preface(view), len(view), 0
        while end - start >= HEADER_LENGTH:
            word, flags, stream = HEADER.unpack_from(view, start)
            length, kind = word >> 8, word & 0xFF
            if kind:
                _check_length(kind, length)
            following = start + HEADER_LENGTH + length
            if following > end:
                needed = HEADER_LENGTH + length
                break
            yield kind, flags, stream & frames.LARGEST_STREAM, view[start + HEADER_LENGTH : following]
            start = following
        del view  # the buffer reuses its memory when nobody holds a view of it
        buffer.consume(start)
        if needed:
            buffer.expect(needed)
        buffer.rest()

    def close(self) -> None:
        """Drop what was received."""
        self._buffer.consume(len(self._buffer))
        self._buffer.rest()

    def _skip_preface(self, view: memoryview) -> int:
        """The length of the preface that is there, whole or not; its beginning is not consumed twice."""
        if not self._preface:
            return 0
        came = bytes(view[: len(self._preface)])
        if not self._preface.startswith(came):
            raise Http2Error(PROTOCOL_ERROR, f"this is not HTTP/2: it begins with {came!r}")
        self._preface = self._preface[len(came) :]
        return len(came)


def _check_length(kind: int, length: int) -> None:
    if length != _LENGTHS.get(kind, length):
        raise Http2Error(FRAME_SIZE_ERROR, f"a frame of type {kind} has {length} bytes, not {_LENGTHS[kind]}")
    if length > _MOST.get(kind, length):
        raise Http2Error(ENHANCE_YOUR_CALM, f"a frame of type {kind} has {length} bytes; {_MOST[kind]} are taken")
