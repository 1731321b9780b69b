"""`./dev demo`, on this machine."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT
from tests.support.processes import running

pytestmark = pytest.mark.timeout(200)

DEMO = ROOT / "scripts" / "demo"


def programs() -> str:
    """PATH as ./dev sets it."""
    return f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/sbin"


def demo(directory: Path, command: str, path: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command],
        env={**os.environ, "PATH": f"{path}:{programs()}" if path else programs(), "TMPDIR": str(directory)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=190,
    )


def mounts_below(directory: Path) -> list[str]:
    return [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(directory) in line]


def processes_below(directory: Path) -> list[str]:
    """The command lines of processes that name the directory or run in it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            where = os.readlink(process / "cwd")
        except OSError:  # it has ended
            continue
        if str(directory) in command or where.startswith(str(directory)):
            found.append(command)
    return found


def test_the_demo_ends_well_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """Served, attached, formatted, filled, read back, checked and taken down, each step printed before it is run."""
    done = demo(tmp_path, shlex.quote(str(DEMO)))

    assert 0 == done.returncode, done.stdout
    assert done.stdout.rstrip().splitlines()[-1].startswith("demo: done"), done.stdout
    positions = [done.stdout.index(f"\n$ {step}") for step in ("g2disk serve", "g2disk attach", "mkfs.ext4", "e2fsck")]
    assert sorted(positions) == positions
    assert "\nsame\n" in done.stdout
    assert ([], [], []) == (list(tmp_path.iterdir()), mounts_below(tmp_path), processes_below(tmp_path))


@pytest.mark.skipif(os.geteuid() != 0, reason="a user's demo is what the test above runs when a user runs it")
def test_the_demo_works_for_a_user(tmp_path: Path) -> None:
    """Without root, but with access to /dev/fuse, the files are written by debugfs, and come back the same."""
    work = tmp_path / "work"
    work.mkdir()
    as_user = f"""
        set -e
        mount -t tmpfs tmpfs {work}
        chmod 755 {work}
        mknod -m 666 {work}/fuse c 10 229
        mount --bind {work}/fuse /dev/fuse
        mkdir -m 1777 {work}/tmp
        cd /
        HOME={work}/tmp TMPDIR={work}/tmp exec setpriv --reuid=65534 --regid=65534 --clear-groups {DEMO}
    """
    for directory in (tmp_path, *tmp_path.parents):
        if directory.owner() == "root" and directory.is_relative_to("/tmp") and directory != Path("/tmp"):
            directory.chmod(0o755)

    done = demo(work, f"exec unshare --mount bash -c {shlex.quote(as_user)}")

    assert 0 == done.returncode, done.stdout
    assert "\n$ debugfs -w" in done.stdout
    assert "\nsame\n" in done.stdout
    assert done.stdout.rstrip().splitlines()[-1].startswith("demo: done"), done.stdout


def test_a_step_that_fails_stops_the_demo_with_the_reason(tmp_path: Path) -> None:
    """What went wrong and at which command is said, and everything is taken down all the same."""
    broken = tmp_path / "bin"
    broken.mkdir()
    (broken / "mkfs.ext4").write_text("#!/bin/sh\necho no file system today >&2\nexit 5\n")
    (broken / "mkfs.ext4").chmod(0o755)
    work = tmp_path / "work"
    work.mkdir()

    done = demo(work, shlex.quote(str(DEMO)), str(broken))

    assert 1 == done.returncode, done.stdout
    assert "no file system today" in done.stdout
    assert "demo: failed: 'mkfs.ext4 -q disk.img' ended with exit status 5" in done.stdout or "/dev/nbd" in done.stdout
    assert "demo: stopped with exit status 1; everything was taken down" in done.stdout
    assert "e2fsck" not in done.stdout
    assert ([], [], []) == (list(work.iterdir()), mounts_below(work), processes_below(work))


def test_a_demo_that_is_interrupted_takes_everything_down(tmp_path: Path) -> None:
    """Ctrl-C in the middle, with a disk attached, leaves no process, mount or file."""
    environment = {"TMPDIR": str(tmp_path / "work"), "PATH": programs()}
    (tmp_path / "work").mkdir()
    with running([str(DEMO)], tmp_path, env=environment, ready=r"^\$ mkfs.ext4") as process:
        assert 128 + signal.SIGINT == process.stop(signal.SIGINT)
        assert "everything was taken down" in process.log_text()
    work = tmp_path / "work"
    assert ([], [], []) == (list(work.iterdir()), mounts_below(work), processes_below(work))
