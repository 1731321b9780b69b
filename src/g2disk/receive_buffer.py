"""`ReceiveBuffer`, memory that sockets fill and parsers cut views from, without races and almost without copies.

Pure.  A parser needs each item (a header with its payload) in one piece; the socket delivers what it likes.  Small
items arrive many at a time in one block.  A large one gets a block of its own: the parser says how long it will be, and
the rest of it is received right behind what is there already.
"""

from __future__ import annotations

import sys
from collections import deque

BLOCK = 256 << 10
"""Bytes that one call of recv can bring; as much as a socket usually holds."""

LARGE = 128 << 10
"""Bytes from which on an item gets a block of its own: then two calls of recv cost less than moving its beginning."""

_PEEK = 4 << 10
"""Bytes to receive after a large item.  Another one probably follows, and all of it but this goes to its place."""


def _references_of_one_name() -> int:
    """What is counted for a block that only a local name refers to: 2 with the count's own argument, 1 since Python
    3.14, which borrows for it.
    """
    block = bytearray()
    return sys.getrefcount(block)


_OURS = _references_of_one_name()

_KEPT = 16
_LARGEST_KEPT = 2 << 20
"""Bytes of a block that is kept for reuse, and the number of those that are kept."""

_NOTHING = memoryview(b"")
_NO_BLOCK = bytearray()

_used: deque[bytearray] = deque()
"""Blocks that were given up, also those that somebody has views of.  `append` and `popleft` are atomic, so that threads
may share them."""


class ReceiveBuffer:
    """Use: `writable`, receive into it, `filled(n)`; then look at `view`, and `consume` what was parsed.

    Views stay good as long as anybody holds them: memory is only reused when no view of it is left, which CPython's
    reference counts tell.
    """

    __slots__ = ("_block", "_end", "_limit", "_peek", "_start", "_whole")

    def __init__(self) -> None:
        self._block = _NO_BLOCK
        self._whole = _NOTHING
        self._start = self._end = self._limit = 0
        self._peek = False

    def __len__(self) -> int:
        """Bytes that were received and not yet consumed."""
        return self._end - self._start

    @property
    def view(self) -> memoryview:
        """The bytes that were received and not yet consumed."""
        return self._whole[self._start : self._end]

    def writable(self) -> memoryview:
        """Where to receive to; never empty."""
        if self._end == self._limit or self._start == self._end:
            self._renew(BLOCK)
            if self._peek:
                self._peek = False
                return self._whole[self._end : self._end + _PEEK]
        return self._whole[self._end : self._limit]

    def filled(self, count: int) -> None:
        """`count` bytes were received into what `writable` gave."""
        self._end += count

    def consume(self, count: int) -> None:
        """The first `count` bytes of `view` are dealt with."""
        self._start += count

    def expect(self, length: int) -> None:
        """The item that `view` begins with has `length` bytes: make room for it in one piece.

        Call it only for an item that is not complete, as often as you like, and bound `length` before.
        """
        if length <= self._limit - self._start:
            return
        if length < LARGE:
            self._renew(BLOCK)
        else:
            self._renew(_rounded(length))
            self._limit = length
            self._peek = True

    def rest(self) -> None:
        """Give the memory back if nothing is buffered; called after every turn, idle connections take none."""
        if self._start == self._end and self._block is not _NO_BLOCK:
            self._start = self._end = self._limit = 0
            self._whole = _NOTHING
            _give(self._block)
            self._block = _NO_BLOCK

    def _renew(self, size: int) -> None:
        """Go on in a block of `size` bytes, with what is not yet consumed at its start."""
        kept = self._end - self._start
        old = self._block
        if not kept:
            self._whole = _NOTHING
        if len(old) != size or kept or sys.getrefcount(old) > _OURS + 1:
            block = _take(size)
            block[:kept] = self._whole[self._start : self._end]
            self._whole = _NOTHING
            if old is not _NO_BLOCK:
                _give(old)
            self._block = block
        self._start, self._end, self._limit = 0, kept, size
        self._whole = memoryview(self._block)


def _rounded(length: int) -> int:
    """`length`, or somewhat more, so that blocks fit again."""
    step = max(BLOCK, 1 << (length.bit_length() - 3))
    return -(-length // step) * step


def _take(size: int) -> bytearray:
    for _ in range(len(_used)):
        try:
            block = _used.popleft()
        except IndexError:
            break
        if len(block) == size and sys.getrefcount(block) == _OURS:
            return block
        _used.append(block)
    return bytearray(size)


def _give(block: bytearray) -> None:
    if len(block) <= _LARGEST_KEPT:
        _used.append(block)
        if len(_used) > _KEPT:
            _used.popleft()
