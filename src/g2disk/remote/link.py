"""`Link`, the shell around `Http2Connection` that both ends of a gRPC connection share: a socket's bytes go in and
out, and what happens on a stream goes to its `LinkStream`.
"""

from __future__ import annotations

import asyncio
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import cast

from g2disk.disk import Buffer
from g2disk.http2.connection import Http2Connection
from g2disk.http2.errors import CANCEL, Http2Error
from g2disk.http2.events import (
    Event,
    Headers,
    HeadersReceived,
    MessageReceived,
    MessageRefused,
    StreamEnded,
    StreamReset,
)
from g2disk.remote.stream import Status


class LinkStream(ABC):
    """One call on a link: the sending side, which is a `MessageStream`, and what the link reports of the other side."""

    __slots__ = ("_paused", "link", "number")

    def __init__(self, link: Link, number: int) -> None:
        self.link = link
        self.number = number
        self._paused = False

    @property
    def unsent(self) -> int:
        """See `MessageStream.unsent`."""
        return self.link.unsent(self.number)

    def send(self, parts: Sequence[Buffer]) -> None:
        """See `MessageStream.send`."""
        self.link.send(self, parts)

    def pause(self) -> None:
        """See `MessageStream.pause`."""
        self._paused = True
        self.link.http2.pause(self.number)

    def resume(self) -> None:
        """See `MessageStream.resume`."""
        if self._paused:
            self._paused = False
            self.link.http2.resume(self.number)
            self.link.schedule_flush()

    def abort(self) -> None:
        """See `MessageStream.abort`."""
        self.link.http2.reset(self.number, CANCEL)
        self.link.forget(self)
        self.link.schedule_flush()

    @abstractmethod
    def headers_received(self, headers: Headers, ended: bool) -> None:
        """Headers or trailers came; with `ended`, nothing more follows."""

    @abstractmethod
    def message_received(self, data: memoryview) -> None:
        """A message came."""

    @abstractmethod
    def message_refused(self, status: Status) -> None:
        """A message came that cannot be taken."""

    @abstractmethod
    def half_closed(self) -> None:
        """The other end has sent all."""

    @abstractmethod
    def was_reset(self, code: int, reason: str) -> None:
        """The other end has ended the stream, with an error code of HTTP/2."""

    @abstractmethod
    def link_lost(self, reason: str) -> None:
        """The connection is no more."""

    @abstractmethod
    def drained(self) -> None:
        """All that was sent has left."""


