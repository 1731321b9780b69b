"""The object store goes away while a disk is written, and nobody notices more than time."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

from g2disk.clock import SystemClock
from tests.support.fake_objects import FakeObjects
from tests.support.nbd_client import connected
from tests.support.object_servers import make_bucket, moto
from tests.support.processes import Process, wait_until
from tests.support.volume_servers import MIB, Done, Host, VolumeServer

SOON = 2.0
"""Seconds that no request takes while the journal has room; a hundred times what most do, on a machine that is busy."""


@contextmanager
def store_that_stops(directory: Path) -> Iterator[tuple[str, Process]]:
    """The URL of a store on a moto of its own, and the process."""
    with moto(directory) as (endpoint, process):
        make_bucket(endpoint, "disks")
        yield f"s3://disks?endpoint={endpoint}&timeout=1", process
        process.popen.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("seconds", [10, pytest.param(60, marks=pytest.mark.soak)], ids=lambda s: f"{s}s")
@pytest.mark.timeout(300)
def test_an_outage_under_load_costs_nothing_but_time(tmp_path: Path, aws_environment: None, seconds: int) -> None:
    """Writes and flushes go on at their pace, the journal keeps to its limit, and info tells the cause; afterwards the
    store catches up by itself, and everything is there, from another host, too.
    """
    size = 2 * (seconds + 6) * MIB
    with store_that_stops(tmp_path) as (url, store):
        host = Host(tmp_path / "host", url)
        with host.serving("--disk", f"a={size}", "--durability", "journal") as server:
            load = server.fio(1, size, "--do_verify=0", "--rate=2m", timed=True)
            wait_until("something is stored", lambda: server.figures()["puts"] > 2)
            store.popen.send_signal(signal.SIGSTOP)
            told = watched(server, seconds)
            store.popen.send_signal(signal.SIGCONT)
            load.end()
            server.flush()
            server.drained()
            server.verify(1, size)
            wait_until("all is well", lambda: not server.figures()["trouble"])
            server.kill()
        host.lose("journal", "cache")
        with host.serving() as server:
            server.verify(1, size)

    assert max(state["journal_used"] for state in told) <= told[0]["journal_limit"]
    assert told[-1]["unstored_bytes"] > (seconds - 4) * MIB
    assert told[-1]["unstored_seconds"] > seconds - 4
    longest = max(request.took for request in load.requests())
    print(f"longest write {longest * 1e3:.0f} ms")
    assert longest < SOON


def watched(server: VolumeServer, seconds: float) -> list[dict[str, Any]]:
    """What the disk says of itself until it has been in trouble for so long."""
    wait_until("trouble is told", lambda: bool(server.figures()["trouble"]))
    told: list[dict[str, Any]] = []
    clock = SystemClock()
    end = clock.now() + seconds
    while clock.now() < end:
        told.append(server.figures())
        assert told[-1]["trouble"], told[-1]
        soon = clock.now() + 0.1
        wait_until("there may be something new", lambda: clock.now() > soon)  # noqa: B023  it ends before the next
    return told


@dataclass(frozen=True)
class Jam:
    """The longest time in which no write was done."""

    began: float
    """Seconds since the load began."""
    lasted: float
    written: int
    """Bytes that were written before."""

    @classmethod
    def of(cls, requests: list[Done]) -> Jam:
        written = list(accumulate(request.length for request in requests))
        pauses = [(later.at - request.at, index) for index, (request, later) in enumerate(pairwise(requests))]
        lasted, index = max(pauses)
        return cls(requests[index].at, lasted, written[index])


def when(requests: list[Done], size: float) -> float:
    """When `size` bytes were written."""
    written = accumulate(request.length for request in requests)
    return next(request.at for request, done in zip(requests, written, strict=True) if done >= size)


@pytest.mark.timeout(120)
def test_writers_slow_down_before_they_wait(tmp_path: Path, aws_environment: None) -> None:
    """When the store is gone for longer than the journal has room, no step leads from full speed to none; then writes
    wait, what is in the journal and the cache is read as fast as ever, and when the store is back all of it comes true.
    """
    size, kept = 96 * MIB, Random(5).randbytes(MIB)
    with store_that_stops(tmp_path) as (url, store):
        host = Host(tmp_path / "host", url)
        options = ("--durability", "journal", "--journal-size", "64MiB")
        with host.serving("--disk", f"a={size + MIB}", *options) as server:
            with connected(server.nbd.socket, "a") as handle:
                handle.pwrite(kept, size)
                handle.flush()
                server.drained()
                handle.pread(MIB, size)
                store.popen.send_signal(signal.SIGSTOP)
                load = server.fio(1, size, "--do_verify=0", sizes="64k-64k", depth=4, timed=True)
                full = jammed(server)
                assert load.runs()
                clock = SystemClock()
                begun = clock.now()
                assert kept == handle.pread(MIB, size)
                assert clock.now() - begun < SOON
            store.popen.send_signal(signal.SIGCONT)
            load.end()
            server.verify(1, size, sizes="64k-64k", depth=4)
    requests = load.requests()
    jam = Jam.of(requests)
    tenths = [when(requests, jam.written * tenth / 20) for tenth in range(21)]
    print(f"after {jam.written / MIB:.0f} MiB none for {jam.lasted:.1f} s; before, MiB/s for each twentieth:")
    print(*(f"{jam.written / MIB / 20 / max(later - early, 1e-3):.1f}" for early, later in pairwise(tenths)))

    assert full["journal_used"] <= full["journal_limit"]
    assert full["trouble"]
    # The last tenth but one hundredth, by the rule of `Admission`: some 0.4 s for a journal of this size.
    assert when(requests, jam.written * 0.99) - when(requests, jam.written * 0.9) > 0.2
    pauses = [later.at - request.at for request, later in pairwise(requests) if later.at <= jam.began]
    assert max(pauses) < jam.lasted / 2


def jammed(server: VolumeServer) -> dict[str, Any]:
    """The disk's figures once writes wait: from one look to the next nothing changed."""
    told: list[dict[str, Any]] = [{}, server.state()]

    def stands() -> bool:
        told.append(server.state())
        same = ("unstored_bytes", "journal_used")
        return bool(told[-1]["trouble"]) and all(told[-1][name] == told[-2][name] for name in same)

    wait_until("writers wait", stands)
    return told[-1]


