"""`Entry`, one change that a journal holds."""

from __future__ import annotations

from typing import Final

WRITE: Final = 1
"""Kind of an entry: blocks got other data."""
ZERO: Final = 2
"""Kind of an entry: blocks became zeroes."""


class Entry:
    """One change of a run of blocks.  Not frozen, since very many are made; nobody changes one."""

    __slots__ = ("block", "count", "kind", "position", "sequence")

    def __init__(self, sequence: int, kind: int, block: int, count: int, position: int) -> None:
        self.sequence = sequence
        """Number of the change, from 1, over all epochs."""
        self.kind = kind
        """`WRITE` or `ZERO`."""
        self.block = block
        """The first block."""
        self.count = count
        """How many blocks."""
        self.position = position
        """Of a write: where its data is in the journal, for `Journal.read`; of a zero: a position behind the entry.
        Positions grow from each entry to the next, for ever.
        """

    def __repr__(self) -> str:
        kind = "write" if self.kind == WRITE else "zero"
        return f"<Entry {self.sequence} {kind} {self.block}+{self.count} at {self.position}>"
