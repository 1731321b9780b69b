"""`Session`, the client's end of g2disk.v1's Session: one stream after the other to one disk, and every request in
batches.

All of it happens on one event loop.  What is submitted in iterations of the loop that follow each other goes in one
message, unless nothing is in flight: then it goes at once.

When a stream breaks, the next one is opened, and what was not answered is sent again: the server is done with the
older session by then.  When the server comes back as another instance, what it had acknowledged and nobody had flushed
is sent again before anything else, and flushed.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections import deque
from typing import Protocol

from g2disk.cancellation import to_the_end
from g2disk.disk.disk import Done
from g2disk.errors import Denied, DiskError, Fenced, Invalid, OutOfSpace, Unavailable
from g2disk.remote.backlog import Backlog, report
from g2disk.remote.condition import Condition, RemoteState
from g2disk.remote.ordering import CHANGES
from g2disk.remote.own_flush import OwnFlush
from g2disk.remote.pb import disk_pb2
from g2disk.remote.record import Record
from g2disk.remote.replay import Replay
from g2disk.remote.session_codec import ReplyDecoder, RequestHead
from g2disk.remote.session_flight import Bounds, Entry
from g2disk.remote.session_opening import Pauses, open_session
from g2disk.remote.session_stream import Opener, SessionStream
from g2disk.remote.terms import Terms
from g2disk.remote.unsettled import Lost, Unsettled
from g2disk.request import CACHE, EXTENTS, FLUSH, READ, Request

log = logging.getLogger(__name__)

GATHER = 32
"""Requests that are enough for a message.  A client that has many in flight asks for them one after the other; sending
each alone costs more than the moment until they are all there."""

_FOR_EVER = math.inf
_HARMLESS = frozenset((READ, FLUSH, EXTENTS, CACHE))
"""What may be done or not, when nobody waits for it any more."""
_LOOKS = 1.0
"""Seconds between two looks for requests that wait too long."""
_WAITED_OUT = (Unavailable, OutOfSpace, Denied)
"""Answers that a person may change at the server."""


class Owner(Protocol):
    """The disk that the session belongs to.  What these raise as `DiskError` is the failure of the opening."""

    def described(self, description: disk_pb2.DescribeReply, bounds: Bounds | None) -> int:
        """The server said what the disk is; with bounds, as it opened a session.  Returns the most bytes of a write.
        Raises what speaks against it.
        """

    def heard(self, instance: str) -> None:
        """The server said its instance."""

    def fenced(self, error: Fenced) -> Fenced:
        """The disk is no longer what it was; returns what every request is to be told."""


class Session:
    """Made by `Session(…)` and `open`."""

    def __init__(self, connection: Opener, owner: Owner, terms: Terms, client: bytes) -> None:
        self._connection = connection
        self._owner = owner
        self._patient = terms.patient
        self._random = random.Random(client)  # noqa: S311  jitter is no secret
        self._loop = asyncio.get_running_loop()
        self._record = Record(terms.unflushed_limit, terms.record)
        self._backlog = Backlog(self._record, self._loop, self._random, self._unparked)
        self._flight = self._backlog.flight
        self._head = RequestHead(client, terms.generation << 32)
        self._stream: SessionStream | None = None
        """The open session."""
        self._replay: Replay | None = None
        """What goes before all else."""
        self._unsettled = Unsettled(self._record, terms.record, connection.endpoint)
        self._longest = 0
        """Bytes of a write."""
        self._flushes = True
        """Whether the disk has flushes, and so a record makes sense."""
        self._opening: asyncio.Task[None] | None = None
        self._sending: asyncio.Handle | None = None
        self._looking: asyncio.TimerHandle | None = None
        self._own_flush = OwnFlush(self._loop, self._flush_again)
        self._pauses = Pauses(connection.clock, self._random)
        self._instance = ""
        """What the reply said that is being dealt with."""
        self._condition = Condition(f"the disk at {connection.endpoint}", connection.clock, loud=terms.patient)
        self._opened = 0
        self._closed = False

    async def open(self, name: str, identity: str = "", wait: bool = False) -> None:
        """Open the first session.  Without `wait` a server that is away is an error at once.

        Raises `UnknownMethod` where the server has no sessions, and what else it says.
        """
        self._head = RequestHead(self._head.client, self._head.attempt, name, identity)
        await self._open(wait)

    def submit(self, requests: list[Request], done: Done) -> None:
        """Send these requests, each within the bounds; they are reported to `done` when they are answered or failed."""
        self._backlog.submit(requests, done, self._loop.time() + self._connection.timeout)
        if self._looking is None and self._connection.timeout < _FOR_EVER:
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
        instance = await (future if request.operation in _HARMLESS else to_the_end(future))
        if request.error is not None:
            raise request.error
        return instance

    def state(self) -> RemoteState:
        """How it stands with the server."""
        condition, record = self._condition, self._record
        return RemoteState(
            condition.current,
            condition.since,
            condition.cause,
            len(self._backlog),
            record.data_bytes,
            len(record),
            max(self._opened - 1, 0),
        )

    def fail(self, error: Fenced) -> None:
        """Let every request fail until the disk is accepted as it is."""
        self._abort()
        self._end(error)

    def accept(self) -> None:
        """A person takes the disk as it is at the server now: the record is given up, and the identity forgotten."""
        self._abort()
        self._unsettled.settle("")
        self._head = RequestHead(self._head.client, self._head.attempt, self._head.disk)
        self._condition.accepted()
        if self._patient:
            self._reopen()

    async def close(self) -> None:
        """End the session; what waits or is in flight fails."""
        self._closed = True
        self._own_flush.close()
        if self._looking is not None:
            self._looking.cancel()
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        self._abort()
        self._fail_all(Unavailable(f"the connection to {self._connection.endpoint} was closed"))

    def message(self, data: memoryview) -> None:
        """A reply came."""
        try:
            message, entries = self._flight.reply(data)
        except DiskError as error:
            self._break(error)
            return
        instance = message.head.instance
        if self._replay is not None:
            self._replayed(self._replay, instance, entries)
        elif self._record.contradicts(instance):
            # None of it is believed: reads may have seen what is not there any more, and writes came before the replay.
            self._flight.take_back(entries)
            self._break(Unavailable("the server was restarted, or lost writes that were not flushed"))
        else:
            self._instance = instance
            self._pauses.worth_it()
            self._answered(instance, entries)
        if message.description is not None and self._stream is not None:
            self._described(message.description)

    def broken(self, error: DiskError, not_begun: bool = False) -> None:
        """The session ended; see `Listener`."""
        log.info("! session with %s: %s", self._connection.endpoint, error)
        self._stream = None
        replayed, self._replay, self._flight.replaying = self._replay, None, None
        entries = self._flight.broke()
        if isinstance(error, Fenced):
            self._flight.waiting.extendleft(reversed(entries if replayed is None else []))
            self._end(error)
            return
        self._condition.waiting(error)
        if replayed is None:
            if not_begun or isinstance(error, Unavailable):
                self._flight.waiting.extendleft(reversed(entries))
            else:
                self._backlog.give_up(entries, error)
        if self._wanted:
            self._reopen()

    @property
    def _wanted(self) -> bool:
        """Whether a session is needed."""
        return self._patient or bool(len(self._record) or not self._flight.empty)

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
            if self._flight.unfit:
                self._refuse_unfit()
            if self._flight.held and len(self._record) and self._replay is None and self._flush():
                self._send()

    def _refuse_unfit(self) -> None:
        entries, self._flight.unfit = self._flight.unfit, []
        if self._replay is not None:
            self.fail(Fenced("the server takes smaller messages now than the unflushed writes that it lost"))
        else:
            self._backlog.give_up(
                entries, Invalid("the server takes smaller messages since it was restarted; try again")
            )

    def _answered(self, instance: str, entries: list[Entry]) -> None:
        """These were answered by the instance that the record is of."""
        failed = [entry for entry in entries if entry.request.error is not None]
        if failed:
            entries = self._sort_out(failed, entries)
        changes = [entry for entry in entries if entry.request.operation in CHANGES]
        if changes:
            if self._flushes:
                self._keep(instance, changes)
            self._backlog.finished(changes)
        if len(changes) < len(entries):
            self._shorten_record(entries)
        self._owner.heard(instance)
        self._backlog.settled(entries)
        if self._backlog.calm:
            self._condition.connected()
        report(entries)
        if self._record.wants_flush:
            self._flush()
        if not self._flight.drained and self._sending is None:
            self._send()

    def _shorten_record(self, entries: list[Entry]) -> None:
        for entry in entries:
            if entry.request.operation == FLUSH and entry.request.error is None:
                self._record.flushed(entry.mark)

    def _keep(self, instance: str, changes: list[Entry]) -> None:
        done = [entry for entry in changes if entry.request.error is None]
        if done:
            self._record.acknowledged(instance, [entry.request for entry in done], [entry.change() for entry in done])

    def _sort_out(self, failed: list[Entry], entries: list[Entry]) -> list[Entry]:
        """Park what failed for a reason that may pass; returns the others."""
        for entry in failed:
            error = entry.request.error
            if type(error) is Fenced:
                entry.request.error = self._owner.fenced(error)
                self._condition.failed(entry.request.error)
        if not self._patient:
            return entries
        parked = [entry for entry in failed if isinstance(entry.request.error, _WAITED_OUT)]
        for entry in parked:
            assert entry.request.error is not None
            self._condition.waiting(entry.request.error)
            self._backlog.park(entry)
        there = set(map(id, parked))
        return [entry for entry in entries if id(entry) not in there]

    def _unparked(self) -> None:
        if self._stream is None:
            self._reopen()
        else:
            self._send()

    def _flush(self) -> bool:
        """Flush without being asked to, as the record is getting long; whether that is news."""
        entry = self._own_flush.next()
        if entry is not None:
            self._flight.waiting.appendleft(entry)
        return entry is not None

    def _flush_again(self) -> None:
        if len(self._record) and self._stream is not None:
            self._flush()
            self._send()

    def _described(self, description: disk_pb2.DescribeReply) -> None:
        """The disk changed while the session is open."""
        try:
            self._longest = self._owner.described(description, None)
        except DiskError as error:
            self._break(error)

    def _break(self, error: DiskError) -> None:
        """End the session from this end."""
        if self._stream is not None:
            self._stream.abort()
        self.broken(error)

    def _abort(self) -> None:
        """End the session without opening the next one; what was in flight waits."""
        if self._stream is not None:
            self._stream.abort()
            self._stream = None
        replayed, self._replay, self._flight.replaying = self._replay, None, None
        entries = self._flight.broke()
        if replayed is None:
            self._flight.waiting.extendleft(reversed(entries))

    def _end(self, error: Fenced) -> None:
        """The disk is no more: fail everything."""
        error = self._owner.fenced(error)
        self._condition.failed(error)
        self._fail_all(error)

    def _reopen(self) -> None:
        if self._closed:
            self._fail_all(Unavailable(f"the connection to {self._connection.endpoint} was closed"))
        elif self._opening is None:
            self._opening = self._loop.create_task(self._open_again())

    async def _open_again(self) -> None:
        try:
            while self._wanted:
                try:
                    await self._pauses.rest()
                    await self._open(wait=False)
                except Fenced as error:
                    self._opening = None  # who hears of it may ask for the next one at once
                    self.fail(error)
                    return
                except DiskError as error:
                    self._condition.waiting(error)
                    if not (self._patient or isinstance(error, Unavailable)):
                        self._opening = None
                        self._fail_all(error)
                        return
                else:
                    return
        finally:
            if self._opening is asyncio.current_task():
                self._opening = None

    async def _open(self, wait: bool) -> None:
        """Open the next session, and go on in it with the record, or with what waits."""
        head = self._head
        head = self._head = RequestHead(head.client, head.attempt + 1, head.disk, head.identity)
        stream = SessionStream(self, self._connection)
        try:
            opened, bounds, decoder = await open_session(stream, self._connection, head, wait)
            replay = self._begin(opened, bounds, decoder)
            stream.begin()
        except Lost as lost:
            stream.abort()
            self._end(lost.reason)
            return
        except BaseException:
            stream.abort()
            raise
        self._stream = stream
        self._opened += 1
        if replay is None:
            self._condition.connected()
        else:
            self._replay, self._flight.replaying = replay, deque(replay.begin())
        self._send()

    def _begin(self, opened: disk_pb2.SessionOpened, bounds: Bounds, decoder: ReplyDecoder) -> Replay | None:
        said, head = opened.description, self._head
        self._longest = self._owner.described(said, bounds)
        self._flushes = said.capabilities.flush
        replay = self._unsettled.replay(said, self._longest)
        self._head = RequestHead(head.client, head.attempt, said.disk, said.identity)
        self._flight.begin(self._head, bounds, decoder)
        return replay

    def _replayed(self, replay: Replay, instance: str, entries: list[Entry]) -> None:
        """These parts of the record, or the flush behind them, were answered."""
        assert self._flight.replaying is not None
        try:
            self._flight.replaying += replay.answered(instance, entries)
        except Unavailable as error:
            self._break(error)
        except DiskError as error:
            if self._patient and isinstance(error, _WAITED_OUT):
                self._condition.waiting(error)
                self._break(Unavailable(f"unflushed writes cannot be sent again: {error}"))
            else:
                self._abort()
                self._end(Fenced(f"the server lost unflushed writes and does not take them again: {error}"))
        else:
            if replay.over:
                self._replay = self._flight.replaying = None
                self._unsettled.settle(self._head.identity)
                self._pauses.worth_it()
                self._condition.connected()
                self._owner.heard(instance)
            self._send()

    def _look(self) -> None:
        """Fail what has waited too long."""
        self._looking = None
        now, where = self._loop.time(), f"the server at {self._connection.endpoint}"
        seconds = f"{self._connection.timeout:g} s"
        sent = self._backlog.give_up_overdue(now, where, seconds)
        # Done late, a write would land on those after it.  The next session begins when it is over at the server.
        if self._stream is not None and any(entry.request.operation not in _HARMLESS for entry in sent):
            self._break(Unavailable(f"{where} left a change of the disk unanswered for {seconds}; see whether it runs"))
        self._backlog.give_up_unanswered(sent, where, seconds)
        if not self._flight.drained:
            self._send()
        if self.state().in_flight and not self._closed and self._looking is None:
            self._looking = self._loop.call_later(_LOOKS, self._look)

    def _fail_all(self, error: DiskError) -> None:
        self._own_flush.forget()
        self._backlog.fail_all(error)
