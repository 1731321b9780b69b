"""What a round asks for and what goes wrong in it, from a seed.  Pure; each round depends on its seed and number alone,
and on what the disk can do, so that it can be run without those before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, Literal, TypeAlias

from g2disk.request import FLUSH, READ, TRIM, WRITE, ZERO
from g2disk.torture.judge import Range

FaultKind: TypeAlias = Literal[
    "none",
    "cut",
    "lost replies",
    "late requests",
    "pause",
    "stuck requests",
    "kill",
    "kill twice",
    "kill, then client killed",
    "client killed",
    "client killed, late requests",
    "client and server killed",
]
"""See docs/torture.md."""

NETWORK_FAULTS: Final[tuple[FaultKind, ...]] = (
    "none",
    "cut",
    "lost replies",
    "late requests",
    "client killed",
    "client killed, late requests",
)
"""What can be done to any server."""
PAUSE_FAULTS: Final[tuple[FaultKind, ...]] = ("pause", "stuck requests")
"""What takes a server that can be stopped and continued."""
KILL_FAULTS: Final[tuple[FaultKind, ...]] = (
    "kill",
    "kill",
    "kill",
    "kill twice",
    "kill, then client killed",
    "client and server killed",
)
"""What takes a server that can be killed and started again."""

_LONGEST = 12
"""Blocks of most requests, at most."""


@dataclass(frozen=True, slots=True)
class Step:
    """One request."""

    operation: int
    """As in `g2disk.request`."""
    where: Range
    fua: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong, once in a round."""

    kind: FaultKind
    after: int
    """Requests that are answered before."""
    span: int
    """Of its parts, where it has two: requests that are answered between them, or milliseconds."""


@dataclass(frozen=True, slots=True)
class Round:
    """What happens in one round."""

    number: int
    window: Range
    """The blocks that it touches."""
    workers: tuple[tuple[Step, ...], ...]
    """Those of one worker follow each other; workers run at once."""
    fault: Fault


def make_round(seed: int, number: int, blocks: int, faults: Sequence[FaultKind]) -> Round:
    """The round of that number, on a disk of that many blocks."""
    random = Random(f"{seed} {number}")  # noqa: S311  plans are to be repeatable, not secret
    window = _window(random, blocks)
    flushes = random.choice((0, 1, 1, 3))
    fua = random.choice((0.0, 0.2, 0.6))
    workers = tuple(
        tuple(_step(random, window, flushes, fua) for _ in range(random.randrange(4, 14)))
        for _ in range(random.randrange(2, 7))
    )
    total = sum(len(steps) for steps in workers)
    fault = Fault(random.choice(faults), random.randrange(1, total + 1), random.randrange(1, 12))
    return Round(number, window, workers, fault)


def _window(random: Random, blocks: int) -> Range:
    """Few blocks, so that requests meet; mostly not where pages of 4 KiB begin and end."""
    count = min(blocks, random.choice((4, 12, 24, 48)))
    return Range(random.randrange(blocks - count + 1), count)


def _step(random: Random, window: Range, flushes: int, fua: float) -> Step:
    operations = (READ, WRITE, ZERO, TRIM, FLUSH)
    operation = random.choices(operations, weights=(6, 10, 2, 1, flushes))[0]
    if operation == FLUSH:
        return Step(FLUSH, Range(window.first, 0))
    count = min(window.count, random.choice((1, 1, 2, 3, random.randrange(1, _LONGEST + 1), window.count)))
    where = Range(window.first + random.randrange(window.count - count + 1), count)
    return Step(operation, where, operation != READ and random.random() < fua)
