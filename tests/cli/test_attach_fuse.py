"""attach, detach and status with a file in place of a kernel's device."""

from __future__ import annotations

import json
import os
import random
import signal
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.command import Command, finish
from tests.support.processes import Server, target_server, wait_until

pytestmark = pytest.mark.timeout(120)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="loop devices and mounts take root")


@pytest.fixture
def disk(g2disk: Command, tmp_path: Path) -> Iterator[Path]:
    """A disk called "a" of 32 MiB, attached as this file."""
    g2disk.ok("create", "a", "32MiB")
    file = tmp_path / "disk.img"
    assert f"{file}\n" == g2disk.ok("attach", "a", "--fuse", file)
    yield file
    g2disk("detach", "a", "--force")


@contextmanager
def mounted(file: Path, directory: Path) -> Iterator[None]:
    directory.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop", file, directory], check=True, timeout=50)
    try:
        yield
    finally:
        subprocess.run(["umount", directory], check=True, timeout=50)


def processes(g2disk: Command) -> list[str]:
    """The command lines of all processes that have to do with this test's attachments."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
        if str(g2disk.run_directory) in command and not command.startswith("python"):
            found.append(command)
    return found


def is_mounted(file: Path) -> bool:
    return f" {file} " in Path("/proc/self/mounts").read_text()


def nothing_is_left(g2disk: Command, file: Path) -> bool:
    left = [path.name for path in g2disk.run_directory.glob("*") if path.name != "lock"]
    return not (is_mounted(file) or file.exists() or processes(g2disk) or left)


@as_root
def test_a_file_system_on_the_disk_survives_detaching(g2disk: Command, disk: Path, tmp_path: Path) -> None:
    """ext4 is made, mounted through a loop device, filled, detached, attached again, checked and read back."""
    content = random.Random(1).randbytes(5_000_000)
    subprocess.run(["mkfs.ext4", "-q", disk], check=True, timeout=50)
    with mounted(disk, tmp_path / "mnt"):
        (tmp_path / "mnt" / "file").write_bytes(content)
    assert f"detached a from {disk}\n" == g2disk.ok("detach", "a")
    assert nothing_is_left(g2disk, disk)

    again = tmp_path / "again.img"
    g2disk.ok("attach", "a", "--fuse", again)
    subprocess.run(["e2fsck", "-fn", again], check=True, timeout=50, stdout=subprocess.DEVNULL)
    with mounted(again, tmp_path / "mnt"):
        assert content == (tmp_path / "mnt" / "file").read_bytes()
    g2disk.ok("detach", again)
    assert nothing_is_left(g2disk, again)


def test_nbdkit_can_be_the_gateway(g2disk: Command, tmp_path: Path) -> None:
    """With --via nbdkit it keeps what is written, and works on 64 requests at once."""
    file = tmp_path / "file"
    g2disk.ok("create", "a", "1MiB")
    g2disk.ok("attach", "a", "--fuse", file, "--via", "nbdkit")
    file.write_bytes(b"by nbdkit".ljust(1 << 20))
    (gateway,) = (command for command in processes(g2disk) if "nbdfuse" not in command)
    g2disk.ok("detach", "a")

    assert " -t 64 " in gateway
    assert "nbdkit" in gateway.split()[0]
    g2disk.ok("attach", "a", "--fuse", file)
    assert b"by nbdkit" == file.read_bytes()[:9]
    g2disk.ok("detach", "a")
    assert nothing_is_left(g2disk, file)


def test_status_shows_what_is_attached(g2disk: Command, disk: Path) -> None:
    """Name, file, size, state and process; the same and more as JSON, for attach and detach too."""
    shown = g2disk.ok("status").splitlines()
    (document,) = g2disk.json("status")["attachments"]
    endpoint = g2disk.environment["G2DISK_ENDPOINT"]

    assert 2 == len(shown)
    for word in ("a", str(disk), "32MiB", "connected", str(document["gateway_pid"])):
        assert word in shown[1].split()
    expected = {
        "disk": "a",
        "kind": "fuse",
        "path": str(disk),
        "size": 32 << 20,
        "endpoint": endpoint,
        "read_only": False,
    }
    assert expected.items() <= document.items()
    assert (True, True) == (document["alive"], document["connected"])
    assert g2disk.json("info", "a")["identity"] == document["identity"]

    detached = g2disk.json("detach", "a")
    assert expected.items() <= detached.items()
    assert {"attachments": []} == g2disk.json("status")


def test_what_is_kept_is_private(g2disk: Command, disk: Path) -> None:
    """Nobody else can enter the run directory, and so not reach the gateway's socket."""
    directory = g2disk.run_directory

    assert 0o700 == stat.S_IMODE(directory.stat().st_mode)
    assert (directory / "1" / "nbd.sock").is_socket()


