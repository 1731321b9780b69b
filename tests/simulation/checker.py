"""What may be read of a disk, given what was done with it and when: the judge of a run.

Pure.  Each block is a register by itself.  Times are counted: no two events have the same one.

- A read returns a value whose write had begun, and that no acknowledged write has replaced for sure: one that began
  after the first had ended, and ended before the read began.
- Between two losses (moments at which a server may have lost what was not flushed) the block is a linearizable register
  (Gibbons and Korach, "Testing shared memories": zones of values).  Across a loss, a write that was not acknowledged
  before may be undone and done again, so only the first rule holds.
- What the device's medium holds when a flush has returned obeys the first rule, seen from when the flush was asked.
- When a person has accepted a loss, acknowledged writes that no flush had covered may be gone.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf

ZERO = 0
"""The value of zeroes, which any number of changes may write; all others are written once."""


@dataclass(slots=True, eq=False)
class Change:
    """A write, zero or trim of one or more blocks."""

    values: dict[int, int]
    """By block."""
    begun: int
    ended: float = inf
    """From then on it can no more happen: it was answered, or its client is dead and another one's session is open."""
    certain: bool = False
    """It was acknowledged."""
    durable: float = inf
    """When it had been flushed for sure."""


@dataclass(slots=True, eq=False)
class Sight:
    """One block seen, by a read or on the medium."""

    block: int
    value: int
    begun: int
    ended: int
    medium: bool = False


@dataclass(slots=True)
class History:
    """What happened in a run; made in the order of the events."""

    changes: list[Change] = field(default_factory=list)
    sights: list[Sight] = field(default_factory=list)
    losses: list[int] = field(default_factory=list)
    """When a server may have lost what was not flushed."""
    acceptances: list[int] = field(default_factory=list)
    """When a person accepted that it is lost."""

    def flushed(self, begun: int, now: int) -> None:
        """A flush that was asked at `begun` has returned."""
        for change in self.changes:
            if change.certain and change.ended < begun and change.durable > now:
                change.durable = now


def check(history: History) -> list[str]:
    """What is wrong, for people; nothing for a run that is right."""
    changes: dict[int, list[Change]] = defaultdict(list)
    for change in history.changes:
        for block in change.values:
            changes[block].append(change)
    sights: dict[int, list[Sight]] = defaultdict(list)
    for sight in history.sights:
        sights[sight.block].append(sight)
    wrong: list[str] = []
    for block in sorted(sights):
        wrong += _stale(block, changes[block], sights[block], history.acceptances)
        wrong += _inverted(block, changes[block], sights[block], [*history.losses, *history.acceptances])
    return wrong


def _stale(block: int, changes: list[Change], sights: list[Sight], acceptances: list[int]) -> Iterable[str]:
    """Sights of values that were replaced for sure, or never written."""
    for sight in sights:
        known = [change for change in changes if change.begun < sight.ended]
        kept = [change for change in known if change.certain and change.ended < sight.begun]
        kept = [change for change in kept if not _given_up(change, sight, acceptances)]
        last = max((change.begun for change in kept), default=-1)
        """Whatever ended before this was replaced."""
        writers = [change for change in known if change.values[block] == sight.value]
        if any(change.ended > last for change in writers) or (sight.value == ZERO and last < 0):
            continue
        where = "the medium held" if sight.medium else "a read saw"
        why = "was replaced before" if writers or sight.value == ZERO else "nobody had written"
        newer = [change.values[block] for change in kept if change.begun == last]
        yield f"block {block}: {where} {sight.value} at {sight.begun}..{sight.ended}, which {why} ({newer})"


def _given_up(change: Change, sight: Sight, acceptances: list[int]) -> bool:
    return any(change.ended < moment < sight.ended and change.durable > moment for moment in acceptances)


def _inverted(block: int, changes: list[Change], sights: list[Sight], losses: list[int]) -> Iterable[str]:
    """Values that came back after another one was seen or acknowledged, with no loss between."""
    stretches: dict[int, _Stretch] = defaultdict(_Stretch)
    losses = sorted(losses)

    def note(value: int, begun: int, ended: float) -> None:
        number = bisect_left(losses, begun)
        if ended < inf and number == bisect_left(losses, ended):
            stretches[number].note(value, begun, int(ended))

    for sight in sights:
        if not sight.medium:
            note(sight.value, sight.begun, sight.ended)
    for change in changes:
        value = change.values[block]
        if change.certain or value in stretches[bisect_left(losses, change.begun)].zones:  # it was seen
            note(value, change.begun, change.ended)
    for stretch in stretches.values():
        for what in stretch.wrong():
            yield f"block {block}: {what}"


class _Stretch:
    """What happened with one block between two losses."""

    def __init__(self) -> None:
        self.zones: dict[int, tuple[int, int]] = {}
        """By value: the first end and the last beginning of what had to do with it.  Where the end comes first, the
        block had this value from the one to the other."""
        self._points: list[tuple[int, int, int]] = []
        """Value, and the beginning and end of the time in which the block had it at some moment."""

    def note(self, value: int, begun: int, ended: int) -> None:
        """The block had the value at some moment between these."""
        self._points.append((value, begun, ended))
        if value != ZERO:
            first, last = self.zones.get(value, (ended, begun))
            self.zones[value] = min(first, ended), max(last, begun)

    def wrong(self) -> Iterable[str]:
        """What contradicts each other."""
        steady = [(value, first, last) for value, (first, last) in self.zones.items() if first < last]
        for value, first, last in steady:
            for other, begun, ended in self._points:
                if other != value and first < begun and ended < last:
                    yield f"{other} at {begun}..{ended} while it was {value} from {first} to {last}"
            for other, other_first, other_last in steady:
                if other > value and other_first < last and first < other_last:
                    yield f"{value} from {first} to {last} and {other} from {other_first} to {other_last}, at once"
