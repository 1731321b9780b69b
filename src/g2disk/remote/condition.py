"""`Condition`, how it stands between a client and its target server, for people."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

from g2disk.clock import Clock
from g2disk.errors import DiskError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RemoteState:
    """How a remote disk fares at one moment."""

    condition: Literal["connected", "waiting", "failed"]
    """Waiting: requests are kept until what `cause` says is over.  Failed: every request fails until a person acts."""
    since: float
    """Seconds since 1970 (UTC)."""
    cause: str
    """One line; empty when connected."""
    in_flight: int
    """Requests that were submitted and are not answered."""
    unflushed_bytes: int
    """Acknowledged by the server and not yet covered by a flush."""
    unflushed_requests: int
    reconnects: int
    """Times that a session was opened again."""


class Condition:
    """Changes are logged once, however often what causes them is met."""

    def __init__(self, what: str, clock: Clock, *, loud: bool) -> None:
        """`what` names the disk and the server, for the log; only a `loud` one warns."""
        self._what = what
        self._clock = clock
        self._level = logging.WARNING if loud else logging.INFO
        self.current: Literal["connected", "waiting", "failed"] = "connected"
        self.since = clock.wall()
        self.cause = ""

    def connected(self) -> None:
        """Requests are answered."""
        if self.current == "waiting":
            seconds = self._clock.wall() - self.since
            log.log(self._level, "= %s: goes on after %.1f s", self._what, max(seconds, 0.0))
            self._enter("connected", "")

    def waiting(self, error: DiskError) -> None:
        """Requests wait for this to pass."""
        cause = str(error)
        if self.current == "failed":
            return
        if self.current != "waiting":
            self._enter("waiting", cause)
            log.log(self._level, "! %s: waiting: %s", self._what, cause)
        elif cause != self.cause:
            log.info("! %s: still waiting: %s", self._what, cause)
            self.cause = cause

    def failed(self, error: DiskError) -> None:
        """Requests fail from now on."""
        if self.current != "failed":
            self._enter("failed", str(error))
            log.log(self._level, "! %s: failed: %s", self._what, error)

    def accepted(self) -> None:
        """A person has acted: requests are kept until they are answered."""
        self._enter("waiting", "the disk was accepted as it is; no session is open yet")

    def _enter(self, condition: Literal["connected", "waiting", "failed"], cause: str) -> None:
        self.current, self.cause, self.since = condition, cause, self._clock.wall()
