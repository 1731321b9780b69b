"""`Http2Connection`, one end of an HTTP/2 connection that carries gRPC, without input and output.

Bytes in, events out; calls in, bytes out.  Sources: RFC 9113, and "gRPC over HTTP2" for the framing of messages.
"""

from __future__ import annotations

from collections.abc import Sequence

from g2disk.http2.events import Buffer, Event


class Http2Connection:
    """Use: receive into `writable`, then handle what `filled` returns; after that, and after any calls of other
    methods, send what `data_to_send` returns.  Stop receiving while the socket does not take what is to be sent.

    On a stream that is over, the methods that take one do nothing: its `StreamReset` may not have been handled yet.
    """

    def __init__(self, client: bool) -> None:
        """The preface, the settings and the connection's window are queued at once."""
        raise NotImplementedError

    def writable(self) -> memoryview:
        """Where to receive to; never empty.  Call it again for every receive."""
        raise NotImplementedError

    def filled(self, count: int) -> list[Event]:
        """`count` bytes were received into what `writable` gave: what they say.

        Raises `Http2Error` when the peer broke the protocol.  Then send what `data_to_send` returns (it tells the peer
        why), close the socket, and call `eof` for the streams that were open.
        """
        raise NotImplementedError

    def eof(self) -> list[Event]:
        """The socket was closed, by either side: every open stream is reset."""
        raise NotImplementedError

    def data_to_send(self) -> list[Buffer]:
        """What to send now, in order; nothing of it is returned again.  The parts of messages are those that were given
        to `send_message`, or views of them.
        """
        raise NotImplementedError

    @property
    def can_open(self) -> bool:
        """Whether `open_stream` can be called now: the peer has not gone away, and allows one more stream."""
        raise NotImplementedError

    @property
    def open_streams(self) -> int:
        """How many streams are not over."""
        raise NotImplementedError

    def open_stream(self, headers: Sequence[tuple[str, str]]) -> int:
        """A client's request; its stream.  Raises `Unavailable` unless `can_open`."""
        raise NotImplementedError

    def send_headers(self, stream: int, headers: Sequence[tuple[str, str]], end: bool = False) -> None:
        """A server's response headers; with `end` they are the whole answer (gRPC's Trailers-Only), or its trailers."""
        raise NotImplementedError

    def send_message(self, stream: int, parts: Sequence[Buffer]) -> None:
        """Send one gRPC message, the parts joined; they must stay as they are until they have been sent.

        What flow control does not allow yet is kept in order, and leaves by itself as the peer allows it.
        """
        raise NotImplementedError

    def send_end(self, stream: int, trailers: Sequence[tuple[str, str]] | None = None) -> None:
        """End this side of the stream when all messages have left; a server gives the trailers.

        A server's stream is over with that: if the client has not sent all, it is told to stop (RFC 9113, section 8.1).
        """
        raise NotImplementedError

    def reset(self, stream: int, code: int) -> None:
        """End the stream at once, in both directions; no event follows."""
        raise NotImplementedError

    def unsent(self, stream: int) -> int:
        """Bytes of messages that wait for flow control."""
        raise NotImplementedError

    def pause(self, stream: int) -> None:
        """Do not let the peer send more on this stream than it may already: 16 MiB at most."""
        raise NotImplementedError

    def resume(self, stream: int) -> None:
        """The opposite of `pause`."""
        raise NotImplementedError

    def go_away(self) -> None:
        """Take no new streams; those in progress go on.  Close the socket when `open_streams` is 0."""
        raise NotImplementedError

    def ping(self) -> None:
        """Ask for a `Pong`."""
        raise NotImplementedError
