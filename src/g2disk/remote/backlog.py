"""`Backlog`, every request that is not answered yet, wherever it waits."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence

from g2disk.disk.disk import Done
from g2disk.errors import DiskError, Unavailable
from g2disk.remote.ordering import Ordering
from g2disk.remote.parking import Parking
from g2disk.remote.record import Record
from g2disk.remote.session_flight import Entry, Flight, Submission, take_overdue
from g2disk.request import OPERATIONS, Request


class Backlog:
    """What is to be sent or in flight (`flight`), what waits for an older change that it overlaps, and what is parked
    because the server refused it for a reason that may pass.  Belongs to one event loop.
    """

    def __init__(
        self, record: Record, loop: asyncio.AbstractEventLoop, jitter: random.Random, unparked: Callable[[], None]
    ) -> None:
        """`unparked` is called when parked requests were put in front of those to be sent."""
        self.flight = Flight(record)
        self._unparked = unparked
        self._ordering: Ordering[Entry] = Ordering()
        self._parking = Parking(loop, jitter, self._unpark)

    def __len__(self) -> int:
        return len(self.flight) + len(self._ordering.waiting) + len(self._parking)

    @property
    def calm(self) -> bool:
        """Whether nothing is parked, or being tried again."""
        return self._parking.calm

    def submit(self, requests: list[Request], done: Done, deadline: float) -> None:
        """Take requests; those that may go now are to be sent."""
        submission = Submission(done, deadline)
        self.flight.waiting += self._ordering.admit([Entry(request, submission) for request in requests])

    def finished(self, changes: list[Entry]) -> None:
        """These changes were answered: what waited for them may go."""
        self.flight.waiting += self._ordering.finished(changes)

    def settled(self, entries: list[Entry]) -> None:
        """These were answered, perhaps after they had been parked."""
        if not self._parking.calm:
            self._parking.settled(entries)

    def park(self, entry: Entry) -> None:
        """Try a request that failed again later."""
        self._parking.add(entry)

    def give_up(self, entries: list[Entry], error: DiskError) -> None:
        """Fail changes that others may wait for."""
        self.finished(entries)
        self._parking.settled(entries)
        _fail(entries, error)

    def fail_all(self, error: DiskError) -> None:
        """Fail everything."""
        entries = [*self.flight.take_all(), *self._parking.take_all(), *self._ordering.waiting]
        self._ordering = Ordering()
        _fail(entries, error)

    def give_up_overdue(self, now: float, where: str, seconds: str) -> list[Entry]:
        """Fail what has waited too long for its turn; return what was sent and is too long unanswered, for the caller
        to give up.
        """
        waited, sent = self.flight.overdue(now)
        for entry, cause in self._parking.overdue(now):
            self.give_up([entry], cause)
        self.give_up(waited, Unavailable(f"{where} could not be reached for {seconds}; see whether it runs"))
        blocked = take_overdue(self._ordering.waiting, now)
        _fail(blocked, Unavailable(f"{where} left an older change unanswered for {seconds}; see whether it runs"))
        return sent

    def give_up_unanswered(self, entries: list[Entry], where: str, seconds: str) -> None:
        """Fail what was sent, each with its name."""
        for entry in entries:
            what = OPERATIONS[entry.request.operation].capitalize()
            message = f"{where} did not answer {what} within {seconds}; see whether it runs and is not stuck"
            self.give_up([entry], Unavailable(message))

    def _unpark(self, entries: Sequence[Entry]) -> None:
        self.flight.waiting.extendleft(reversed(entries))
        self._unparked()


def report(entries: Iterable[Entry]) -> None:
    """Tell those who submitted these requests that they are done."""
    groups: dict[Done, list[Request]] = {}
    for entry in entries:
        groups.setdefault(entry.submission.done, []).append(entry.request)
    for done, requests in groups.items():
        done(requests)


def _fail(entries: list[Entry], error: DiskError) -> None:
    for entry in entries:
        entry.request.data, entry.request.error = None, type(error)(*error.args)
    report(entries)