@pytest.mark.timeout(120)
async def test_expired_credentials_are_told_and_renewed(
    tmp_path: Path, fake: FakeObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writes go on, info says what the store said; new credentials in the file are taken up without a restart."""
    credentials = tmp_path / "credentials"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    fake.accepted = {"FIRST"}
    renew(credentials, "FIRST")
    await asyncio.to_thread(_writes_through_an_expiry, tmp_path, fake, credentials)


def renew(credentials: Path, key: str) -> None:
    credentials.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = any\n")


def _writes_through_an_expiry(directory: Path, fake: FakeObjects, credentials: Path) -> None:
    size = 16 * MIB
    host = Host(directory / "host", f"s3://disks?endpoint={fake.endpoint}")
    with host.serving("--disk", f"a={size}", "--durability", "journal") as server:
        server.state()  # opens the disk
        fake.accepted = {"SECOND"}
        server.fio(1, size, "--do_verify=0").end()
        wait_until("trouble is told", lambda: "InvalidAccessKeyId" in server.figures()["trouble"])
        info = server.command.ok("info", "a")
        unstored = server.state()["unstored_bytes"]
        renew(credentials, "SECOND")
        server.drained()
        wait_until("all is well", lambda: not server.figures()["trouble"])
        server.kill()
    host.lose("journal", "cache")
    with host.serving() as server:
        server.verify(1, size)

    print(info)
    assert "the store cannot be used" in info
    assert unstored >= size
