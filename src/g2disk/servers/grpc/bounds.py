"""`Bounds`, what the unary calls of one connection may hold in memory.

A client that sends faster than is written, or asks for more than it reads, is slowed down by HTTP/2's flow control;
other connections notice nothing.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from g2disk.units import MIB

MOST_BYTES = 64 * MIB
"""Of requests that are not answered; and again, of replies that have not left.  One of each may go beyond it."""

MOST_CALLS = 256
"""That are being answered at once; the others wait their turn, in order."""

_UNKNOWN = 8 * MIB
"""Bytes that each of a connection's first replies is expected to have."""


class Bounded(Protocol):
    """A unary call."""

    def begin(self) -> None:
        """Start to answer."""

    def pause(self) -> None:
        """Receive no more."""

    def resume(self) -> None:
        """Receive again."""


class Bounds:
    """Belongs to a connection, whose calls report what they do."""

    def __init__(self) -> None:
        self._receiving: dict[Bounded, None] = {}
        self._waiting: deque[Bounded] = deque()
        self._requests: dict[Bounded, int] = {}
        self._replies: dict[Bounded, int] = {}
        self._running: set[Bounded] = set()
        self._request_bytes = self._reply_bytes = 0
        self._expected = _UNKNOWN
        """Bytes that each call that is being answered may add to the replies, going by those before."""
        self._paused = False

    def opened(self, call: Bounded) -> None:
        """A call has begun to send its request."""
        self._receiving[call] = None
        if self._paused:
            call.pause()

    def received(self, call: Bounded, size: int) -> None:
        """The request has come, `size` bytes of it."""
        self._requests[call] = size
        self._request_bytes += size
        self._pause_or_resume()

    def complete(self, call: Bounded) -> None:
        """The client has sent all: begin with the call when it is its turn."""
        self._receiving.pop(call, None)
        self._waiting.append(call)
        self._begin()

    def answered(self, call: Bounded, size: int) -> None:
        """A call that was begun is done, its reply of `size` bytes about to leave; 0 where nobody wants it."""
        self._running.discard(call)
        self._replies[call] = size
        self._reply_bytes += size
        self._expected = max(size, self._expected // 2)
        self._let_go_of_request(call)
        self._begin()

    def closed(self, call: Bounded) -> None:
        """The client wants no answer any more, or all of it has left."""
        self._receiving.pop(call, None)
        self._reply_bytes -= self._replies.pop(call, 0)
        if call not in self._running:
            if call in self._waiting:
                self._waiting.remove(call)
            self._let_go_of_request(call)
        self._begin()

    def end(self) -> None:
        """The connection is over: begin with no other call."""
        self._receiving.clear()
        self._waiting.clear()

    def _let_go_of_request(self, call: Bounded) -> None:
        self._request_bytes -= self._requests.pop(call, 0)
        self._pause_or_resume()

    def _pause_or_resume(self) -> None:
        full = self._request_bytes > MOST_BYTES
        if full == self._paused:
            return
        self._paused = full
        for call in self._receiving:
            if full:
                call.pause()
            else:
                call.resume()

    def _begin(self) -> None:
        while self._waiting and self._has_room():
            call = self._waiting.popleft()
            self._running.add(call)
            call.begin()

    def _has_room(self) -> bool:
        running = len(self._running)
        if running == 0:
            return self._reply_bytes <= MOST_BYTES
        return running < MOST_CALLS and self._reply_bytes + (running + 1) * self._expected <= MOST_BYTES
