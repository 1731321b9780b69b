"""`Keepalive`, which tells a server that is slow from one that is no more."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

QUIET = 3.0
"""Seconds without a word from a server that owes an answer, after which it is asked whether it is there."""

_PATIENCE = 3
"""How many times `QUIET` the answer to that may take: a server that is only busy must not cost its clients' writes."""

_MOST_PINGS = 3
"""Between two events of a call.  Servers of other makes end a connection that asks more often (gRPC's "Keepalive
User Guide", "too_many_pings"); TCP's own keepalive watches after that."""


class Keepalive:
    """Calls `ask` (for a PING) when a server that owes an answer is quiet, and `give_up` with the reason when it does
    not even answer that.

    Nothing runs while nothing is owed.
    """

    def __init__(
        self, quiet: float, owed: Callable[[], bool], ask: Callable[[], None], give_up: Callable[[str], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._quiet = quiet
        self._owed, self._ask, self._give_up = owed, ask, give_up
        self._timer: asyncio.TimerHandle | None = None
        self.heard = True
        """To be set whenever bytes come."""
        self._silent = 0
        self._asked = False
        self._pings = 0

    def start(self) -> None:
        """Something is owed from now on."""
        if self._timer is None:
            self.heard, self._asked = True, False
            self._timer = self._loop.call_later(self._quiet, self._look)

    def stop(self) -> None:
        """The connection is over."""
        if self._timer is not None:
            self._timer.cancel()

    def progress(self) -> None:
        """Something came that belongs to a call."""
        self._pings = 0

    def _look(self) -> None:
        self._timer = None
        if not self._owed():
            return
        if self.heard:
            self.heard = self._asked = False
            self._silent = 0
        else:
            self._silent += 1
            if self._asked and self._silent > _PATIENCE:
                self._give_up(f"it has been silent for {self._silent * self._quiet:g} s and does not answer a PING")
                return
            if not self._asked and self._pings < _MOST_PINGS:
                self._asked = True
                self._pings += 1
                self._ask()
        self._timer = self._loop.call_later(self._quiet, self._look)


def watch_host(connection: socket.socket, quiet: float) -> None:
    """Have TCP itself notice, within some multiples of `quiet` seconds, that the other host is gone (tcp(7))."""
    seconds = max(1, round(quiet))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, seconds)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PATIENCE)
