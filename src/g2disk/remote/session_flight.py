"""The requests of a Session at the client: which wait, which are in flight, what goes into the next message, and what a
reply means for them.

Pure.  The data of a message's writes is joined once: the stream gets it in one piece, and it stays as it is for the
record, whatever becomes of the buffers that it came in.  Source: proto/g2disk/v1/disk.proto, "COLUMNS", "REPLIES" and
"BOUNDS".
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from g2disk.disk.disk import Done
from g2disk.errors import Corrupt, DiskError, Fenced, Internal, kind_named, kind_of_errno
from g2disk.remote.extents import extents_of
from g2disk.remote.ordering import CHANGES
from g2disk.remote.pb import disk_pb2
from g2disk.remote.record import CHANGE_COST, Change, Record
from g2disk.remote.session_codec import (
    Data,
    ReplyDecoder,
    ReplyHead,
    ReplyMessage,
    RequestHead,
    encode_requests,
    request_prefix,
)
from g2disk.request import EXTENTS, FLUSH, READ, WRITE, Request
from g2disk.units import MIB

CUT = MIB
"""Bytes of writes from which on a message is full."""
_ROW = 28
"""The most bytes of a request's columns."""
_ANY = 1 << 62
"""More bytes than there can be."""
_MARGIN = 64
"""Bytes of the tags and lengths of all columns."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What may be in flight, and how large a message may be; see disk.proto."""

    requests: int
    data: int
    message: int


class Submission:
    """What the requests of one call of `submit` have in common."""

    __slots__ = ("deadline", "done")

    def __init__(self, done: Done, deadline: float) -> None:
        self.done = done
        self.deadline = deadline
        """In seconds of the event loop's clock."""


class Message:
    """A message that was sent, as its writes need it later."""

    __slots__ = ("data",)

    def __init__(self) -> None:
        self.data = b""
        """Of all its writes."""


class Entry:
    """A request that was submitted and not yet reported done."""

    __slots__ = ("at", "given_up", "mark", "message", "request", "submission")

    def __init__(self, request: Request, submission: Submission) -> None:
        self.request = request
        self.submission = submission
        self.given_up = False
        """It was reported as failed, and its reply may still come."""
        # Set when it is sent, since most never need them:
        self.message: Message
        """Of a write: that it was sent in last."""
        self.at: int
        """Of a write: where its data begins in the message's."""
        self.mark: int
        """Of a flush: see `Record.mark`."""

    def change(self) -> Change:
        """What the record keeps of it."""
        request = self.request
        if request.operation == WRITE:
            return WRITE, request.flags, request.offset, request.length, self.message.data, self.at
        return request.operation, request.flags, request.offset, request.length, b"", 0


