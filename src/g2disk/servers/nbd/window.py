"""`Window`, how much of one client is under way at once."""

from __future__ import annotations

from collections import deque

from g2disk.request import EXTENTS, READ, WRITE, Request
from g2disk.units import KIB, MIB

MOST_REQUESTS = 4096
"""Requests that a disk has of one connection."""
MOST_BYTES = 64 * MIB
"""Bytes of data that they read or write, all together."""
EXTENTS_BYTES = 64 * KIB
"""What a request for extents counts as: an answer with a thousand of them, as objects and encoded."""

_WITH_DATA = (READ, WRITE, EXTENTS)


class Window:
    """The requests that the disk has, and those that wait because it has as many as it may.

    A few kilobytes received can ask for gigabytes, so what came in one piece need not go to the disk in one.
    """

    __slots__ = ("_bytes", "_requests", "waiting")

    def __init__(self) -> None:
        self._requests = self._bytes = 0
        self.waiting: deque[Request] = deque()
        """In the order in which they came."""

    @property
    def empty(self) -> bool:
        """Nothing is with the disk, and nothing waits."""
        return not self._requests and not self.waiting

    @property
    def busy(self) -> bool:
        """Something is with the disk."""
        return self._requests > 0

    def add(self, requests: list[Request]) -> list[Request]:
        """Those that go to the disk now, as a rule all; the others wait."""
        size = _bytes_of(requests)
        if self.waiting or self._requests + len(requests) > MOST_REQUESTS or self._bytes + size > MOST_BYTES:
            self.waiting.extend(requests)
            return self.next()
        self._requests += len(requests)
        self._bytes += size
        return requests

    def next(self) -> list[Request]:
        """Those that waited and go to the disk now.  One that is larger than the bound goes alone."""
        requests: list[Request] = []
        while self.waiting and self._requests < MOST_REQUESTS:
            size = _bytes_of([self.waiting[0]])
            if self._bytes + size > MOST_BYTES and self._requests:
                break
            requests.append(self.waiting.popleft())
            self._requests += 1
            self._bytes += size
        return requests

    def done(self, requests: list[Request]) -> None:
        """The disk is done with these."""
        self._requests -= len(requests)
        self._bytes -= _bytes_of(requests)


def _bytes_of(requests: list[Request]) -> int:
    return sum(
        [
            EXTENTS_BYTES if request.operation == EXTENTS else request.length
            for request in requests
            if request.operation in _WITH_DATA
        ]
    )
