"""`ReceiveBuffer`, memory that sockets fill and parsers cut views from, without copies and without races.

Pure.  A parser needs each item (a header with its payload) in one piece; the socket delivers what it likes.  Small
items arrive many at a time in one block; for a large one the parser says how long it will be, and the rest of it is
then received right behind what is there already.
"""

from __future__ import annotations

import sys

BLOCK = 256 << 10
"""Bytes that one call of recv can bring; as much as a socket usually holds."""

_OURS = 2
"""References to a block that only a local name and the count's own argument refer to."""

_NOTHING = memoryview(b"")
_NO_BLOCK = bytearray()

_spare: list[bytearray] = []
"""Blocks that nobody uses; `append` and `pop` are atomic, so threads may share them."""
_MOST_SPARE = 8


class ReceiveBuffer:
    """Use: `writable`, receive into it, `filled(n)`; then look at `view`, and `consume` what was parsed.

    Views stay good as long as anybody holds them: memory is only reused when no view of it is left, which CPython's
    reference counts tell.
    """

    __slots__ = ("_block", "_end", "_start", "_whole")

    def __init__(self) -> None:
        self._block = _NO_BLOCK
        self._whole = _NOTHING
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

    def rest(self) -> None:
        """Give the memory back if nothing is buffered; called after every turn, idle connections take none."""
        if self._start == self._end and self._block is not _NO_BLOCK:
            self._start = self._end = 0
            self._whole = _NOTHING
            block, self._block = self._block, _NO_BLOCK
            if len(block) == BLOCK and sys.getrefcount(block) == _OURS and len(_spare) < _MOST_SPARE:
                _spare.append(block)

    def _renew(self, size: int) -> None:
        """Go on in a block of `size` bytes, with what is not yet consumed at its start."""
        rest = bytes(self._whole[self._start : self._end])
        self._whole = _NOTHING
        block = self._block
        if len(block) != size or sys.getrefcount(block) > _OURS + 1:
            block = _spare.pop() if size == BLOCK and _spare else bytearray(size)
            self._block = block
        block[: len(rest)] = rest
        self._start, self._end = 0, len(rest)
        self._whole = memoryview(block)
