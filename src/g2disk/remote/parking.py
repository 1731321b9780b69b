"""`Parking`, where requests wait that the server refused for a reason that may pass, such as a full store."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence

from g2disk.errors import DiskError
from g2disk.remote.session_flight import Entry

_FIRST, _LONGEST = 0.1, 2.0
"""Seconds until they are tried again; doubled each time, and half of it by chance."""


class Parking:
    """All are tried again together.  Belongs to one event loop."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, jitter: random.Random, again: Callable[[Sequence[Entry]], None]
    ) -> None:
        self._loop = loop
        self._jitter = jitter
        self._again = again
        self._entries: list[tuple[Entry, DiskError]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._pause = _FIRST
        self._tried = 0.0
        """When they were tried last."""

        self._retried: set[int] = set()
        """The ids of those that are being tried again."""

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def calm(self) -> bool:
        """Whether nothing waits here, or is being tried again."""
        return not self._entries and not self._retried

    def settled(self, entries: Sequence[Entry]) -> None:
        """These are answered, or given up."""
        self._retried.difference_update(map(id, entries))

    def add(self, entry: Entry) -> None:
        """Keep a request that failed; its error is taken from it, until it is tried again."""
        error = entry.request.error
        assert error is not None
        self._retried.discard(id(entry))
        entry.request.error = None
        self._entries.append((entry, error))
        if self._timer is None:
            now = self._loop.time()
            self._pause = _FIRST if now - self._tried > 2 * _LONGEST else min(2 * self._pause, _LONGEST)
            self._timer = self._loop.call_later(self._pause * (0.5 + self._jitter.random() / 2), self._wake)

    def overdue(self, now: float) -> list[tuple[Entry, DiskError]]:
        """Take out those whose time is up, each with what it failed of."""
        overdue = [each for each in self._entries if each[0].submission.deadline <= now]
        self._entries = [each for each in self._entries if each[0].submission.deadline > now]
        return overdue

    def take_all(self) -> list[Entry]:
        """Take all out; nothing is tried again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        entries, self._entries = [entry for entry, _ in self._entries], []
        self._retried.clear()
        return entries

    def _wake(self) -> None:
        self._timer = None
        self._tried = self._loop.time()
        entries, self._entries = [entry for entry, _ in self._entries], []
        if entries:
            self._retried.update(map(id, entries))
            self._again(entries)
