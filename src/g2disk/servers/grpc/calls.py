"""Calls as the server sees them."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Mapping, Sequence

from g2disk.disk import Buffer
from g2disk.errors import DiskError
from g2disk.http2.events import Headers
from g2disk.remote.headers import response_headers, trailers
from g2disk.remote.link import Link, LinkStream
from g2disk.remote.status import StatusCode, status_of
from g2disk.remote.stream import MessageHandler, Status
from g2disk.servers.grpc.bounds import Bounds
from g2disk.servers.grpc.handlers import StreamRow, UnaryRow, reply_to
from g2disk.servers.grpc.tasks import Tasks

_OK = Status(StatusCode.OK)
_STOPPED = Status(StatusCode.UNAVAILABLE, "the server stopped before this was done; ask again when it runs")


class ServerCall(LinkStream):
    """What unary calls and streams share: the answer's headers and trailers, and the deadline."""

    def __init__(self, link: Link, number: int, timeout: float | None) -> None:
        super().__init__(link, number)
        self.over = False
        """Nothing more can be sent."""
        self._answered = False
        self._deadline = None if timeout is None else link.loop.call_later(timeout, self._expire, timeout)

    def send(self, parts: Sequence[Buffer]) -> None:
        """See `MessageStream.send`."""
        if self.over:
            return
        if not self._answered:
            self._answered = True
            self.link.http2.send_headers(self.number, response_headers())
        super().send(parts)

    def end(self, status: Status | None = None) -> None:
        """See `MessageStream.end`; without a status the call went well."""
        if self.over:
            return
        self._settle()
        said = trailers(status or _OK)
        if self._answered:
            self.link.http2.send_end(self.number, said)
        else:
            self.link.http2.send_headers(self.number, [*response_headers(), *said], end=True)
        self.link.schedule_flush()
        if self not in self.link.unsettled:
            self.link.forget(self)

    def abort(self) -> None:
        """See `MessageStream.abort`."""
        self._settle()
        super().abort()

    def headers_received(self, headers: Headers, ended: bool) -> None:
        """Trailers of a client mean nothing."""

    def message_refused(self, status: Status) -> None:
        """The call cannot go on."""
        self._fail(status)

    def was_reset(self, code: int, reason: str) -> None:
        """The client does not want the answer any more."""
        self._lose(Status(StatusCode.CANCELLED, f"the client ended the call: {reason} (HTTP/2 error {code})"))

    def link_lost(self, reason: str) -> None:
        """The client has gone."""
        self._lose(Status(StatusCode.UNAVAILABLE, f"the connection to the client ended: {reason}"))

    def drained(self) -> None:
        """All that was sent has left."""
        if self.over:
            self.link.forget(self)

    def stop(self) -> None:
        """The server stops, and waits no longer."""
        self._fail(_STOPPED)

    @abstractmethod
    def gone(self, status: Status) -> None:
        """The call has ended before it was answered."""

    def _expire(self, timeout: float) -> None:
        self._fail(Status(StatusCode.DEADLINE_EXCEEDED, f"it was not done within the client's {timeout:g} s"))

    def _fail(self, status: Status) -> None:
        if not self.over:
            self.end(status)
            self.gone(status)

    def _lose(self, status: Status) -> None:
        if not self.over:
            self._settle()
            self.gone(status)

    def _settle(self) -> None:
        self.over = True
        if self._deadline is not None:
            self._deadline.cancel()


class UnaryServerCall(ServerCall):
    """One request, one reply."""

    def __init__(
        self, link: Link, number: int, timeout: float | None, asked: UnaryRow, tasks: Tasks, bounds: Bounds
    ) -> None:
        super().__init__(link, number, timeout)
        self._row = asked
        self._tasks = tasks
        self._bounds = bounds
        self._request: memoryview | None = None
        self._task: asyncio.Task[None] | None = None
        bounds.opened(self)

    def message_received(self, data: memoryview) -> None:
        """The request."""
        if self._request is not None:
            self._refuse("more than one request")
        elif not self.over:
            self._request = data
            self._bounds.received(self, len(data))

    def half_closed(self) -> None:
        """The request is complete."""
        if self._request is None:
            self._refuse("no request")
        elif not self.over:
            self._bounds.complete(self)

    def begin(self) -> None:
        """Have the request answered."""
        assert self._request is not None
        self._task = self._tasks.start(self._answer(self._request))

    def gone(self, _status: Status) -> None:
        """Nobody waits for the reply; what changes nothing is not carried on."""
        if self._task is not None and not self._row.carried_through:
            self._task.cancel()

    async def _answer(self, request: memoryview) -> None:
        outcome: bytes | Status = _STOPPED
        try:
            outcome = await reply_to(self._row, request)
        finally:
            self._request = None
            self._reply(outcome)

    def _reply(self, outcome: bytes | Status) -> None:
        if isinstance(outcome, Status) or self.over:
            self._bounds.answered(self, 0)
        else:
            self._bounds.answered(self, len(outcome))
            self.send((outcome,))
        self.end(outcome if isinstance(outcome, Status) else _OK)

    def _refuse(self, what: str) -> None:
        # gRPC's "Status codes and their use": request cardinality violation.
        self._fail(Status(StatusCode.UNIMPLEMENTED, f"{what} in a call that takes one"))


class StreamServerCall(ServerCall):
    """Any number of messages in both directions."""

    def __init__(self, link: Link, number: int, timeout: float | None) -> None:
        super().__init__(link, number, timeout)
        self._handler: MessageHandler | None = None

    def open(self, asked: StreamRow, metadata: Mapping[str, str]) -> None:
        """Make the handler; where that fails the call ends."""
        try:
            self._handler = asked.open(self, metadata)
        except DiskError as error:
            self.end(status_of(error))

    def message_received(self, data: memoryview) -> None:
        """A message for the handler."""
        if self._handler is not None and not self.over:
            self._handler.message(data)

    def half_closed(self) -> None:
        """The client has sent all."""
        if self._handler is not None and not self.over:
            self._handler.ended(_OK)

    def drained(self) -> None:
        """All that was sent has left."""
        super().drained()
        if self._handler is not None and not self.over:
            self._handler.drained()

    def gone(self, status: Status) -> None:
        """The handler can send nothing more."""
        if self._handler is not None:
            self._handler.ended(status)