class Flight:
    """The requests of all sessions with one disk, one session after the other."""

    def __init__(self, record: Record) -> None:
        self.waiting: deque[Entry] = deque()
        """To be sent, in this order."""
        self.held: deque[Entry] = deque()
        """Changes that wait until the record has room for them."""
        self.unfit: list[Entry] = []
        """Larger than the bounds of the session, which were other ones when they were made."""
        self.replaying: deque[Entry] | None = None
        """The record's, which go before all others; None where it need not be sent again."""
        self._record = record
        self._writing = 0
        """Bytes of writes in flight."""
        self._in_flight: dict[int, Entry] = {}
        """By id."""
        self._doubted: list[Entry] = []
        """Answered by a reply that is not believed."""
        self._free: list[int] = []
        """Ids that may be used."""
        self._bytes = 0
        self._bounds = Bounds(0, 0, 0)
        self._decoder = ReplyDecoder()
        self._head: ReplyHead | None = None
        self._attempt = 0
        self._identity = ""
        self._prefix = b""

    @property
    def idle(self) -> bool:
        """Whether nothing is in flight."""
        return not self._in_flight

    @property
    def empty(self) -> bool:
        """Whether nothing waits or is in flight."""
        return not self._in_flight and not self.waiting and not self.held

    @property
    def drained(self) -> bool:
        """Whether nothing waits."""
        return not self.waiting and not self.held

    def __len__(self) -> int:
        return len(self._in_flight) + len(self.waiting) + len(self.held)

    def begin(self, head: RequestHead, bounds: Bounds, decoder: ReplyDecoder) -> None:
        """A session is open; `decoder` has decoded its first reply.  Nothing is in flight."""
        self._prefix = request_prefix(head)
        self._attempt, self._identity = head.attempt, head.identity
        self._bounds, self._decoder, self._head = bounds, decoder, None
        self._free = list(range(bounds.requests))
        self._bytes = self._writing = 0

    def next_message(self) -> list[Data] | None:
        """The next message with requests that wait, in their order, as parts; None where none fits."""
        # Something larger than the whole record goes alone.
        room = self._record.room - self._writing if len(self._record) or self._writing else _ANY
        if self.held and _kept(self.held[0].request) <= room:
            self.waiting.extendleft(reversed(self.held))
            self.held.clear()
        if self.replaying is not None:  # what is in the record has its room already
            entries = self._take_fitting(self.replaying, _ANY)
        else:
            entries = self._take_fitting(self.waiting, room)
        return self._encoded(entries) if entries else None

    def _take_fitting(self, waiting: deque[Entry], room: int) -> list[Entry]:
        """Those that go into the next message, of changes as many as the record has `room` for; others are held."""
        entries: list[Entry] = []
        bounds, free = self._bounds, len(self._free)
        size, most = len(self._prefix) + _MARGIN, min(bounds.message, CUT)
        data = self._bytes
        while waiting and len(entries) < free:
            request = waiting[0].request
            operation, length = request.operation, request.length
            kept, asked, more = 0, 0, _ROW
            if operation == READ:
                asked = length
            elif operation == WRITE:
                kept, asked, more = length + CHANGE_COST, length, length + _ROW
            elif operation in CHANGES:
                kept = CHANGE_COST
            if kept and kept > room:
                self.held.append(waiting.popleft())
                continue
            if asked > bounds.data or more + len(self._prefix) + _MARGIN > bounds.message:
                self.unfit.append(waiting.popleft())
                continue
            if (data and data + asked > bounds.data) or (size + more > most and entries):
                break
            room -= kept
            data += asked
            size += more
            entries.append(waiting.popleft())
        self._bytes = data
        return entries

    def _encoded(self, entries: list[Entry]) -> list[Data]:
        """The message with these requests, which are in flight from now on."""
        message, payload, at = Message(), [], 0
        for entry in entries:
            request = entry.request
            if request.operation == WRITE:
                entry.message, entry.at = message, at
                at += request.length
                payload.append(request.data)
            elif request.operation == FLUSH:
                entry.mark = self._record.mark()
        message.data = b"".join(payload)
        self._writing += at
        ids = self._free[: -len(entries) - 1 : -1]
        del self._free[-len(entries) :]
        self._in_flight.update(zip(ids, entries, strict=True))
        requests = [entry.request for entry in entries]
        return encode_requests(
            self._prefix,
            ids,
            [request.operation | request.flags << 8 for request in requests],
            [request.offset for request in requests],
            [request.length for request in requests],
            (message.data,) if at else (),
        )

    def reply(self, data: memoryview) -> tuple[ReplyMessage, list[Entry]]:
        """A message, and the requests that it answers, with their outcome.

        Raises `Corrupt` for what is no reply to what is in flight, `Fenced` for one of another disk; all stays in
        flight then.
        """
        message = self._decoder.decode(data)
        head = message.head
        if head is not self._head:
            self._check_head(head)
        taken: dict[int, Entry] = {}
        try:
            self._take_successes(message, taken)
            for failed in message.errors:
                entry = self._take(failed.id, taken)
                if not entry.given_up:
                    entry.request.error = _error(failed)
        except Corrupt:
            self._in_flight.update(taken)
            raise
        self._free += taken
        for entry in taken.values():
            operation, length = entry.request.operation, entry.request.length
            if operation <= WRITE:
                self._bytes -= length
                if operation == WRITE:
                    self._writing -= length
        return message, [entry for entry in taken.values() if not entry.given_up]

    def take_back(self, entries: list[Entry]) -> None:
        """The reply that answered these is not believed: they are in flight as before."""
        for entry in entries:
            entry.request.error = None
        self._doubted = entries

    def take_all(self) -> list[Entry]:
        """Everything that waits; what is in flight does, once the session `broke`."""
        entries = [*self.waiting, *self.held]
        self.waiting.clear()
        self.held.clear()
        return entries

    def broke(self) -> list[Entry]:
        """The session is over: what was in flight, in the order in which it was sent."""
        lost = [*self._doubted, *[entry for entry in self._in_flight.values() if not entry.given_up]]
        self._doubted = []
        self._in_flight = {}
        self._free = []
        self._writing = 0
        return lost

    def overdue(self, now: float) -> tuple[list[Entry], list[Entry]]:
        """Give up what should have been answered by now: what waited, and what was sent."""
        waited = take_overdue(self.waiting, now) + take_overdue(self.held, now)
        sent = [entry for entry in self._in_flight.values() if not entry.given_up and entry.submission.deadline <= now]
        for entry in sent:
            entry.given_up = True
        return waited, sent

    def _check_head(self, head: ReplyHead) -> None:
        if head.attempt != self._attempt:
            raise Corrupt(f"a reply of attempt {head.attempt} came in attempt {self._attempt}; the server is broken")
        if head.identity != self._identity:
            raise Fenced("the server answers for another disk now")
        self._head = head

    def _take_successes(self, message: ReplyMessage, taken: dict[int, Entry]) -> None:
        if len(message.ids) != len(message.lengths):
            raise Corrupt("the columns of a reply differ in length; the server is broken")
        payload, at = message.payload, 0
        for number, length in zip(message.ids, message.lengths, strict=True):
            entry = self._take(number, taken)
            start, at = at, at + length
            if entry.given_up:
                continue
            request = entry.request
            if request.operation == READ:
                if length != request.length:
                    raise Corrupt(f"a read of {request.length} bytes was answered with {length}; the server is broken")
                request.data = payload[start:at]
            elif request.operation == EXTENTS:
                request.data = extents_of(_extents_reply(payload[start:at]), request.offset, request.length)
            elif length:
                raise Corrupt(f"{request!r} was answered with {length} bytes of data; the server is broken")
        if at != len(payload):
            raise Corrupt(f"a reply with {at} bytes of data came with {len(payload)}; the server is broken")

    def _take(self, number: int, taken: dict[int, Entry]) -> Entry:
        """The request of that id, no longer in flight."""
        try:
            entry = taken[number] = self._in_flight.pop(number)
        except KeyError:
            raise Corrupt(f"a reply to request {number} came, which is not in flight; the server is broken") from None
        return entry


def _kept(request: Request) -> int:
    """Bytes that the record keeps of it."""
    if request.operation == WRITE:
        return request.length + CHANGE_COST
    return CHANGE_COST if request.operation in CHANGES else 0


def take_overdue(entries: deque[Entry], now: float) -> list[Entry]:
    """Take those whose time is up out of `entries`."""
    overdue = [entry for entry in entries if entry.submission.deadline <= now]
    if overdue:
        left = [entry for entry in entries if entry.submission.deadline > now]
        entries.clear()
        entries.extend(left)
    return overdue


def _error(failed: disk_pb2.SessionError) -> DiskError:
    kind = kind_named(failed.kind)
    if kind is None:
        kind = kind_of_errno(failed.errno) if failed.errno else Internal
    return kind(failed.message)


def _extents_reply(data: memoryview) -> disk_pb2.ExtentsReply:
    try:
        return disk_pb2.ExtentsReply.FromString(bytes(data))
    except DecodeError as error:
        raise Corrupt("the answer to a request for extents is no ExtentsReply; the server is broken") from error