def test_a_run_directory_of_others_is_not_used(g2disk: Command, tmp_path: Path) -> None:
    """A directory that others can enter is refused, and nothing is started."""
    g2disk.ok("create", "a", "1MiB")
    g2disk.run_directory.mkdir(mode=0o755)
    done = g2disk("attach", "a", "--fuse", tmp_path / "file")

    assert 7 == done.code
    assert "G2DISK_RUN_DIR" in done.error
    assert nothing_is_left(g2disk, tmp_path / "file")


def test_a_disk_is_attached_once(g2disk: Command, disk: Path, tmp_path: Path) -> None:
    """A second attach of the same disk is refused and says where it is; nothing is left of it."""
    refused = g2disk("attach", "a", "--fuse", tmp_path / "other")

    assert 6 == refused.code
    assert str(disk) in refused.error
    assert not (tmp_path / "other").exists()
    assert 1 == len(g2disk.json("status")["attachments"])


def test_two_disks_are_attached_side_by_side(g2disk: Command, disk: Path, tmp_path: Path) -> None:
    """Each has its own gateway; detaching one leaves the other alone."""
    g2disk.ok("create", "b", "1MiB")
    g2disk.ok("attach", "b", "--fuse", tmp_path / "b.img")
    (tmp_path / "b.img").write_bytes(b"b" * (1 << 20))
    g2disk.ok("detach", "a")

    assert ["b"] == [each["disk"] for each in g2disk.json("status")["attachments"]]
    assert b"b" * (1 << 20) == (tmp_path / "b.img").read_bytes()
    g2disk.ok("detach", "b")


def test_a_file_that_was_there_comes_back(g2disk: Command, tmp_path: Path) -> None:
    """Attaching over a file hides its content; detaching shows it again and leaves the file."""
    file = tmp_path / "file"
    file.write_text("what was there")
    g2disk.ok("create", "a", "1MiB")
    g2disk.ok("attach", "a", "--fuse", file)
    assert 1 << 20 == file.stat().st_size
    g2disk.ok("detach", file)

    assert "what was there" == file.read_text()


def test_a_read_only_attachment_takes_no_writes(g2disk: Command, tmp_path: Path) -> None:
    """--read-only holds down to the file."""
    file = tmp_path / "file"
    g2disk.ok("create", "a", "1MiB")
    assert g2disk.json("attach", "a", "--fuse", file, "--read-only")["read_only"] is True

    with pytest.raises(PermissionError), file.open("r+b", buffering=0) as opened:
        opened.write(bytes(512))
    g2disk.ok("detach", "a")
    assert nothing_is_left(g2disk, file)


@as_root
def test_a_mounted_disk_is_not_detached(g2disk: Command, disk: Path, tmp_path: Path) -> None:
    """The refusal names the loop device and the mount point, and everything goes on working."""
    subprocess.run(["mkfs.ext4", "-q", disk], check=True, timeout=50)
    with mounted(disk, tmp_path / "a b"):
        refused = g2disk("detach", "a")
        (tmp_path / "a b" / "file").write_text("still works")

    assert 6 == refused.code
    assert f"mounted on {tmp_path}/a b" in refused.error
    assert "/dev/loop" in refused.error
    g2disk.ok("detach", "a")


def test_a_disk_that_a_process_has_open_is_not_detached(g2disk: Command, disk: Path) -> None:
    """The refusal names the process; --force does it all the same."""
    with disk.open("rb") as opened:
        refused = g2disk("detach", "a")
        assert 6 == refused.code
        assert f"open in process {os.getpid()} " in refused.error
        assert opened.read(1)
        g2disk.ok("detach", "a", "--force")

    assert nothing_is_left(g2disk, disk)


def test_a_dead_gateway_is_shown_and_cleared_away(g2disk: Command, disk: Path) -> None:
    """When nbdkit was killed, status says so, and detach cleans up."""
    (attached,) = g2disk.json("status")["attachments"]
    os.kill(attached["gateway_pid"], signal.SIGKILL)
    wait_until("the gateway is gone", lambda: not g2disk.json("status")["attachments"][0]["alive"])

    assert "the gateway is dead" in g2disk.ok("status")
    g2disk.ok("detach", "a")
    assert nothing_is_left(g2disk, disk)


