"""`Session`, the client's end of g2disk.v1's Session: one stream after the other to one disk, and every request in
batches.

All of it happens on one event loop.  What is submitted in iterations of the loop that follow each other goes in one
message, unless nothing is in flight: then it goes at once.  When a stream breaks, the next one is opened as long as
requests wait for it; what was in flight is repeated if that can do no harm, and fails otherwise.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterable
from typing import Protocol

from g2disk.disk.disk import Done
from g2disk.errors import Corrupt, DiskError, Fenced, Unavailable
from g2disk.remote.connection import Connection
from g2disk.remote.pb import disk_pb2
from g2disk.remote.session_codec import (
    ReplyDecoder,
    ReplyMessage,
    RequestHead,
    encode_open,
    request_prefix,
)
from g2disk.remote.session_flight import Bounds, Entry, Flight, Submission
from g2disk.remote.session_stream import SessionStream
from g2disk.remote.status import StatusCode
from g2disk.remote.stream import Status
from g2disk.request import CACHE, EXTENTS, FLUSH, OPERATIONS, READ, Request
from g2disk.units import MIB

log = logging.getLogger(__name__)

WANTED = Bounds(requests=1024, data=64 * MIB, message=8 * MIB)
"""What this end asks for; servers may allow less."""

GATHER = 32
"""Requests that are enough for a message.  A client that has many in flight asks for them one after the other; sending
each alone costs more than the moment until they are all there."""

MARGIN = 4096
"""Bytes that a message may have around its largest piece of data."""

_REPEATABLE = frozenset((READ, FLUSH, EXTENTS, CACHE))
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0
"""Seconds between two attempts to open a session; doubled each time, and half of it by chance."""
_LOOKS = 1.0
"""Seconds between two looks for requests that wait too long."""


class Owner(Protocol):
    """The disk that the session belongs to.  What these raise as `DiskError` is the failure of the opening."""

    def described(self, description: disk_pb2.DescribeReply, bounds: Bounds) -> None:
        """A session was opened, and this is what the server said.  Raises what speaks against it."""

    def answered(self, requests: list[Request], instance: str) -> None:
        """These requests were answered, with that instance; called before they are reported as done."""

    def fenced(self, error: Fenced) -> None:
        """The server said that the disk is no longer what it was."""


class Session:
    """Made by `Session.open`."""

    def __init__(self, connection: Connection, owner: Owner, client: bytes) -> None:
        self._connection = connection
        self._owner = owner
        self._random = random.Random(client)  # noqa: S311  jitter is no secret
        self._loop = asyncio.get_running_loop()
        self._flight = Flight()
        self._head = RequestHead(client, 0)
        self._stream: SessionStream | None = None
        """The open session."""
        self._opening: asyncio.Task[None] | None = None
        self._sending: asyncio.Handle | None = None
        self._looking: asyncio.TimerHandle | None = None
        self._pause = 0.0
        """Seconds to wait before the next session is opened; 0 where the last one answered something."""
        self._instance = ""
        """What the reply said that is being dealt with."""
        self._closed = False

    async def open(self, name: str, identity: str = "", wait: bool = False) -> None:
        """Open the first session.  Without `wait` a server that is away is an error at once.

        Raises `UnknownMethod` where the server has no sessions, and what else it says.
        """
        self._head = RequestHead(self._head.client, 0, name, identity)
        await self._open(wait)

    def submit(self, requests: list[Request], done: Done) -> None:
        """Send these requests, each within the bounds; they are reported to `done` when they are answered or failed."""
        self._flight.add(requests, Submission(done, self._loop.time() + self._connection.timeout))
        if self._looking is None:
            self._looking = self._loop.call_later(_LOOKS, self._look)
        if self._stream is None:
            self._reopen()
        elif self._flight.idle:
            self._send()
        elif self._sending is None:
            self._sending = self._loop.call_soon(self._gather, 0)

    async def ask(self, request: Request) -> str:
        """Submit one request, and return the instance that it was answered with.  Raises its error.

        Cancellation abandons what does no harm; anything else is waited for.
        """
        future: asyncio.Future[str] = self._loop.create_future()

        def done(_: list[Request]) -> None:
            if not future.done():
                future.set_result(self._instance)

        self.submit([request], done)
        instance = await (future if request.operation in _REPEATABLE else _to_the_end(future))
        if request.error is not None:
            raise request.error
        return instance

    async def close(self) -> None:
        """End the session; what waits or is in flight fails."""
        self._closed = True
        if self._looking is not None:
            self._looking.cancel()
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        entries = self._flight.broke()
        if self._stream is not None:
            self._stream.abort()
            if not _repeatable(entries):
                self._stream.recall()
            self._stream = None
        error = Unavailable(f"the connection to {self._connection.endpoint} was closed")
        self._fail([*entries, *self._take_waiting()], error)

    def message(self, data: memoryview) -> None:
        """A reply came."""
        try:
            instance, entries = self._flight.reply(data)
        except DiskError as error:
            if self._stream is not None:
                self._stream.abort()
            self.broken(error)
            return
        self._instance, self._pause = instance, 0.0
        self._owner.answered([entry.request for entry in entries if entry.request.error is None], instance)
        for entry in entries:
            if type(entry.request.error) is Fenced:
                self._owner.fenced(entry.request.error)
        _report(entries)
        if self._flight.waiting and self._sending is None:
            self._send()

    def broken(self, error: DiskError, not_begun: bool = False) -> None:
        """The session ended; see `Listener`."""
        log.info("! session with %s: %s", self._connection.endpoint, error)
        stream, self._stream = self._stream, None
        entries = self._flight.broke()
        if stream is not None and not not_begun and not _repeatable(entries):
            stream.recall()  # writes that fail give their data back, and it may change at once
        if isinstance(error, Fenced):
            self._owner.fenced(error)
            self._fail([*entries, *self._take_waiting()], error)
            return
        again: list[Entry] = []
        failed = entries
        if not_begun:
            again, failed = entries, []
        elif isinstance(error, Unavailable):
            again = [entry for entry in entries if entry.request.operation in _REPEATABLE]
            failed = [entry for entry in entries if entry.request.operation not in _REPEATABLE]
        self._flight.waiting.extendleft(reversed(again))
        self._fail(failed, error)
        if self._flight.waiting:
            self._reopen()

    def _gather(self, before: int) -> None:
        """Send what waits, once an iteration of the loop has brought no more, or it is enough for a message."""
        waiting = len(self._flight.waiting)
        if before < waiting < GATHER:
            self._sending = self._loop.call_soon(self._gather, waiting)
        else:
            self._send()

    def _send(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None
        if self._stream is not None:
            while (parts := self._flight.next_message()) is not None:
                self._stream.send(parts)

    def _reopen(self) -> None:
        if self._closed:
            error = Unavailable(f"the connection to {self._connection.endpoint} was closed")
            self._fail(self._take_waiting(), error)
        elif self._opening is None:
            self._opening = self._loop.create_task(self._open_again())

    async def _open_again(self) -> None:
        try:
            while self._flight.waiting:
                try:
                    await self._rest()
                    await self._open(wait=True)
                except Unavailable as error:
                    log.info("= no session with %s: %s", self._connection.endpoint, error)
                except DiskError as error:
                    if isinstance(error, Fenced):
                        self._owner.fenced(error)
                    self._fail(self._take_waiting(), error)
                else:
                    return
        finally:
            self._opening = None

    async def _rest(self) -> None:
        """Wait before a session is opened again, longer each time, also where sessions open and break at once."""
        pause, self._pause = self._pause, min(max(2 * self._pause, _FIRST_PAUSE), _LONGEST_PAUSE)
        if pause:
            await self._connection.clock.sleep(pause * (0.5 + self._random.random() / 2))

    async def _open(self, wait: bool) -> None:
        """Open the next session, and go on in it with what waits."""
        head = self._head
        head = self._head = RequestHead(head.client, head.attempt + 1, head.disk, head.identity)
        stream = SessionStream(self, self._connection)
        decoder = ReplyDecoder()
        try:
            async with asyncio.timeout(self._connection.timeout):
                await stream.connect(wait)
                stream.send(encode_open(request_prefix(head), _WANTED))
                reply = decoder.decode(await stream.first())
            self._begin(reply, decoder)
            stream.begin()
        except TimeoutError:
            stream.abort()
            raise self._connection.error(Status(StatusCode.DEADLINE_EXCEEDED), "Session") from None
        except BaseException:
            stream.abort()
            raise
        self._stream = stream
        self._send()

    def _begin(self, reply: ReplyMessage, decoder: ReplyDecoder) -> None:
        opened, head = reply.opened, self._head
        if opened is None or len(reply.ids) or len(reply.payload) or reply.head.attempt != head.attempt:
            raise Corrupt(f"the first reply of {self._connection.endpoint} opens no session; the server is broken")
        said = opened.description
        bounds = Bounds(
            min(opened.maximum_in_flight_requests, WANTED.requests),
            min(opened.maximum_in_flight_bytes, WANTED.data),
            opened.maximum_message,
        )
        block = said.minimum_block or 1
        if not bounds.requests or bounds.data < block or bounds.message < block + MARGIN:
            raise Corrupt(
                f"the bounds of sessions with {self._connection.endpoint} are too small; the server is broken"
            )
        self._owner.described(said, bounds)
        self._head = RequestHead(head.client, head.attempt, said.disk, said.identity)
        self._flight.begin(self._head, bounds, decoder)

    def _look(self) -> None:
        """Fail what has waited too long."""
        self._looking = None
        where = f"the server at {self._connection.endpoint}"
        seconds = f"{self._connection.timeout:g} s"
        waited, sent = self._flight.overdue(self._loop.time())
        self._fail(waited, Unavailable(f"{where} could not be reached for {seconds}; see whether it runs"))
        # Done late, a write would land on those after it.  The next session begins when it is over at the server.
        if self._stream is not None and not _repeatable(sent):
            self._stream.abort()
            self._stream.recall()
            self.broken(Unavailable(f"{where} left a change of the disk unanswered for {seconds}; see whether it runs"))
        for entry in sent:
            what = OPERATIONS[entry.request.operation].capitalize()
            message = f"{where} did not answer {what} within {seconds}; see whether it runs and is not stuck"
            self._fail([entry], Unavailable(message))
        if not self._flight.empty and not self._closed and self._looking is None:
            self._looking = self._loop.call_later(_LOOKS, self._look)

    def _take_waiting(self) -> list[Entry]:
        entries = list(self._flight.waiting)
        self._flight.waiting.clear()
        return entries

    def _fail(self, entries: list[Entry], error: DiskError) -> None:
        for entry in entries:
            entry.request.data, entry.request.error = None, type(error)(*error.args)
        _report(entries)


def _repeatable(entries: Iterable[Entry]) -> bool:
    """Whether it does no harm to do all of these twice."""
    return all(entry.request.operation in _REPEATABLE for entry in entries)


def _report(entries: Iterable[Entry]) -> None:
    """Tell those who submitted these requests that they are done."""
    groups: dict[Done, list[Request]] = {}
    for entry in entries:
        groups.setdefault(entry.submission.done, []).append(entry.request)
    for done, requests in groups.items():
        done(requests)


async def _to_the_end(future: asyncio.Future[str]) -> str:
    """What `future` gives; waited for also when this is cancelled meanwhile."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    return future.result()


_WANTED = disk_pb2.SessionOpen(
    maximum_in_flight_requests=WANTED.requests,
    maximum_in_flight_bytes=WANTED.data,
    maximum_message=WANTED.message,
)
