"""Schedules of servers that take a volume from each other, with everything failing that can; hundreds in the soak."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.volume_simulation.run import Verdict, simulate, simulate_all

SEEDS = 160
PART = 20
QUICK = 40
"""As many run always; the others, and many more, in ./dev soak."""


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Volumes warn of what these runs are full of."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def report(verdict: Verdict) -> str:
    """What a person needs to see what went wrong."""
    return "\n".join([f"simulate({verdict.seed})", *verdict.wrong, *verdict.events])


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "first", [pytest.param(at, marks=[pytest.mark.soak] if at >= QUICK else []) for at in range(0, SEEDS, PART)]
)
def test_nothing_is_lost_or_comes_back_whatever_goes_wrong(first: int) -> None:
    """Reads, reopened volumes, snapshots, flushes and garbage collection are right in every schedule."""
    verdicts = simulate_all(range(first, first + PART))
    wrong = [report(verdict) for verdict in verdicts if verdict.wrong]
    assert not wrong, wrong[0]
    assert all(verdict.answered for verdict in verdicts)


def test_a_seed_gives_the_same_run_again() -> None:
    """Steps, time, events and verdict are the same, so that a seed is all that a report needs."""
    for seed in range(3):
        assert simulate(seed) == simulate(seed)
