"""`HeaderReceiver`, which puts header blocks together and opens and ends streams by them (RFC 9113, sections 6.2, 6.10
and 8.1).
"""

from __future__ import annotations

from g2disk.http2 import frames
from g2disk.http2.errors import ENHANCE_YOUR_CALM, PROTOCOL_ERROR, REFUSED_STREAM, STREAM_CLOSED, Http2Error
from g2disk.http2.events import Event, HeadersReceived
from g2disk.http2.headers import MOST_BLOCK, HeaderDecoder, Kind
from g2disk.http2.settings import MOST_STREAMS
from g2disk.http2.stream import Stream
from g2disk.http2.streams import Streams

_PRIORITY_LENGTH = 5


class HeaderReceiver:
    """The headers of all streams."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._decoder = HeaderDecoder()
        self._block = bytearray()
        self._cost = 0
        self._ended = False
        self.stream = 0
        """The stream whose block goes on in the next frame, which must be its CONTINUATION; 0 if there is none."""

    def begin(self, flags: int, number: int, payload: memoryview, events: list[Event]) -> None:
        """HEADERS came."""
        if not number:
            raise Http2Error(PROTOCOL_ERROR, "HEADERS on stream 0")
        if flags & frames.PADDED:
            payload = frames.unpadded(payload)
        if flags & frames.PRIORITISED:
            if len(payload) < _PRIORITY_LENGTH:
                raise Http2Error(PROTOCOL_ERROR, "HEADERS too short for the priority in it")
            payload = payload[_PRIORITY_LENGTH:]
        self._ended = bool(flags & frames.END_STREAM)
        if flags & frames.END_HEADERS:
            self._complete(number, bytes(payload), events)
            return
        self.stream = number
        self._block = bytearray(payload)
        self._cost = len(payload)

    def go_on(self, kind: int, flags: int, number: int, payload: memoryview, events: list[Event]) -> None:
        """A frame came in the middle of a block."""
        if kind != frames.CONTINUATION or number != self.stream:
            raise Http2Error(PROTOCOL_ERROR, f"headers of stream {self.stream} were cut off by another frame")
        self._cost += frames.HEADER_LENGTH + len(payload)
        if self._cost > MOST_BLOCK:
            raise Http2Error(ENHANCE_YOUR_CALM, f"a header block of more than {MOST_BLOCK} bytes")
        self._block += payload
        if flags & frames.END_HEADERS:
            self.stream = 0
            self._complete(number, bytes(self._block), events)

    def _complete(self, number: int, block: bytes, events: list[Event]) -> None:
        stream = self._streams.open.get(number)
        if stream is not None:
            self._of_open_stream(stream, block, events)
        elif self._streams.client or number <= self._streams.last:
            self._of_closed_stream(number, block)
        else:
            self._request(number, block, events)

    def _of_closed_stream(self, number: int, block: bytes) -> None:
        if self._streams.is_idle(number):
            raise Http2Error(PROTOCOL_ERROR, f"HEADERS on stream {number}, which was not opened")
        if not self._streams.was_reset(number):
            raise Http2Error(STREAM_CLOSED, f"HEADERS on stream {number}, which is over")
        self._decoder.decode(block, Kind.TRAILERS)  # later blocks build on it

    def _request(self, number: int, block: bytes, events: list[Event]) -> None:
        streams = self._streams
        if number % 2 == 0:
            raise Http2Error(PROTOCOL_ERROR, f"a client opened stream {number}; its streams are odd")
        headers, problem = self._decoder.decode(block, Kind.REQUEST)
        if streams.going:
            streams.ignore(number)
        elif problem:
            streams.refuse(number, PROTOCOL_ERROR)
            streams.made_trouble()
        elif len(streams.open) >= MOST_STREAMS:
            streams.refuse(number, REFUSED_STREAM)
        else:
            stream = streams.add(number)
            events.append(HeadersReceived(number, headers, self._ended))
            if self._ended:
                streams.remote_end(stream, events)

    def _of_open_stream(self, stream: Stream, block: bytes, events: list[Event]) -> None:
        streams = self._streams
        kind = Kind.RESPONSE if streams.client and not stream.answered else Kind.TRAILERS
        headers, problem = self._decoder.decode(block, kind)
        status = headers[0][1] if kind is Kind.RESPONSE and headers else ""
        if stream.remote_ended:
            streams.break_off(stream, STREAM_CLOSED, "HEADERS after the stream's end", events)
        elif problem:
            streams.break_off(stream, PROTOCOL_ERROR, f"malformed headers: {problem}", events)
        elif kind is Kind.TRAILERS and not self._ended:
            streams.break_off(stream, PROTOCOL_ERROR, "headers between messages", events)
        elif self._ended or not status.startswith("1"):  # an informational response means nothing to gRPC
            stream.answered = stream.answered or streams.client
            events.append(HeadersReceived(stream.number, headers, self._ended))
            if self._ended:
                streams.remote_end(stream, events)
