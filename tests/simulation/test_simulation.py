"""A thousand schedules of a client, a network and a server, with everything going wrong that can, and none is wrong."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulation.run import Verdict, simulate, simulate_all

SEEDS = 1000
PART = 250


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Gateways warn of what these runs are full of."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def report(verdict: Verdict) -> str:
    """What a person needs to see what went wrong."""
    return "\n".join([f"simulate({verdict.seed})", *verdict.wrong, *verdict.events])


@pytest.mark.timeout(120)
@pytest.mark.parametrize("first", range(0, SEEDS, PART))
def test_nothing_is_lost_or_stale_whatever_goes_wrong(first: int) -> None:
    """Reads, the medium after flushes, waiting, memory and refusals are right in every schedule."""
    verdicts = simulate_all(range(first, first + PART))
    wrong = [report(verdict) for verdict in verdicts if verdict.wrong]
    assert not wrong, wrong[0]
    assert sum(bool(verdict.fenced) for verdict in verdicts) < PART / 5  # most runs are about disks that survive


def test_records_in_files_keep_what_a_killed_gateway_had(tmp_path: Path) -> None:
    """With real files in the place of memory, the same schedules come to the same end."""
    for seed in range(100):
        verdict = simulate(seed, tmp_path / str(seed))
        assert not verdict.wrong, report(verdict)
        assert verdict == simulate(seed)


def test_a_seed_gives_the_same_run_again() -> None:
    """Steps, time, events and verdict are the same, so that a seed is all that a report needs."""
    for seed in range(40):
        assert simulate(seed) == simulate(seed)
