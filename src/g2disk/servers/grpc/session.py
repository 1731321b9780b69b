"""`ServerSession`, the server's end of one Session: batches in, a disk, batches out.

All of it happens on one event loop, in callbacks; what the disk does in coroutines runs in tasks of the service.  A
session is over when its stream has ended, nothing of it is in flight, and none of its tasks runs; the next attempt of
the same client waits for that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from g2disk.disk import MAXIMUM_REQUEST
from g2disk.disk.perform import perform
from g2disk.errors import DiskError, Fenced, Internal, Invalid, NotFound, Unavailable
from g2disk.remote.pb import disk_pb2
from g2disk.remote.session_codec import (
    NOT_BEGUN,
    RequestDecoder,
    RequestHead,
    RequestMessage,
    encode_description,
    encode_opened,
)
from g2disk.remote.status import StatusCode, status_of
from g2disk.remote.stream import MessageStream, Status
from g2disk.request import WRITE, Request
from g2disk.servers.grpc.disk_service import describe
from g2disk.servers.grpc.session_batches import MARGIN, replies_to, requests_of
from g2disk.servers.grpc.session_disk import SessionDisk
from g2disk.servers.grpc.session_shared import Shared, TooMuch
from g2disk.units import MIB

log = logging.getLogger(__name__)

_DEFAULT_MESSAGE = 4 * MIB
"""Bytes that a client takes in one message when it says nothing: what gRPC libraries do."""
_SMALLEST_MESSAGE = 2 * MARGIN


class ServerSession:
    """A `MessageHandler`; see the module."""

    def __init__(self, stream: MessageStream, shared: Shared, over: Callable[[ServerSession], None]) -> None:
        self.attempt = 0
        self._stream = stream
        self._shared = shared
        self._over = over
        self._loop = asyncio.get_running_loop()
        self._decoder = RequestDecoder()
        self._head: RequestHead | None = None
        """What every message must say first; None until the session is open."""
        self._client = RequestHead(b"", 0)
        """Who opened, or is opening; no attempt is 0."""
        self._served: SessionDisk
        self._limits = shared.limits
        self._most = _DEFAULT_MESSAGE
        """Bytes of a reply message."""
        self._in_flight: set[int] = set()
        self._bytes = 0
        self._tasks = 0
        self._answered: list[Request] = []
        """Done, and to be answered in this iteration of the event loop."""
        self._prefix = b""
        """What their replies begin with."""
        self._last: Status | None = None
        """How to end the stream when nothing is in flight any more; None while the session goes on."""
        self._draining = False
        self._mute = False
        """The stream has ended; nothing can be sent."""
        self._finished = asyncio.Event()

    def message(self, data: memoryview) -> None:
        """See `MessageHandler`."""
        if self._mute:
            return
        try:
            if len(data) > self._limits.message:
                raise Invalid(f"a message of {len(data)} bytes is too long; send at most {self._limits.message}")
            message = self._decoder.decode(data)
            if self._head is None:
                self._begin(message)
            elif not self._draining:
                self._take(message)
        except TooMuch as error:
            self._end(replace(status_of(error), code=StatusCode.RESOURCE_EXHAUSTED))
        except Fenced as error:
            self._end(status_of(error))
        except DiskError as error:
            self._end(status_of(Invalid(str(error))))

    def drained(self) -> None:
        """See `MessageHandler`."""
        self.go_on()

    def ended(self, status: Status) -> None:
        """See `MessageHandler`."""
        if status.code == StatusCode.OK:
            self._last = self._last or Status(StatusCode.OK)
        else:
            self._mute = True
        self._look_whether_over()

    def drain(self) -> None:
        """End the stream as soon as nothing is in flight; requests that come from now on are not begun."""
        self._draining = True
        status = status_of(Unavailable("the server is shutting down"))
        self._last = replace(status, trailers=dict((*status.trailers.items(), NOT_BEGUN)))
        self._look_whether_over()

    def supersede(self) -> None:
        """See `Attempt`."""
        self._end(status_of(Fenced("the same client has opened a newer session; this one is stale")))

    async def finished(self) -> None:
        """See `Attempt`."""
        await self._finished.wait()

    def changed(self, name: str) -> None:
        """Tell the client if the disk of that name is its disk, and has become another than it was told."""
        if self._head is not None and self._head.disk == name and not self._mute:
            try:
                self._tell(self._served.prefix())
            except DiskError as error:
                self._end(status_of(error))

    def go_on(self) -> None:
        """See `Paused`."""
        if not self._mute and not self._must_pause():
            self._stream.resume()

    def _begin(self, message: RequestMessage) -> None:
        if message.open is None:
            raise Invalid("the first message of a session has no `open`; mend the client")
        if self._client.attempt:
            raise Invalid("the client sent a message before the session was open; wait for `opened`")
        if len(message.ids) or len(message.payload):
            raise Invalid("the opening message of a session has requests; send them after `opened` came")
        head = message.head
        if len(head.client) != 16 or not head.attempt:
            raise Invalid("a client id has 16 bytes, and attempts count from 1")
        self._client = head
        self.attempt = head.attempt
        self._spawn(self._open(head, message.open))

    async def _open(self, head: RequestHead, wanted: disk_pb2.SessionOpen) -> None:
        """Confirm the opening when the sessions before this one are over."""
        exports = self._shared.exports
        try:
            name, _ = await exports.look(head.disk, head.identity)
            self._client = RequestHead(head.client, head.attempt, name)
            await self._shared.attempts.enter(head.client, name, self)
            _, disk = await exports.look(name, head.identity)
            served = self._served = SessionDisk(exports, name, disk, head.attempt)
        except DiskError as error:
            self._end(status_of(error))
            return
        if self._mute:
            return
        limits = self._limits = self._limits.within(wanted.maximum_in_flight_requests, wanted.maximum_in_flight_bytes)
        self._most = min(max(wanted.maximum_message or _DEFAULT_MESSAGE, _SMALLEST_MESSAGE), limits.message)
        self._head = RequestHead(head.client, head.attempt, name, served.info.identity)
        opened = disk_pb2.SessionOpened(
            description=describe(name, served.info),
            maximum_in_flight_requests=limits.requests,
            maximum_in_flight_bytes=limits.data,
            maximum_message=limits.message,
        )
        self._stream.send(encode_opened(served.prefix(), opened))

    def _take(self, message: RequestMessage) -> None:
        self._check_head(message)
        requests, asked = requests_of(message, min(self._most - MARGIN, MAXIMUM_REQUEST))
        ids = set(message.ids)
        if len(ids) != len(requests) or not self._in_flight.isdisjoint(ids):
            raise Invalid("the id of a request is that of another one in flight; mend the client")
        count, data = len(self._in_flight) + len(ids), self._bytes + asked
        if count > self._limits.requests or data > self._limits.data:
            raise TooMuch(
                f"{count} requests with {data} bytes of data would be in flight; "
                f"keep to {self._limits.requests} and {self._limits.data}"
            )
        self._in_flight |= ids
        self._bytes = data
        self._shared.budget.take(asked)
        if self._must_pause():
            self._stream.pause()
        bad = [request for request in requests if request.error is not None]
        if bad:
            requests = [request for request in requests if request.error is None]
            self._done(bad)
        if self._served.is_current:
            self._submit(requests)
        else:
            self._spawn(self._submit_checked(requests))

    def _check_head(self, message: RequestMessage) -> None:
        head, said = self._head, message.head
        if message.open is not None:
            raise Invalid("a second `open` came; open another stream for another session")
        if said is head or head is None:
            return
        if said.identity and said.identity != head.identity:
            raise Fenced("the requests are for another disk than the one that the session was opened for")
        if (said.client, said.attempt, said.disk) != (head.client, head.attempt, head.disk):
            raise Invalid("client, attempt and disk of a message are not those of the opening; mend the client")
        if said.identity:
            self._head = said  # the same, and from now on the decoder's own object

    def _submit(self, requests: list[Request]) -> None:
        if requests:
            for request in self._served.disk.submit(requests, self._done):
                self._spawn(self._perform(request))

    async def _submit_checked(self, requests: list[Request]) -> None:
        """Submit, unless the disk is no longer what it was."""
        await self._check_disk()
        if self._mute:
            self._settle(requests)
        else:
            self._submit(requests)

    async def _check_disk(self) -> None:
        try:
            await self._served.check()
        except DiskError as error:
            self._end(status_of(error))

    async def _perform(self, request: Request) -> None:
        try:
            await perform(self._served.disk, request)
        except Exception as error:
            log.exception("! %r", request)
            request.error = Internal(f"{type(error).__name__} in the target server; its log says more")
        self._done([request])

    def _done(self, requests: list[Request]) -> None:
        """Answer these requests, with all others that are done in this iteration of the event loop.

        They are answered with the instance that the disk has now: it may change until they are sent, and they would be
        taken for changes that the next one still has.
        """
        try:
            prefix = self._served.prefix()
        except DiskError as error:
            self._end(status_of(error))
            prefix = self._prefix
        if self._answered and prefix != self._prefix:
            self._answer()
        self._prefix = prefix
        if not self._answered:
            self._loop.call_soon(self._answer)
        self._answered += requests

    def _answer(self) -> None:
        requests, self._answered = self._answered, []
        if self._mute:
            self._settle(requests)
        elif any(type(request.error) is NotFound for request in requests):
            self._spawn(self._answer_checked(self._prefix, requests))
        elif requests:
            self._reply(self._prefix, requests)

    async def _answer_checked(self, prefix: bytes, requests: list[Request]) -> None:
        """Answer, unless the disk is no longer what it was."""
        await self._check_disk()
        self._reply(prefix, requests)

    def _reply(self, prefix: bytes, requests: list[Request]) -> None:
        if not self._mute:
            self._tell(prefix)
            for parts in replies_to(prefix, requests, self._most):
                self._stream.send(parts)
        self._settle(requests)

    def _tell(self, prefix: bytes) -> None:
        """Say what the disk is by now, where that is news."""
        news = self._served.news()
        if news is not None:
            self._stream.send(encode_description(prefix, news))

    def _settle(self, requests: list[Request]) -> None:
        """These requests are no longer in flight."""
        asked = 0
        for request in requests:
            if request.operation <= WRITE:
                asked += request.length
            self._in_flight.discard(request.tag)
        self._bytes -= asked
        self._shared.budget.give(asked)
        if self._last is not None or self._mute:
            self._look_whether_over()

    def _must_pause(self) -> bool:
        """Whether more requests would take too much memory."""
        if self._shared.budget.full:
            self._shared.budget.wait(self)
            return True
        return self._stream.unsent > self._limits.data

    def _spawn(self, work: Awaitable[None]) -> None:
        self._tasks += 1
        self._shared.spawn(self._run(work))

    async def _run(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as error:
            log.exception("! session of %r", self._client.disk)
            self._end(status_of(Internal(f"{type(error).__name__} in the target server; its log says more")))
        finally:
            self._tasks -= 1
            self._look_whether_over()

    def _end(self, status: Status) -> None:
        """End the stream at once; what is in flight goes on, and is not answered."""
        if not self._mute:
            self._mute = True
            self._stream.end(status)
        self._look_whether_over()

    def _look_whether_over(self) -> None:
        if self._in_flight or self._tasks or self._finished.is_set():
            return
        if not self._mute and self._last is not None:
            self._mute = True
            self._stream.end(self._last)
        if self._mute:
            self._finished.set()
            self._shared.budget.forget(self)
            self._shared.attempts.leave(self._client.client, self._client.disk, self)
            self._over(self)
