"""`Unheard`, answers that came after the kernel had given up their socket.

The kernel gives each request the time that it had when it was begun, however often it sends it again.  Where the disk
takes longer than that, every time, the request would never be answered: it is done, the kernel has left, and asks
anew.  So what was done for a socket that is lost is remembered, and its repetition answered from there.  Pure.

Source: drivers/block/nbd.c of Linux: a request's handle is its tag in the lower 32 bits, and above them a count of how
often that tag was sent; blk_add_timer in block/blk-timeout.c keeps a request's first timeout.
"""

from __future__ import annotations

from collections.abc import Sequence

from g2disk.request import READ, TRIM, WRITE, ZERO, Request
from g2disk.units import MIB

MOST = 32 * MIB
"""Bytes of data that are kept; what does not fit is done again."""

_KEPT = frozenset((READ, WRITE, TRIM, ZERO))
_TAG = 0xFFFFFFFF


class Unheard:
    """Shared by all sockets of one device whose kernel never fails a request by itself, and so uses a tag for something
    else only when it was answered.  `Request.tag` is the handle.
    """

    def __init__(self) -> None:
        self._requests: dict[int, Request] = {}
        """By the lower half of their handles."""
        self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._requests)

    def add(self, requests: Sequence[Request]) -> None:
        """These were done when nobody listened any more."""
        for request in requests:
            self._take(request.tag & _TAG)
            size = _size(request)
            if request.error is None and request.operation in _KEPT and self._bytes + size <= MOST:
                self._requests[request.tag & _TAG] = request
                self._bytes += size

    def sort_out(self, requests: list[Request]) -> tuple[list[Request], list[Request]]:
        """Those that were done before, now with their answers, and those that are new."""
        known, new = [], []
        for request in requests:
            done = self._take(request.tag & _TAG)
            if done is not None and _repeats(request, done):
                request.data = done.data
                known.append(request)
            else:
                new.append(request)
        return known, new

    def _take(self, tag: int) -> Request | None:
        done = self._requests.pop(tag, None)
        if done is not None:
            self._bytes -= _size(done)
        return done


def _size(request: Request) -> int:
    return request.length if request.operation in (READ, WRITE) else 0


def _repeats(request: Request, done: Request) -> bool:
    """Whether it is the same request, sent once more."""
    same = (request.operation, request.flags, request.offset, request.length) == (
        done.operation,
        done.flags,
        done.offset,
        done.length,
    )
    next_one = (request.tag >> 32) == (done.tag >> 32) + 1
    return same and next_one and (request.operation != WRITE or request.data == done.data)
