"""`OwnFlush`, the flush that nobody asked for, and that keeps the record of unflushed changes short."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable

from g2disk.remote.session_flight import Entry, Submission
from g2disk.request import FLUSH, Request

_log = logging.getLogger(__name__)

_PAUSE = 1.0
"""Seconds from one that failed to the next."""


class OwnFlush:
    """At most one at a time, and none for a moment after one failed; then `again` is called.  One event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, again: Callable[[], None]) -> None:
        self._loop = loop
        self._again = again
        self._under_way = False
        self._later: asyncio.TimerHandle | None = None
        self._closed = False

    def next(self) -> Entry | None:
        """One to be sent before all else; None while there is one, or none yet."""
        if self._under_way or self._later is not None:
            return None
        self._under_way = True
        return Entry(Request(FLUSH, 0, 0, 0), Submission(self._done, math.inf))

    def forget(self) -> None:
        """Everything was given up, the flush too."""
        self._under_way = False

    def close(self) -> None:
        """Ask for no more."""
        self._closed = True
        if self._later is not None:
            self._later.cancel()

    def _done(self, requests: list[Request]) -> None:
        self._under_way = False
        if requests[0].error is not None and not self._closed:
            _log.warning("! the unflushed record is long, and a flush failed: %s", requests[0].error)
            self._later = self._loop.call_later(_PAUSE, self._wake)

    def _wake(self) -> None:
        self._later = None
        self._again()
