"""`Pace`, how long the kernel lets a request go unanswered.  Pure: the time is passed in."""

from __future__ import annotations

SHORTEST, LONGEST = 2, 120
"""Seconds.  Requests that were under way when a gateway died are sent again when this time is over, so it is short; but
a request that takes longer than this can only be answered once it was raised."""

CALM = 60.0
"""Seconds without a socket given up, after which the timeout is halved."""


class Pace:
    """The kernel's request timeout: doubled each time that the kernel gave up a socket although the gateway lived, and
    slowly taken back.
    """

    def __init__(self, now: float, timeout: int = SHORTEST) -> None:
        """`now` is of any monotonic clock; `timeout`, in seconds, is what the kernel has now."""
        self.timeout = timeout
        """Seconds, whole ones, as the kernel takes them."""
        self._changed = now

    def gave_up(self, now: float) -> bool:
        """The kernel gave up a socket; whether `timeout` changed.  Several sockets that one slow request after the
        other costs within one timeout count once.
        """
        if self.timeout >= LONGEST or (self.timeout > SHORTEST and now - self._changed < self.timeout):
            return False
        self.timeout = min(2 * self.timeout, LONGEST)
        self._changed = now
        return True

    def calmed(self, now: float) -> bool:
        """Take the timeout back if it is time to; whether it changed."""
        if self.timeout <= SHORTEST or now < self.next_look():
            return False
        self.timeout = max(self.timeout // 2, SHORTEST)
        self._changed = now
        return True

    def next_look(self) -> float:
        """When `calmed` may find something to do."""
        return self._changed + CALM
