"""The requests of a Session at the client: which wait, which are in flight, what goes into the next message, and what a
reply means for them.

Pure.  Source: proto/g2disk/v1/disk.proto, "COLUMNS", "REPLIES" and "BOUNDS".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from g2disk.disk.disk import Done
from g2disk.errors import Corrupt, DiskError, Fenced, Internal, kind_named, kind_of_errno
from g2disk.remote.extents import extents_of
from g2disk.remote.pb import disk_pb2
from g2disk.remote.session_codec import (
    Data,
    ReplyDecoder,
    ReplyHead,
    ReplyMessage,
    RequestHead,
    encode_requests,
    request_prefix,
)
from g2disk.request import EXTENTS, READ, WRITE, Request
from g2disk.units import MIB

CUT = MIB
"""Bytes of writes from which on a message is full."""
_ROW = 28
"""The most bytes of a request's columns."""
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


class Entry:
    """A request that was submitted and not yet reported done."""

    __slots__ = ("given_up", "request", "submission")

    def __init__(self, request: Request, submission: Submission) -> None:
        self.request = request
        self.submission = submission
        self.given_up = False
        """It was reported as failed, and its reply may still come."""


class Flight:
    """The requests of all sessions with one disk, one session after the other."""

    def __init__(self) -> None:
        self.waiting: deque[Entry] = deque()
        self._in_flight: dict[int, Entry] = {}
        """By id."""
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
        return not self._in_flight and not self.waiting

    def begin(self, head: RequestHead, bounds: Bounds, decoder: ReplyDecoder) -> None:
        """A session is open; `decoder` has decoded its first reply.  Nothing is in flight."""
        self._prefix = request_prefix(head)
        self._attempt, self._identity = head.attempt, head.identity
        self._bounds, self._decoder, self._head = bounds, decoder, None
        self._free = list(range(bounds.requests))
        self._bytes = 0

    def add(self, requests: Iterable[Request], submission: Submission) -> None:
        """These requests are to be sent when they fit; none is larger than the bounds."""
        self.waiting += [Entry(request, submission) for request in requests]

    def next_message(self) -> list[Data] | None:
        """The next message with requests that wait, in their order, as parts; None where none fits."""
        waiting, free, in_flight, bounds = self.waiting, self._free, self._in_flight, self._bounds
        if not waiting or not free:
            return None
        ids: list[int] = []
        operations: list[int] = []
        offsets: list[int] = []
        lengths: list[int] = []
        payload: list[Data] = []
        size, most = len(self._prefix) + _MARGIN, min(bounds.message, CUT)
        in_flight_bytes = self._bytes
        while waiting and free:
            entry = waiting[0]
            request = entry.request
            operation, length = request.operation, request.length
            more = _ROW
            if operation <= WRITE:
                if in_flight_bytes and in_flight_bytes + length > bounds.data:
                    break
                if operation == WRITE:
                    more += length
            if size + more > most and ids:
                break
            size += more
            if operation <= WRITE:
                in_flight_bytes += length
                if operation == WRITE and length:
                    payload.append(request.data)
            waiting.popleft()
            number = free.pop()
            in_flight[number] = entry
            ids.append(number)
            operations.append(operation | request.flags << 8)
            offsets.append(request.offset)
            lengths.append(length)
        self._bytes = in_flight_bytes
        if not ids:
            return None
        return encode_requests(self._prefix, ids, operations, offsets, lengths, payload)

    def reply(self, data: memoryview) -> tuple[str, list[Entry]]:
        """The instance that the server says, and the requests that this message answers, with their outcome.

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
        self._bytes -= sum([entry.request.length for entry in taken.values() if entry.request.operation <= WRITE])
        return head.instance, [entry for entry in taken.values() if not entry.given_up]

    def broke(self) -> list[Entry]:
        """The session is over: what was in flight, in the order in which it was sent."""
        lost = [entry for entry in self._in_flight.values() if not entry.given_up]
        self._in_flight = {}
        self._free = []
        return lost

    def overdue(self, now: float) -> tuple[list[Entry], list[Entry]]:
        """Give up what should have been answered by now: what waited, and what was sent."""
        waited = [entry for entry in self.waiting if entry.submission.deadline <= now]
        if waited:
            self.waiting = deque(entry for entry in self.waiting if entry.submission.deadline > now)
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
