"""`Streams`, which streams of a connection there are, and how they end (RFC 9113, section 5.1)."""

from __future__ import annotations

from typing import Final

from g2disk.http2 import frames
from g2disk.http2.errors import ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, NO_ERROR, PROTOCOL_ERROR, Http2Error
from g2disk.http2.events import Event, StreamEnded, StreamReset
from g2disk.http2.messages import Room
from g2disk.http2.sender import Sender
from g2disk.http2.settings import CONNECTION_WINDOW
from g2disk.http2.stream import Stream
from g2disk.http2.windows import ReceiveWindow

MOST_TROUBLE: Final = 500
"""Streams that broke a rule or that the peer reset before they were answered, less those that went well, beyond which
the connection ends (CVE-2023-44487, "rapid reset")."""

_REMEMBERED = 2048
"""Streams that we reset and may still get frames of; twice as many as can be open at once."""


class Streams:
    """The streams of one connection."""

    def __init__(self, client: bool, sender: Sender) -> None:
        self.client = client
        self.open: dict[int, Stream] = {}
        self.last = -1 if client else 0
        """The last stream that was opened; all are the client's, since nobody pushes."""
        self.most = frames.LARGEST_STREAM
        """Streams that the server lets us have open at once."""
        self.going = False
        """No new streams: the peer has gone away, or this side has."""
        self._sender = sender
        self._window = ReceiveWindow(CONNECTION_WINDOW)
        self._room = Room()
        self._reset: dict[int, None] = {}
        self._trouble = 0

    def add(self, number: int) -> Stream:
        """Open a stream."""
        self.last = number
        stream = self.open[number] = Stream(number, self._sender.initial_window, self._room)
        return stream

    def is_idle(self, number: int) -> bool:
        """Whether no frame may come on it, because nobody has opened it."""
        return number % 2 == 0 or number > self.last

    def was_reset(self, number: int) -> bool:
        """Whether we reset it not long ago, so that the peer may have sent more before it knew."""
        return number in self._reset

    def received(self, stream: Stream | None, count: int) -> bool:
        """DATA of `count` bytes came; whether the stream's window allowed it.

        Raises `Http2Error` if the connection's window did not.
        """
        self._window.left -= count
        if self._window.left < 0:
            raise Http2Error(FLOW_CONTROL_ERROR, "more DATA than the connection's window allows")
        if stream is None:
            return True
        stream.receive_window.left -= count
        return stream.receive_window.left >= 0

    def give_back(self, stream: Stream | None, count: int) -> None:
        """`count` received bytes are dealt with, of a stream or of none; while it is paused, they are withheld."""
        if stream is not None:
            if stream.paused:
                stream.withheld += count
                return
            increment = stream.receive_window.give_back(count)
            if increment and not stream.remote_ended:
                self._sender.put(frames.window_update(stream.number, increment))
        increment = self._window.give_back(count)
        if increment:
            self._sender.put(frames.window_update(0, increment))

    def finish(self, stream: Stream) -> None:
        """All messages have left, and nothing follows: end this side."""
        if self.client:
            self._sender.put(frames.frame(frames.DATA, frames.END_STREAM, stream.number))
            stream.ended = True
        else:
            self._sender.headers(stream.number, stream.trailers or (), True)
            self.over(stream)

    def remote_end(self, stream: Stream, events: list[Event]) -> None:
        """The peer has sent all."""
        if stream.reader.inside_message:
            self.break_off(stream, PROTOCOL_ERROR, "the stream ended inside a message", events)
            return
        stream.remote_ended = True
        events.append(StreamEnded(stream.number))
        if self.client:
            self.over(stream)

    def break_off(self, stream: Stream, code: int, reason: str, events: list[Event]) -> None:
        """The peer broke a rule that concerns this stream alone."""
        self.reset(stream, code)
        events.append(StreamReset(stream.number, code, reason))
        self.made_trouble()

    def over(self, stream: Stream) -> None:
        """The answer is complete.  The side that has not sent all is told that it need not (section 8.1)."""
        if stream.ended or (stream.remote_ended and not self.client):
            self.remove(stream)
        else:
            self.reset(stream, NO_ERROR)
        self._trouble = max(0, self._trouble - 1)

    def reset(self, stream: Stream, code: int) -> None:
        """End the stream at once, in both directions."""
        self.remove(stream)
        self.refuse(stream.number, code)

    def refuse(self, number: int, code: int) -> None:
        """Reset a stream that was not opened, or is not open any more."""
        self._sender.put(frames.reset(number, code))
        self.ignore(number)

    def ignore(self, number: int) -> None:
        """Drop whatever comes on this stream from now on."""
        self.last = max(self.last, number)
        self._reset[number] = None
        if len(self._reset) > _REMEMBERED:
            del self._reset[next(iter(self._reset))]

    def remove(self, stream: Stream) -> None:
        """The stream is over, and both sides know it."""
        del self.open[stream.number]
        self._sender.forget(stream)
        stream.reader.close()
        stream.queue.clear()
        self.give_back(None, stream.withheld)

    def made_trouble(self) -> None:
        """The peer had us do work for nothing.  Raises `Http2Error` when that is all that it does."""
        self._trouble += 1
        if self._trouble > MOST_TROUBLE:
            raise Http2Error(ENHANCE_YOUR_CALM, f"more than {MOST_TROUBLE} streams were reset or broken")