def test_a_killed_attach_can_be_detached(g2disk: Command, tmp_path: Path) -> None:
    """What an attach had started when it was killed is in its state, and detach ends it."""
    g2disk.ok("create", "a", "1MiB")
    with g2disk.start("attach", "a", "--fuse", tmp_path / "file") as process:
        state = g2disk.run_directory / "1" / "state.json"
        wait_until("the gateway is known", lambda: state.exists() and bool(json.loads(state.read_text())["gateway"]))
        process.kill()
        process.wait(50)

    assert "a" in g2disk.ok("status")
    g2disk.ok("detach", "a", "--force")
    assert nothing_is_left(g2disk, tmp_path / "file")


@pytest.mark.parametrize("moment", ["gateway", "fuse"])
def test_an_interrupted_attach_undoes_all(g2disk: Command, tmp_path: Path, moment: str) -> None:
    """Ctrl-C after the gateway, or nbdfuse, was started: no process, no file, no mount, no state."""
    g2disk.ok("create", "a", "1MiB")
    with g2disk.start("attach", "a", "--fuse", tmp_path / "file") as process:
        state = g2disk.run_directory / "1" / "state.json"
        wait_until(f"{moment} is known", lambda: state.exists() and bool(json.loads(state.read_text())[moment]))
        done = finish(process, signal.SIGINT)

    # It may have come just too late.
    if done.code == 0:
        g2disk.ok("detach", "a")
    else:
        assert (130, "interrupted") == (done.code, done.error)
    assert nothing_is_left(g2disk, tmp_path / "file")


def test_a_gateway_that_cannot_start_is_one_error(g2disk: Command, tmp_path: Path) -> None:
    """What nbdkit says is in the message, and nothing is left."""
    g2disk.ok("create", "a", "1MiB")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "nbdkit").write_text("#!/bin/sh\necho 'nbdkit: error: no luck today' >&2\nexit 1\n")
    (programs / "nbdkit").chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    done = g2disk("attach", "a", "--fuse", tmp_path / "file", "--via", "nbdkit", env={"PATH": path})

    assert 10 == done.code
    assert "no luck today" in done.error
    assert nothing_is_left(g2disk, tmp_path / "file")


def test_a_program_that_is_missing_is_named_with_its_package(g2disk: Command, tmp_path: Path) -> None:
    """Before anything is started."""
    g2disk.ok("create", "a", "1MiB")
    done = g2disk("attach", "a", "--fuse", tmp_path / "file", env={"PATH": str(tmp_path)})

    assert 11 == done.code
    assert "apt-get install libnbd-bin" in done.error
    assert nothing_is_left(g2disk, tmp_path / "file")


def test_data_that_cannot_be_stored_is_not_lost_in_silence(tmp_path: Path) -> None:
    """With the server gone, detach fails and says so; --force gives up."""
    file = tmp_path / "file"
    with attached_to_dying(tmp_path, file) as (g2disk, server):
        descriptor = os.open(file, os.O_RDWR)
        os.write(descriptor, b"x" * 4096)
        os.close(descriptor)
        server.process.kill()

        refused = g2disk("detach", "a")
        assert 10 == refused.code
        assert "--force" in refused.error
        assert is_mounted(file)

        g2disk.ok("detach", "a", "--force")
        assert nothing_is_left(g2disk, file)


@contextmanager
def attached_to_dying(directory: Path, file: Path) -> Iterator[tuple[Command, Server]]:
    """A disk "a" whose requests wait a second only for the server."""
    with (
        target_server(directory, "memory:", "--disk", "a=1MiB") as server,
        Command.in_directory(server.endpoint) as g2disk,
    ):
        g2disk.ok("attach", "a", "--fuse", file, "--timeout", "1")
        yield g2disk, server


def test_an_endpoint_with_a_relative_path_works(tmp_path: Path) -> None:
    """The gateway runs elsewhere, and finds the server's socket all the same."""
    with (
        target_server(tmp_path, "memory:", "--disk", "a=1MiB", listen=f"unix:{tmp_path}/sock"),
        Command.in_directory("unix:sock") as g2disk,
    ):
        g2disk.ok("attach", "a", "--fuse", "file", cwd=tmp_path)
        assert 1 << 20 == (tmp_path / "file").stat().st_size
        g2disk.ok("detach", "file", cwd=tmp_path)


def test_a_kernel_without_nbd_is_told_of_fuse(g2disk: Command) -> None:
    """Where there are no devices, the message offers what works."""
    if Path("/sys/block/nbd0").exists():
        pytest.skip("this kernel has nbd; tests/vm has the devices")
    g2disk.ok("create", "a", "1MiB")
    done = g2disk("attach", "a")

    assert done.code in (7, 11)
    assert "--fuse FILE" in done.error
