"""`Entry`, one change that a journal holds."""

from __future__ import annotations

from g2disk.volume.format.journal import WRITE, ZERO

__all__ = ["WRITE", "ZERO", "Entry"]


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
        """Where a write's data is in the journal, for `Journal.read`; a zero has one, too, that nothing else has.
        Positions grow from each entry to the next, for ever.
        """

    def __repr__(self) -> str:
        kind = "write" if self.kind == WRITE else "zero"
        return f"<Entry {self.sequence} {kind} {self.block}+{self.count} at {self.position}>"
