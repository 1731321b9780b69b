"""Servers that break a promise are found, each within a hundred rounds."""

from __future__ import annotations

import pytest

from g2disk.torture.judge import Kind
from tests.torture.broken_servers import BROKEN_DISKS, IgnoresAttempts, ReturnsZeroes, TearsBlocks
from tests.torture.driving import run, settings, volatile
from tests.torture.volatile import VolatileDisk

ROUNDS = 100
SEEDS = (1, 2, 3)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("make", BROKEN_DISKS)
async def test_a_disk_that_breaks_a_promise_is_found(make: type[VolatileDisk], seed: int) -> None:
    """Older bytes than the disk must hold are noticed, whichever way they came back."""
    async with volatile(seed, make) as server:
        verdict = await run(server, settings(seed, ROUNDS))

    assert "broken" == verdict.outcome
    kinds: set[Kind] = {violation.finding.kind for violation in verdict.violations}
    assert {"lost"} == kinds


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_server_that_does_stale_work_is_found(seed: int) -> None:
    """Writes of an older session that land on newer ones are noticed."""
    async with volatile(seed, kind=IgnoresAttempts) as server:
        verdict = await run(server, settings(seed, ROUNDS))

    assert "broken" == verdict.outcome
    assert {"lost"} == {violation.finding.kind for violation in verdict.violations}


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_server_that_tears_blocks_is_found(seed: int) -> None:
    """Halves of two versions in one minimum block are noticed."""
    async with volatile(seed, TearsBlocks, block=4096) as server:
        verdict = await run(server, settings(seed, ROUNDS))

    assert "torn" in {violation.finding.kind for violation in verdict.violations}


async def test_a_round_that_found_something_finds_it_again_alone() -> None:
    """The round of a violation, run alone and some times over, depends on nothing before it."""
    async with volatile(2, ReturnsZeroes) as server:
        first = await run(server, settings(2, ROUNDS))
    number = first.violations[0].round
    async with volatile(3, ReturnsZeroes) as server:
        again = await run(server, settings(2, ROUNDS).alone(number, 20))

    assert {number} == {violation.round for violation in again.violations}
