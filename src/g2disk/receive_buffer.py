"""`ReceiveBuffer`, memory that sockets fill and parsers cut views from, without copies and without races.

Pure.  A parser needs each item (a header with its payload) in one piece; the socket delivers what it likes.  Small
items arrive many at a time in one block; for a large one the parser says how long it will be, and the rest of it is
then received right behind what is there already.
"""

from __future__ import annotations

import sys

BLOCK = 256 << 10
"""Bytes that one call of recv can bring; as much as a socket usually holds."""

_ALONE = 3
"""References to a block while `_renew` looks, when nobody holds a view of it: the attribute, the local name, the
count's own argument."""

_NOTHING = memoryview(b"")


class ReceiveBuffer:
    """Use: `writable`, receive into it, `filled(n)`; then look at `view`, and `consume` what was parsed.

    Views stay good as long as anybody holds them: memory is only reused when no view of it is left, which CPython's
    reference counts tell.
    """

    __slots__ = ("_block", "_end", "_start", "_whole")

    def __init__(self) -> None:
        self._block = bytearray(BLOCK)
        self._whole = memoryview(self._block)
        self._start = self._end = 0

    def __len__(self) -> int:
        """Bytes that were received and not yet consumed."""
        return self._end - self._start

    @property
    def view(self) -> memoryview:
        """The bytes that were received and not yet consumed."""
        return self._whole[self._start : self._end]

    def writable(self) -> memoryview:
        """Where to receive to; never empty."""
        if self._start == self._end or self._end == len(self._block):
            self._renew(BLOCK)
        return self._whole[self._end :]

    def filled(self, count: int) -> None:
        """`count` bytes were received into what `writable` gave."""
        self._end += count

    def consume(self, count: int) -> None:
        """The first `count` bytes of `view` are dealt with."""
        self._start += count

    def expect(self, length: int) -> None:
        """The item that `view` begins with has `length` bytes: make room for it in one piece.

        Call it only for an item that is not complete, and bound `length` before.
        """
        if length > len(self._block) - self._start:
            self._renew(max(length, BLOCK))

    def _renew(self, size: int) -> None:
        """Go on in a block of `size` bytes, with what is not yet consumed at its start."""
        rest = bytes(self._whole[self._start : self._end])
        self._whole = _NOTHING
        block = self._block
        if len(block) != size or sys.getrefcount(block) > _ALONE:
            self._block = block = bytearray(size)
        block[: len(rest)] = rest
        self._start, self._end = 0, len(rest)
        self._whole = memoryview(block)
