"""`ServerConnection`, one client's connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from g2disk.errors import Invalid
from g2disk.http2.events import Event, Headers, HeadersReceived
from g2disk.remote.headers import check_request, metadata_of, parse_timeout, response_headers, trailers
from g2disk.remote.link import Link, LinkStream
from g2disk.remote.status import StatusCode, status_of
from g2disk.remote.stream import Status
from g2disk.servers.grpc.bounds import Bounds
from g2disk.servers.grpc.calls import ServerCall, StreamServerCall, UnaryServerCall
from g2disk.servers.grpc.handlers import Row, UnaryRow
from g2disk.servers.grpc.tasks import Tasks

_GOODBYE = 1.0
"""Seconds that a client gets to notice that the server takes no new calls; what it sent before is still answered."""

_STOPS = "the server stops"


class ServerConnection(Link):
    """Opens a call for every stream; `rows` are by path.  `closed` is called once, when the connection is no more."""

    def __init__(self, rows: Mapping[str, Row], tasks: Tasks, closed: Callable[[ServerConnection], None]) -> None:
        super().__init__(client=False)
        self._rows = rows
        self._tasks = tasks
        self._bounds = Bounds()
        self._closed = closed
        self._draining = self._late = False
        self.idle: asyncio.Future[None] = self.loop.create_future()
        """Done when `drain` was called and every call has been answered."""

    def connection_lost(self, error: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        self._bounds.end()
        super().connection_lost(error)
        self._set_idle()
        self._closed(self)

    def handle(self, event: Event) -> None:
        """See `Link.handle`."""
        if type(event) is HeadersReceived and event.stream not in self.streams:
            self._open(event.stream, event.headers)
        else:
            super().handle(event)

    def drain(self) -> None:
        """Take no new calls, and end the connection when those in progress have been answered."""
        self._draining = True
        self.http2.go_away()
        self.flush()
        self.loop.call_later(_GOODBYE, self._finish_if_idle, True)

    def stop(self) -> None:
        """End every call that is left."""
        for call in list(self.streams.values()):
            assert isinstance(call, ServerCall)
            call.stop()

    def stream_forgotten(self, stream: LinkStream) -> None:
        """See `Link.stream_forgotten`."""
        if isinstance(stream, UnaryServerCall):
            self._bounds.closed(stream)
        self._finish_if_idle()

    def buffer_updated(self, count: int) -> None:
        """See `asyncio.BufferedProtocol`."""
        super().buffer_updated(count)
        self._finish_if_idle()

    def _finish_if_idle(self, late: bool = False) -> None:
        self._late = self._late or late
        if self._draining and not self.streams and (self._late or not self.http2.can_open):
            self.finish(_STOPS)
            self._set_idle()

    def _set_idle(self) -> None:
        if not self.idle.done():
            self.idle.set_result(None)

    def _open(self, number: int, headers: Headers) -> None:
        refusal = check_request(headers)
        if refusal is not None:
            self.http2.send_headers(number, refusal, end=True)
            return
        said = dict(headers)
        path = said.get(":path", "")
        asked = self._rows.get(path)
        try:
            timeout = parse_timeout(said["grpc-timeout"]) if "grpc-timeout" in said else None
        except Invalid as error:
            self._refuse(number, status_of(error))
            return
        if asked is None:
            self._refuse(number, Status(StatusCode.UNIMPLEMENTED, f"there is no method {path[:200]}"))
        elif isinstance(asked, UnaryRow):
            self.streams[number] = UnaryServerCall(self, number, timeout, asked, self._tasks, self._bounds)
        else:
            self.http2.limit(number, asked.largest)
            call = self.streams[number] = StreamServerCall(self, number, timeout)
            call.open(asked, metadata_of(headers))

    def _refuse(self, number: int, status: Status) -> None:
        self.http2.send_headers(number, [*response_headers(), *trailers(status)], end=True)