class Link(asyncio.BufferedProtocol):
    """One connection.

    What is sent within one callback of the event loop leaves in one call of `writelines`.  While the socket does not
    take all, everything waits in `Http2Connection`, whose bounds then end a peer that asks and does not read.
    """

    def __init__(self, client: bool) -> None:
        self.http2 = Http2Connection(client)
        self.loop = asyncio.get_running_loop()
        self.streams: dict[int, LinkStream] = {}
        self.lost = self.loop.create_future()
        """Done when the connection is no more."""
        self._transport: asyncio.Transport | None = None
        self._reason = ""
        self._handling = False
        self._flush_is_scheduled = False
        self._clogged = False
        self._finished = False
        self._queued = 0
        self.unsettled: dict[LinkStream, None] = {}
        """Streams that have sent something that has not left yet, in order."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one without being a subclass
        self._transport.set_write_buffer_limits(0)
        self.flush()

    def get_buffer(self, _sizehint: int) -> memoryview:
        """See `asyncio.BufferedProtocol`."""
        return self.http2.writable()

    def buffer_updated(self, count: int) -> None:
        """See `asyncio.BufferedProtocol`."""
        self._handling = True
        try:
            self._handle(self.http2.filled(count))
        except Http2Error as error:
            self.close(str(error))
            return
        finally:
            self._handling = False
        self.flush()

    def pause_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        self._clogged = True

    def resume_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        self._clogged = False
        self.flush()

    def connection_lost(self, error: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        self._reason = self._reason or describe(error)
        self._transport = None
        self.http2.eof()
        self.unsettled.clear()
        self.lost.set_result(None)
        while self.streams:
            _, stream = self.streams.popitem()
            stream.link_lost(self._reason)

    @property
    def ended(self) -> str:
        """Why the connection is no more, or is being closed; empty while it is good."""
        return self._reason

    def close(self, reason: str) -> None:
        """End the connection once what is queued has been sent; at once where the other end takes nothing."""
        self._reason = self._reason or reason
        self.flush()
        self._finished = True
        if self._transport is None:
            return
        if self._clogged:
            self._transport.abort()
        else:
            self._transport.close()

    def finish(self, reason: str) -> None:
        """Send what is queued and nothing more; the other end is to close the connection.

        Closing it here could take from the other end what it has not read yet (RFC 9112, section 9.6, says why).
        """
        self._reason = self._reason or reason
        self.flush()
        self._finished = True
        if self._transport is not None and self._transport.can_write_eof():
            self._transport.write_eof()

    def abort(self, reason: str = "") -> None:
        """End the connection at once."""
        self._reason = self._reason or reason
        if self._transport is not None:
            self._transport.abort()

    def unsent(self, number: int) -> int:
        """See `MessageStream.unsent`."""
        waiting = self.http2.unsent(number) + self._queued
        if self._clogged and self._transport is not None:
            waiting += self._transport.get_write_buffer_size()
        return waiting

    def send(self, stream: LinkStream, parts: Sequence[Buffer]) -> None:
        """See `MessageStream.send`."""
        self.http2.send_message(stream.number, parts)
        self._queued += sum(map(len, parts))
        self.unsettled[stream] = None
        self.schedule_flush()

    def forget(self, stream: LinkStream) -> None:
        """Report nothing more of this stream."""
        self.unsettled.pop(stream, None)
        if self.streams.pop(stream.number, None) is not None:
            self.stream_forgotten(stream)

    def stream_forgotten(self, stream: LinkStream) -> None:
        """A stream is over; for subclasses."""

    def schedule_flush(self) -> None:
        """Have what is queued sent when this callback of the event loop is over."""
        if not (self._handling or self._flush_is_scheduled):
            self._flush_is_scheduled = True
            self.loop.call_soon(self._scheduled_flush)

    def _scheduled_flush(self) -> None:
        self._flush_is_scheduled = False
        try:
            self.flush()
        except BaseException:  # a handler's bug, which the loop logs: it ends its connection and no other
            self.abort()
            raise

    def flush(self) -> None:
        """Send what is queued, as far as the socket takes it."""
        if self._clogged or self._finished or self._transport is None:
            return
        self._queued = 0
        data = self.http2.data_to_send()
        if data:
            self._transport.writelines(data)
        if self.unsettled and not self._clogged:
            self._settle()

    def _settle(self) -> None:
        for stream in [stream for stream in self.unsettled if not self.http2.unsent(stream.number)]:
            if stream in self.unsettled:
                del self.unsettled[stream]
                stream.drained()

    def _handle(self, events: Sequence[Event]) -> None:
        streams = self.streams
        for event in events:
            if type(event) is MessageReceived:
                stream = streams.get(event.stream)
                if stream is not None:
                    stream.message_received(event.data)
            else:
                self.handle(event)

    def handle(self, event: Event) -> None:
        """What is no message; subclasses add the events that concern the connection."""
        match event:
            case HeadersReceived():
                if (stream := self.streams.get(event.stream)) is not None:
                    stream.headers_received(event.headers, event.ended)
            case StreamEnded():
                if (stream := self.streams.get(event.stream)) is not None:
                    stream.half_closed()
            case StreamReset():
                if (stream := self.streams.get(event.stream)) is not None:
                    self.forget(stream)
                    stream.was_reset(event.code, event.reason)
            case MessageRefused():
                if (stream := self.streams.get(event.stream)) is not None:
                    stream.message_refused(Status(event.status, event.reason))
            case _:
                pass


def describe(error: BaseException | None) -> str:
    """Why a connection ended, for people."""
    if error is None:
        return "the other end closed it"
    number = getattr(error, "errno", None)
    # asyncio writes texts of its own, which name functions of the C library.
    return os.strerror(number) if isinstance(number, int) else str(error) or type(error).__name__
