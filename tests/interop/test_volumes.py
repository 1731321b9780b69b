"""Volumes on every kind of object store, by real processes: written over NBD with fio, killed, and there again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.support.fake_objects import FakeObjects, Request, Trouble
from tests.support.object_servers import NewBucket, ceph
from tests.support.processes import wait_until
from tests.support.volume_servers import MIB, Host

SIZE = 12 * MIB


def outlives_its_host(directory: Path, url: str, *options: str) -> None:
    """Write and verify, with durability remote; kill the server; verify from another host; then check the store."""
    one, other = Host(directory / "one", url), Host(directory / "other", url)
    with one.serving("--durability", "remote", "--disk", f"a={SIZE}", *options) as server:
        server.fio(1, SIZE).end()
        server.fio(2, SIZE, "--do_verify=0").end()
        server.flush()
        assert (0, "store") == tuple(server.state()[name] for name in ("unstored_bytes", "flush_means"))
        server.kill()
    with other.serving() as server:
        server.verify(2, SIZE)
        server.kill()
    other.check()


def test_a_disk_on_s3_outlives_its_host(tmp_path: Path, s3: NewBucket) -> None:
    """With durability remote everything that was flushed is there, from the bucket alone, and fsck is content."""
    outlives_its_host(tmp_path, s3())


def test_a_disk_on_azure_outlives_its_host(tmp_path: Path, azure: NewBucket) -> None:
    """The same with Azurite."""
    outlives_its_host(tmp_path, azure())


def some_trouble(seed: int) -> Iterator[Trouble | None]:
    """One request in six goes wrong, in any of the ways that a store on the Internet has."""
    random = Random(seed)
    kinds = [
        Trouble(503, "SlowDown"),
        Trouble(500, "InternalError"),
        Trouble(500, "InternalError", applied=True),
        Trouble(429, "TooManyRequests"),
        Trouble(),
        Trouble(applied=True),
        Trouble(cut=True),
    ]
    while True:
        yield random.choice(kinds) if random.random() < 1 / 6 else None


async def test_a_disk_on_google_outlives_its_host_and_the_stores_faults(
    tmp_path: Path, fake: FakeObjects, google: NewBucket
) -> None:
    """The same with Google's language, while one request in six fails, is done and not answered, or is cut off."""
    faults = some_trouble(3)
    failed = 0

    def plan(request: Request) -> Trouble | None:
        nonlocal failed
        trouble = next(faults) if "/volumes/" in request.key else None
        failed += trouble is not None
        return trouble

    fake.plan = plan
    await asyncio.to_thread(outlives_its_host, tmp_path, google())

    assert failed > 10


@pytest.mark.soak
@pytest.mark.timeout(400)
def test_a_disk_on_ceph_outlives_an_osd_and_its_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three OSDs behind radosgw: one is killed with SIGKILL while the disk is written, with flushes to the store; no
    request fails, and everything is there from another host while the OSD is still dead, and with it back.
    """
    size = 64 * MIB
    with ceph() as cluster:
        for name, value in cluster.environment.items():
            monkeypatch.setenv(name, value)
        one, other = Host(tmp_path / "one", "s3://g2disk/disks"), Host(tmp_path / "other", "s3://g2disk/disks")
        with one.serving("--durability", "remote", "--disk", f"a={size}") as server:
            load = server.fio(1, size, "--do_verify=0", "--rate=4m", timed=True)
            wait_until("something is stored", lambda: server.figures()["put_bytes"] > 8 * MIB)
            cluster.kill_osd(1)
            load.end()
            server.flush()
            state = server.state()
            server.kill()
        with other.serving() as server:
            server.verify(1, size)
            server.kill()
        other.check()
        cluster.start_osd(1)
        with one.serving() as server:
            server.verify(1, size)
    requests = load.requests()
    print(f"{len(requests)} writes in {requests[-1].at:.1f} s, the slowest took {max(r.took for r in requests):.2f} s")
    print({name: state[name] for name in ("puts", "gets", "request_errors", "put_bytes", "write_amplification")})

    assert 0 == state["unstored_bytes"]
