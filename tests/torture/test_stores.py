"""A hundred rounds on each of our stores, and on a server that really loses what was not flushed."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from g2disk.clock import SystemClock
from g2disk.torture.servers import own_server
from g2disk.units import MIB
from tests.torture.driving import run, settings, volatile
from tests.torture.volatile import CallByCallServer, ReferenceServer, VolatileServer

ROUNDS = 100


@pytest.mark.parametrize("block", [512, 4096])
async def test_a_server_that_loses_unflushed_writes_and_says_so_is_fine(block: int) -> None:
    """With the client's record, a server that loses its cache in every kill breaks no promise."""
    async with volatile(1, block=block) as server:
        verdict = await run(server, settings(1, ROUNDS))

    assert [] == verdict.violations
    assert (ROUNDS, "kept", 0) == (verdict.rounds, verdict.outcome, verdict.refusals)
    assert verdict.losses > 0
    assert verdict.faults["kill"] > 10


@pytest.mark.parametrize("kind", [CallByCallServer, ReferenceServer])
async def test_servers_without_sessions_are_held_to_what_they_promise(kind: type[VolatileServer]) -> None:
    """A server that cannot fence, or not even flush, breaks no promise by what it never promised."""
    async with volatile(5, kind=kind) as server:
        verdict = await run(server, settings(5, ROUNDS // 2))

    assert [] == verdict.violations
    assert (ROUNDS // 2, "kept") == (verdict.rounds, verdict.outcome)


async def test_file_disks_keep_every_promise(tmp_path: Path) -> None:
    """A file store served by a process that is killed, paused and cut off keeps what it must."""
    with tempfile.TemporaryDirectory(prefix="g2-") as directory:
        arguments = [f"file:{tmp_path}/store", "--disk", "default=1MiB"]
        async with own_server(arguments, Path(directory), SystemClock()) as server:
            verdict = await run(server, settings(2, ROUNDS, MIB))

    assert [] == verdict.violations
    assert (ROUNDS, "kept", 0) == (verdict.rounds, verdict.outcome, verdict.refusals)
    assert verdict.losses == 0  # a killed process loses nothing of what the kernel holds


async def test_memory_disks_keep_every_promise_as_long_as_they_live() -> None:
    """A memory store that is paused and cut off, and not killed, keeps what it must."""
    with tempfile.TemporaryDirectory(prefix="g2-") as directory:
        async with own_server(["memory:", "--disk", "default=1MiB"], Path(directory), SystemClock()) as server:
            server.can_kill = False
            verdict = await run(server, settings(3, ROUNDS, MIB))

    assert [] == verdict.violations
    assert (ROUNDS, "kept") == (verdict.rounds, verdict.outcome)


async def test_a_memory_disk_after_a_restart_is_another_disk() -> None:
    """A killed memory store is no violation: the client refuses the empty disk that comes back."""
    with tempfile.TemporaryDirectory(prefix="g2-") as directory:
        async with own_server(["memory:", "--disk", "default=1MiB"], Path(directory), SystemClock()) as server:
            verdict = await run(server, settings(4, ROUNDS, MIB))

    assert [] == verdict.violations
    assert "another disk" == verdict.outcome
    assert verdict.rounds < ROUNDS
