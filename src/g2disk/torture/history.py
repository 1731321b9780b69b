"""What was done to one block, and what it may hold therefore.  Pure.

Times are counts of the judge's events.  A change takes effect at some moment between its beginning and its end, if it
was acknowledged; else at such a moment or never.  Changes that were in flight together have no order; one that ended
before another began comes before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from g2disk.torture.blocks import ANYTHING

NEVER: Final = 1 << 62
"""A time after all others."""


@dataclass(slots=True, eq=False)
class Change:
    """A write, trim or zero, as far as one block is concerned."""

    version: int
    """What the block holds afterwards; see `g2disk.torture.blocks`."""
    writer: int
    begun: int
    ended: int = NEVER
    acknowledged: bool = False
    kept: bool = False
    """It was acknowledged, and nobody may have lost it since."""
    durable: bool = False
    """A flush or FUA covered it."""
    gone: int = NEVER
    """From when on no read may show it, unless what came after it is lost."""


class BlockHistory:
    """The changes that one block may still show, or may show again after a loss."""

    def __init__(self) -> None:
        self.changes: list[Change] = []

    @property
    def settled(self) -> bool:
        """Whether there is only one thing that the block may hold, whatever happens."""
        return len(self.changes) == 1 and self.changes[0].durable and self.changes[0].version != ANYTHING

    def begin(self, change: Change) -> None:
        """A change was asked for."""
        self.changes.append(change)

    def acknowledge(self, change: Change, now: int, fua: bool) -> None:
        """The change was answered."""
        change.ended = now
        change.acknowledged = change.kept = True
        change.durable = fua
        self._overwrite(change, now)

    def flushed(self, begun: int) -> None:
        """A flush that was asked for at `begun` was answered: it covers what was answered before."""
        for change in self.changes:
            if change.kept and change.ended < begun:
                change.durable = True

    def allowed(self, begun: int, now: int) -> list[Change]:
        """What a read may show that was asked for at `begun` and answered now."""
        return [change for change in self.changes if change.begun <= now and change.gone > begun]

    def seen(self, version: int, begun: int, now: int) -> None:
        """A read showed that version, which was allowed.

        Nothing follows from a change that was not acknowledged: a server that dies may lose it again, and nobody
        repeats it for it.
        """
        shown = [change for change in self.allowed(begun, now) if change.version in (version, ANYTHING)]
        if len(shown) != 1 or not shown[0].kept:
            return
        for change in self.changes:
            if change is not shown[0] and change.ended < begun:
                change.gone = min(change.gone, now)
        self._overwrite(shown[0], now)

    def reopened(self, now: int, lossy: bool, fenced: bool) -> None:
        """The client was thrown away and another one has opened the disk.

        With `lossy` the server may have lost whatever was not durable, any part of it.  With `fenced` nothing that was
        in flight can happen any more.
        """
        if fenced:
            for change in self.changes:
                change.ended = min(change.ended, now)
        if lossy:
            self.forget()
            for change in self.changes:
                change.gone = NEVER
                change.kept = change.durable

    def forget(self) -> None:
        """Drop what can never be read again, as something durable came after it.  No read is in flight."""
        durable = [change for change in self.changes if change.durable]
        self.changes = [change for change in self.changes if not any(change.ended < later.begun for later in durable)]

    def _overwrite(self, change: Change, now: int) -> None:
        for other in self.changes:
            if other.ended < change.begun:
                other.gone = min(other.gone, now)
