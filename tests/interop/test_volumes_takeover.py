"""Two servers open one disk: the one that opens it last has it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from g2disk.clock import SystemClock
from tests.support.object_servers import NewBucket
from tests.support.processes import wait_until
from tests.support.volume_servers import MIB, Host, VolumeServer

SIZE = 16 * MIB
HALF = SIZE // 2
SOON = 15.0
"""Seconds in which a busy server is stopped and its client has ended; it looks every two, and the machine is busy."""


def image(server: VolumeServer, name: str) -> bytes:
    """All that the disk holds, by nbdcopy."""
    path = server.directory / name
    subprocess.run(["nbdcopy", server.nbd.uri("a"), str(path)], check=True, timeout=60, stdin=subprocess.DEVNULL)
    return path.read_bytes()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("durability", ["journal", "remote"])
def test_the_older_of_two_servers_stops_and_changes_nothing(tmp_path: Path, s3: NewBucket, durability: str) -> None:
    """Under load its clients get errors within seconds, and info says why; nothing that it wrote after the takeover is
    ever seen, neither by the newer server, which is written to meanwhile, nor by the next one, nor by fsck.
    """
    url = s3()
    old, new, last = (Host(tmp_path / name, url) for name in ("old", "new", "last"))
    options = ("--durability", durability)
    with old.serving("--disk", f"a={SIZE}", *options) as older, new.serving(*options) as newer:
        load = older.fio(1, SIZE, "--do_verify=0", "--time_based", "--runtime=90", "--rate=8m")
        wait_until("the older server has stored something", lambda: older.figures()["put_bytes"] > SIZE // 4)
        assert load.runs()

        clock = SystemClock()
        begun = clock.now()
        before = image(newer, "before")
        writing = newer.fio(2, HALF)
        assert "error" in load.fails()
        assert clock.now() - begun < SOON
        writing.end()
        newer.flush()

        refused = older.command("export", "a", str(tmp_path / "out"))
        assert "another writer" in refused.error
        assert older.state()["fenced"] is True
        newer.verify(2, HALF)
        after = image(newer, "after")
        newer.kill()
    assert any(before[HALF:])
    assert before[HALF:] == after[HALF:]
    if durability == "remote":
        new.lose("journal", "cache")
    with (new if durability == "journal" else last).serving() as server:
        assert after == image(server, "again")
    last.check()
