"""A hundred rounds on each of our stores, and on a server that really loses what was not flushed."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from g2disk.clock import SystemClock
from g2disk.torture.servers import own_server
from g2disk.units import MIB
from tests.support.object_servers import NewBucket
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


@pytest.mark.timeout(150)
@pytest.mark.parametrize("durability", ["journal", "remote"])
async def test_volumes_keep_every_promise(tmp_path: Path, durability: str) -> None:
    """A volume on a directory of objects, served by a process that is killed at any moment, keeps what it must."""
    await _torture_volume(f"objects:{tmp_path}/store", tmp_path, durability, 6, ROUNDS // 4)


@pytest.mark.timeout(150)
async def test_volumes_on_s3_keep_every_promise(tmp_path: Path, s3: NewBucket) -> None:
    """The same where the objects are in S3."""
    await _torture_volume(s3(), tmp_path, "journal", 7, ROUNDS // 4)


async def _torture_volume(store: str, path: Path, durability: str, seed: int, rounds: int) -> None:
    """A killed server takes nothing with it: the journal is in the kernel's hands, and read by the next one."""
    with tempfile.TemporaryDirectory(prefix="g2-") as directory:
        options = ["--journal", f"{path}/journal", "--journal-size", "8MiB", "--durability", durability]
        arguments = [store, "--disk", "default=1MiB", *options]
        async with own_server(arguments, Path(directory), SystemClock()) as server:
            verdict = await run(server, settings(seed, rounds, MIB))

    assert [] == verdict.violations
    assert (rounds, "kept", 0) == (verdict.rounds, verdict.outcome, verdict.refusals)
    assert verdict.faults["kill"] > 0


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
