"""`BusyPoll`, which keeps the event loop awake for a moment after an answer.

A client that waits for each answer sends its next request within microseconds, and waking a processor that has gone
to sleep takes longer than answering it does.  The kernel does the same for virtual processors (halt_poll_ns) and for
sockets (SO_BUSY_POLL).
"""

from __future__ import annotations

from collections.abc import Callable

from g2disk.clock import Clock

SECONDS = 100e-6
"""How long to stay awake: about twice what a sleeping client takes to wake up and ask."""

LONGEST_PAUSE = 16
"""Answers after which to try again, where it was in vain several times in a row."""


class BusyPoll:
    """One per event loop.  What it costs is bounded: where nothing comes in time, it tries less and less often."""

    def __init__(self, call_soon: Callable[[Callable[[], None]], object], clock: Clock) -> None:
        """`call_soon` is the event loop's."""
        self._call_soon = call_soon
        self._clock = clock
        self._until = 0.0
        self._polling = self._came = False
        self._pause = self._skip = 0

    def received(self) -> None:
        """Something was received."""
        self._came = True

    def answered(self) -> None:
        """An answer was given, and the next request may follow at once."""
        if self._skip:
            self._skip -= 1
            return
        self._until = self._clock.now() + SECONDS
        self._came = False
        if not self._polling:
            self._polling = True
            self._call_soon(self._poll)

    def _poll(self) -> None:
        if self._came:
            self._pause = 0
            self._polling = False
        elif self._clock.now() < self._until:
            self._call_soon(self._poll)
        else:
            self._pause = min(2 * self._pause + 1, LONGEST_PAUSE)
            self._skip = self._pause
            self._polling = False
