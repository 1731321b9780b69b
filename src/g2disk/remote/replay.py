"""`Replay`, the record sent again to a server that came back without it, and then a flush.

Pure.  Source: proto/g2disk/v1/disk.proto, "IDENTITY AND INSTANCE".
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from sortedcontainers import SortedDict

from g2disk.errors import Unavailable
from g2disk.remote.session_flight import Entry, Submission
from g2disk.request import FAST, FLUSH, FUA, WRITE, Request


class Replay:
    """One attempt, in one session.  Nothing else is in flight beside it, and it is over when the flush behind it was
    answered by the instance that answered everything else.
    """

    def __init__(self, instance: str, changes: Sequence[Request], longest: int) -> None:
        """`instance` is what the server said when the session was opened; a write has at most `longest` bytes."""
        self.instance = instance
        self.over = False
        """The server has all of it, and it is durable."""
        self._submission = Submission(_nobody, math.inf)
        self._entries = [self._entry(piece) for change in newest(changes) for piece in _pieces(change, longest)]
        self._unanswered = len(self._entries)

    def begin(self) -> list[Entry]:
        """What may be sent first."""
        entries, self._entries = self._entries, []
        return entries or self._flush()

    def answered(self, instance: str, entries: Sequence[Entry]) -> list[Entry]:
        """What may be sent next.  Raises the error of a request that failed, and `Unavailable` where the server has
        lost something again meanwhile.
        """
        if instance != self.instance:
            raise Unavailable("the server was restarted, or lost writes, while it was sent the unflushed ones again")
        for entry in entries:
            if entry.request.error is not None:
                raise entry.request.error
        if entries and entries[0].request.operation == FLUSH:
            self.over = True
            return []
        self._unanswered -= len(entries)
        return [] if self._unanswered else self._flush()

    def _flush(self) -> list[Entry]:
        return [self._entry(Request(FLUSH, 0, 0, 0))]

    def _entry(self, request: Request) -> Entry:
        return Entry(request, self._submission)


def newest(changes: Sequence[Request]) -> list[Request]:
    """What these changes, the oldest first, leave behind: requests of their own that never overlap.

    Nothing is sent again that something newer covers.  A replay that is broken off for good, since the client is killed
    too, would otherwise leave the older of two changes, though the newer one may have been durable, by FUA, before.
    """
    covered = SortedDict()  # where a range begins: where it ends; never two that touch
    left: list[Request] = []
    for change in reversed(changes):
        at, end = change.offset, change.offset + change.length
        first = covered.bisect_right(at)
        if first and covered.peekitem(first - 1)[1] >= at:
            first -= 1
        ranges = [(start, covered[start]) for start in covered.islice(first, covered.bisect_right(end))]
        for start, stop in [*ranges, (end, end)]:
            if at < start:
                left.append(_part(change, at, start))
            at = max(at, stop)
        for start, _ in ranges:
            del covered[start]
        covered[min(change.offset, ranges[0][0]) if ranges else change.offset] = at
    left.reverse()
    return left


def _part(change: Request, start: int, end: int) -> Request:
    data = change.data[start - change.offset : end - change.offset] if change.operation == WRITE else None
    return Request(change.operation, change.flags & ~(FUA | FAST), start, end - start, data=data)


def _pieces(change: Request, longest: int) -> Iterator[Request]:
    if change.operation != WRITE or change.length <= longest:
        yield change
        return
    for at in range(0, change.length, longest):
        length = min(longest, change.length - at)
        yield Request(WRITE, change.flags, change.offset + at, length, data=change.data[at : at + length])


def _nobody(_: list[Request]) -> None:
    """Nobody waits for these."""
