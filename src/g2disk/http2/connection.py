"""`Http2Connection`, one end of an HTTP/2 connection that carries gRPC, without input and output.

Bytes in, events out; calls in, bytes out.  Sources: RFC 9113, and "gRPC over HTTP2" for the framing of messages.
"""

from __future__ import annotations

from collections.abc import Sequence

from g2disk.errors import Unavailable
from g2disk.http2 import frames, settings
from g2disk.http2.errors import CANCEL, NO_ERROR, Http2Error
from g2disk.http2.events import Buffer, Event, StreamReset
from g2disk.http2.frame_reader import FrameReader
from g2disk.http2.receiver import GOODBYE, KEEPALIVE, Receiver
from g2disk.http2.sender import Sender
from g2disk.http2.streams import Streams


class Http2Connection:
    """Use: receive into `writable`, then handle what `filled` returns; after that, and after any calls of other
    methods, send what `data_to_send` returns, unless the socket is clogged: then call it when it is not.

    On a stream that is over, the methods that take one do nothing: its `StreamReset` may not have been handled yet.
    """

    def __init__(self, client: bool) -> None:
        """The preface, the settings and the connection's window are queued at once."""
        self._client = client
        self._reader = FrameReader(b"" if client else frames.PREFACE)
        self._sender = Sender()
        self._streams = Streams(client, self._sender)
        self._receiver = Receiver(self._streams, self._sender)
        self._failure = ""
        announced = settings.CLIENT if client else settings.SERVER
        increment = settings.CONNECTION_WINDOW - settings.DEFAULT_WINDOW
        self._sender.put((frames.PREFACE if client else b"") + frames.settings(announced))
        self._sender.put(frames.window_update(0, increment))

    def writable(self) -> memoryview:
        """Where to receive to; never empty.  Call it again for every receive."""
        return self._reader.writable()

    def filled(self, count: int) -> list[Event]:
        """`count` bytes were received into what `writable` gave: what they say.

        Raises `Http2Error` when the peer broke the protocol; what it said just before is lost with it.  Then send what
        `data_to_send` returns (it tells the peer why), close the socket, and call `eof` for the streams that were open.
        """
        events: list[Event] = []
        if self._failure:
            return events
        receive = self._receiver.receive
        try:
            for frame in self._reader.filled(count):
                receive(frame, events)
            self._receiver.send_waiting(events)
        except Http2Error as error:
            self._failure = str(error)
            self._reader.close()
            self._sender.put(frames.go_away(max(self._streams.last, 0), error.code, self._failure))
            raise
        return events

    def eof(self) -> list[Event]:
        """The socket was closed, by either side: every open stream is reset."""
        self._reader.close()
        self._failure = self._failure or "the connection was closed"
        self._streams.going = True
        numbers = list(self._streams.open)
        for stream in list(self._streams.open.values()):
            self._streams.remove(stream)
        return [StreamReset(number, CANCEL, self._failure) for number in numbers]

    def data_to_send(self) -> list[Buffer]:
        """What to send now, in order; nothing of it is returned again.  The parts of messages are those that were given
        to `send_message`, or views of them.
        """
        return self._sender.take()

    @property
    def can_open(self) -> bool:
        """Whether `open_stream` can be called now: neither side goes away, and the peer allows one more stream."""
        streams = self._streams
        return not streams.going and len(streams.open) < streams.most and streams.last + 2 <= frames.LARGEST_STREAM

    @property
    def open_streams(self) -> int:
        """How many streams are not over."""
        return len(self._streams.open)

    def open_stream(self, headers: Sequence[tuple[str, str]]) -> int:
        """A client's request; its stream.  Raises `Unavailable` unless `can_open`."""
        if not self.can_open:
            raise Unavailable("the server takes no more calls on this connection: wait for one to end, or connect anew")
        number = self._streams.last + 2
        self._streams.add(number)
        self._sender.headers(number, headers, ended=False)
        return number

    def send_headers(self, stream: int, headers: Sequence[tuple[str, str]], end: bool = False) -> None:
        """A server's response headers; with `end` they are the whole answer (gRPC's Trailers-Only), or its trailers."""
        if end:
            self.send_end(stream, headers)
            return
        found = self._streams.open.get(stream)
        if found is not None and not found.ending:
            found.answered = True
            self._sender.headers(stream, headers, ended=False)

    def send_message(self, stream: int, parts: Sequence[Buffer]) -> None:
        """Send one gRPC message, the parts joined; they must stay as they are until they have been sent.

        What flow control does not allow yet is kept in order, and leaves by itself as the peer allows it.
        """
        found = self._streams.open.get(stream)
        if found is not None and not found.ending:
            self._sender.message(found, parts)

    def send_end(self, stream: int, trailers: Sequence[tuple[str, str]] | None = None) -> None:
        """End this side of the stream when all messages have left; a server gives the trailers.

        A server's stream is over with that: if the client has not sent all, it is told to stop (RFC 9113, section 8.1).
        """
        found = self._streams.open.get(stream)
        if found is None or found.ending:
            return
        found.ending = True
        found.answered = found.answered or not self._client
        found.trailers = trailers
        if not found.queue:
            self._streams.finish(found)

    def reset(self, stream: int, code: int) -> None:
        """End the stream at once, in both directions; no event follows.

        With NO_ERROR, what was sent before still leaves: a server's `send_end` does the rest by itself.
        """
        found = self._streams.open.get(stream)
        if found is not None and not (code == NO_ERROR and found.ending and not self._client):
            self._streams.reset(found, code)

    def unsent(self, stream: int) -> int:
        """Bytes of messages that wait for flow control."""
        found = self._streams.open.get(stream)
        return found.unsent if found is not None else 0

    def limit(self, stream: int, most: int) -> None:
        """Take messages of at most `most` bytes on this stream; by default of 36 MiB."""
        found = self._streams.open.get(stream)
        if found is not None:
            found.reader.limit = most

    def pause(self, stream: int) -> None:
        """Do not let the peer send more on this stream than it may already: 16 MiB at most.

        What comes then is also kept from the connection's window, until the stream goes on or is over; so all paused
        streams together hold 64 MiB at most, and four of them can stop the others.
        """
        found = self._streams.open.get(stream)
        if found is not None:
            found.paused = True

    def resume(self, stream: int) -> None:
        """The opposite of `pause`."""
        found = self._streams.open.get(stream)
        if found is not None:
            found.paused = False
            withheld, found.withheld = found.withheld, 0
            self._streams.give_back(found, withheld)

    def go_away(self) -> None:
        """Take no new streams; those in progress go on.  Close the socket when `open_streams` is 0.

        A server goes on to take those that the client opened before it knew (section 6.8); a PING tells when it knows.
        """
        if self._client:
            self._streams.going = True
            self._sender.put(frames.go_away(0, NO_ERROR))
        else:
            self._sender.put(frames.go_away(frames.LARGEST_STREAM, NO_ERROR))
            self._sender.put(frames.frame(frames.PING, 0, 0, GOODBYE))

    def ping(self) -> None:
        """Ask for a `Pong`."""
        self._sender.put(frames.frame(frames.PING, 0, 0, KEEPALIVE))
