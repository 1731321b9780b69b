"""A call as its client sees it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from g2disk.http2.errors import CANCEL, ENHANCE_YOUR_CALM, INADEQUATE_SECURITY, NO_ERROR, REFUSED_STREAM
from g2disk.http2.events import Headers
from g2disk.remote.headers import check_response, read_trailers
from g2disk.remote.link import Link, LinkStream
from g2disk.remote.status import StatusCode
from g2disk.remote.stream import MessageHandler, Status

_STATUS_OF_RESET = {
    REFUSED_STREAM: StatusCode.UNAVAILABLE,
    CANCEL: StatusCode.CANCELLED,
    ENHANCE_YOUR_CALM: StatusCode.RESOURCE_EXHAUSTED,
    INADEQUATE_SECURITY: StatusCode.PERMISSION_DENIED,
}
"""Of error codes of HTTP/2; all others are INTERNAL.  Source: "gRPC over HTTP2", "Errors"."""


class NotBegun(Status):
    """The server promises that it did nothing for this call: it may be sent again, whatever it asks for."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Broken(Status):
    """The connection broke, and nobody knows what the server did."""

    reason: str = ""


class ClientStream(LinkStream):
    """Carries messages to and from a `MessageHandler`."""

    __slots__ = ("_answered", "_endpoint", "_handler", "_status")

    def __init__(self, link: Link, number: int, handler: MessageHandler, endpoint: str) -> None:
        super().__init__(link, number)
        self._endpoint = endpoint
        self._handler = handler
        self._answered = False
        self._status: Status | None = None

    def end(self, status: Status | None = None) -> None:
        """See `MessageStream.end`."""
        assert status is None, "a client has no status to give"
        self.link.http2.send_end(self.number)
        self.link.schedule_flush()

    def headers_received(self, headers: Headers, ended: bool) -> None:
        """The response's headers; its trailers; or both in one."""
        if not self._answered:
            self._answered = True
            wrong = check_response(headers)
            if wrong is not None:
                self._fail(wrong)
                return
        if ended:
            self._status = read_trailers(headers)

    def message_received(self, data: memoryview) -> None:
        """See `MessageHandler.message`."""
        self._handler.message(data)

    def message_refused(self, status: Status) -> None:
        """A message that cannot be taken ends the call."""
        self._fail(status)

    def half_closed(self) -> None:
        """The server has sent all: the call is over."""
        self.link.forget(self)
        self._handler.ended(self._status or Status(StatusCode.INTERNAL, "the server ended the call without a status"))

    def was_reset(self, code: int, reason: str) -> None:
        """The server has reset the stream; after it said all (RFC 9113, section 8.1) that is no failure."""
        if code == REFUSED_STREAM:
            status: Status = NotBegun(StatusCode.UNAVAILABLE, reason)
        elif code == NO_ERROR and self._status is not None:
            status = self._status
        else:
            status = Status(_STATUS_OF_RESET.get(code, StatusCode.INTERNAL), reason)
        self._handler.ended(status)

    def link_lost(self, reason: str) -> None:
        """The connection is no more."""
        message = f"the connection to {self._endpoint} broke: {reason}"
        self._handler.ended(Broken(StatusCode.UNAVAILABLE, message, reason=reason))

    def drained(self) -> None:
        """See `MessageHandler.drained`."""
        self._handler.drained()

    def _fail(self, status: Status) -> None:
        self.abort()
        self._handler.ended(status)


class UnaryCall:
    """The `MessageHandler` of a call with one reply."""

    __slots__ = ("_reply", "outcome", "over")

    def __init__(self) -> None:
        self.outcome: asyncio.Future[memoryview | Status] = asyncio.get_running_loop().create_future()
        """The reply, or the status of the failure."""
        self.over = False
        """Nothing more comes."""
        self._reply: memoryview | None = None

    def message(self, data: memoryview) -> None:
        """See `MessageHandler.message`."""
        if self._reply is not None:
            self._settle(Status(StatusCode.UNIMPLEMENTED, "the server sent more than one reply"))
        self._reply = data

    def drained(self) -> None:
        """See `MessageHandler.drained`."""

    def ended(self, status: Status) -> None:
        """See `MessageHandler.ended`."""
        self.over = True
        if status.code != StatusCode.OK:
            self._settle(status)
        elif self._reply is None:
            self._settle(Status(StatusCode.UNIMPLEMENTED, "the server sent no reply"))
        else:
            self._settle(self._reply)

    def _settle(self, outcome: memoryview | Status) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)
