"""What a volume may hold when it is opened again, what a snapshot may hold, and what a flush must have saved.

Pure.  A volume is a log of changes: the next opening finds the log up to some place, never more and never with holes
(prefix consistency), and at least up to what it must have kept.  Times are counted: no two events have the same one.  A
change is in the log before another one if it had ended when the other one began; else nobody knows.  Reads while a
volume is open are judged by `tests.simulation.checker`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from math import inf

ZERO = 0
"""The value of zeroes, which any number of changes may write; all others are written once."""


class Kept(Enum):
    """What an opening finds at least."""

    ALL = auto()
    """All that was acknowledged: the server was killed, and its machine went on."""
    FLUSHED = auto()
    """What was flushed into the journal or the store: the machine had a power cut."""
    STORED = auto()
    """What was acknowledged as stored: the journal is gone, or on another machine."""


@dataclass(slots=True, eq=False)
class Change:
    """Of one block."""

    value: int
    begun: int
    ended: float = inf
    """It was answered, or can no more happen."""
    certain: bool = False
    """It was acknowledged, or seen by a later opening."""
    flushed: bool = False
    """It must survive a power cut."""
    stored: bool = False
    """It must survive the loss of the machine."""
    lost: bool = False
    """A later opening was without it, so that it must never come back."""

    def kept(self, kept: Kept) -> bool:
        """Whether an opening must find it, or something newer."""
        if kept is Kept.ALL:
            return self.certain
        return self.stored or (kept is Kept.FLUSHED and self.flushed)


@dataclass
class Line:
    """The log of one volume, as far as it can still be in it."""

    ground: dict[int, int] = field(default_factory=dict)
    """What lies below all changes, durably; what is not named is zero."""
    changes: dict[int, list[Change]] = field(default_factory=lambda: defaultdict(list))
    """By block, in the order of their beginnings."""

    def copy(self) -> Line:
        """The log as it is now, for a snapshot that is looked at later."""
        changes = defaultdict(list, {block: list(changes) for block, changes in self.changes.items()})
        return Line(dict(self.ground), changes)

    def begin(self, block: int, value: int, now: int) -> Change:
        """A change was asked for."""
        change = Change(value, now)
        self.changes[block].append(change)
        return change

    def flushed(self, begun: int, stored: bool) -> None:
        """A flush that was asked for at `begun` has succeeded; `stored`: all of it is in the store."""
        for change in self._all():
            if change.certain and change.ended < begun:
                change.flushed = True
                change.stored = change.stored or stored

    def opened(self, seen: Mapping[int, int], now: int, kept: Kept) -> list[str]:
        """A new opening sees `seen`, all of the volume: what is wrong with that.  What it is without is lost."""
        fitting, wrong = self._fit(seen, now, lambda change: change.kept(kept))
        if wrong:
            return wrong
        for change in self._all():
            change.ended = min(change.ended, now)
        for block, found in fitting.items():
            last = max(change.ended for change in found)
            for change in self.changes[block]:
                change.lost = change not in found and change.begun > last
            if len(found) == 1:
                found[0].certain = True
            self.changes[block] = [change for change in self.changes[block] if not change.lost]
        return []

    def snapshot(self, seen: Mapping[int, int], begun: int, ended: float) -> list[str]:
        """A snapshot that was asked for at `begun` and was there before `ended` shows `seen`: what is wrong."""
        return self._fit(seen, ended, lambda change: change.certain and change.ended < begun)[1]

    def replace(self, ground: Mapping[int, int]) -> None:
        """The volume was rolled back: durably, to this."""
        for change in self._all():
            change.lost = True
        self.changes.clear()
        self.ground = dict(ground)

    def _all(self) -> Iterable[Change]:
        for changes in self.changes.values():
            yield from changes

    def _fit(
        self, seen: Mapping[int, int], until: float, needed: Callable[[Change], bool]
    ) -> tuple[dict[int, list[Change]], list[str]]:
        """The changes that each block's value may come from, those begun before `until`; and what is wrong."""
        ground = {block: Change(self.ground.get(block, ZERO), -1, -1, True, True, True) for block in seen}
        horizon = -1.0
        """Whatever had ended before this is in the log."""
        while True:
            fitting: dict[int, list[Change]] = {}
            wrong: list[str] = []
            for block, value in sorted(seen.items()):
                known = [ground[block], *(change for change in self.changes[block] if change.begun < until)]
                writers = [change for change in known if change.value == value]
                below = [change for change in known if needed(change) or (change.certain and change.ended < horizon)]
                last = max((change.begun for change in below), default=-1)
                fitting[block] = [change for change in writers if change.ended >= last]
                if not writers:
                    wrong.append(f"block {block} holds {value}, which nobody had written, or which was lost before")
                elif not fitting[block]:
                    missing = next(change for change in below if change.begun == last)
                    wrong.append(f"block {block} holds {value} without {_named(missing, needed(missing), horizon)}")
            if wrong:
                return fitting, wrong
            further = max((min(change.begun for change in found) for found in fitting.values()), default=-1)
            if further <= horizon:
                return fitting, []
            horizon = further


def _named(change: Change, needed: bool, horizon: float) -> str:
    if needed:
        state = "stored" if change.stored else "flushed" if change.flushed else "acknowledged"
        return f"{change.value}, which was {state} ({change.begun}..{change.ended})"
    return f"{change.value} ({change.begun}..{change.ended}), though a change is there that was asked for at {horizon}"
