"""import and export."""

from __future__ import annotations

import os
import pty
import random
import resource
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from g2disk.units import GIB, KIB, MIB
from tests.cli.command import Command, finish
from tests.support.processes import Server, target_server, wait_until

STORES = Path(__file__).with_name("stores.py")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="loop devices and mounts take root")


def sparse_file(path: Path, seed: int = 1, size: int = 300 * MIB + 12_345) -> Path:
    """A file of an odd size, with data in a few places and written zeroes in one."""
    rng = random.Random(seed)
    with path.open("wb") as file:
        file.truncate(size)
        for place in (0, 200 * MIB + 4096, size - 5000):
            file.seek(place)
            file.write(rng.randbytes(5000))
        file.seek(MIB)
        file.write(bytes(8 * MIB))
    return path


def allocated(path: Path) -> int:
    return path.stat().st_blocks * 512


def same(one: Path, other: Path) -> bool:
    """Whether the first file's bytes, and zeroes behind them, are the other's."""
    extra = other.stat().st_size - one.stat().st_size
    compared = subprocess.run(["cmp", f"--bytes={one.stat().st_size}", one, other], timeout=50)
    return compared.returncode == 0 and 0 <= extra < 512


@contextmanager
def misbehaving(directory: Path, store: str) -> Iterator[tuple[Command, Server]]:
    with (
        target_server(directory, f"{STORES}:{store}") as server,
        Command.in_directory(server.endpoint) as command,
    ):
        yield command, server
        server.process.kill()  # asked to end, it would wait for what is stuck


def test_a_sparse_file_comes_back_the_same_and_as_sparse(g2disk: Command, tmp_path: Path) -> None:
    """Import and export keep the bytes; holes and zeroes take no space in the store or in the file."""
    original, copy = sparse_file(tmp_path / "original"), tmp_path / "copy"
    imported = g2disk.json("import", original, "a")
    exported = g2disk.json("export", "a", copy)

    assert same(original, copy)
    assert allocated(copy) <= MIB
    size = imported["size"]
    assert {"file": str(original), "disk": "a", "size": size, "data": imported["data"], "verified": True} == imported
    assert (300 * MIB + 12_800, True) == (size, exported["verified"])
    assert 15_000 <= imported["data"] <= 16 * MIB
    assert g2disk.json("info", "a")["allocated"] <= MIB


def test_a_file_store_keeps_an_import_sparse(tmp_path: Path) -> None:
    """The same through files."""
    original, copy = sparse_file(tmp_path / "original"), tmp_path / "copy"
    store = tmp_path / "store"
    with target_server(tmp_path, f"file:{store}") as server, Command.in_directory(server.endpoint) as g2disk:
        g2disk.ok("import", original, "a")
        assert g2disk.json("info", "a")["allocated"] <= MIB
        g2disk.ok("export", "a", copy)

    assert same(original, copy)
    assert allocated(copy) <= MIB


def test_a_disk_that_is_there_is_overwritten_only_by_force(g2disk: Command, tmp_path: Path) -> None:
    """Without --force nothing changes; with it the disk is the file, and zeroes behind it."""
    old, new, back = tmp_path / "old", tmp_path / "new", tmp_path / "back"
    old.write_bytes(b"\xff" * (3 * MIB))
    new.write_bytes(b"a" * 512 + bytes(MIB) + b"b" * 512)
    g2disk.ok("import", old, "a")

    refused = g2disk("import", new, "a")
    g2disk.ok("export", "a", back)
    assert 5 == refused.code
    assert "--force" in refused.error
    assert old.read_bytes() == back.read_bytes()

    g2disk.ok("import", new, "a", "--force")
    g2disk.ok("export", "a", back, "--force")
    assert new.read_bytes().ljust(3 * MIB, b"\0") == back.read_bytes()


def test_a_disk_that_is_too_small_is_not_touched(g2disk: Command, tmp_path: Path) -> None:
    """A file that does not fit is refused before anything is written."""
    small, large, back = tmp_path / "small", tmp_path / "large", tmp_path / "back"
    small.write_bytes(b"a" * 512)
    large.write_bytes(b"b" * 1024)
    g2disk.ok("import", small, "a")
    refused = g2disk("import", large, "a", "--force")

    assert 3 == refused.code
    assert "g2disk resize a" in refused.error
    g2disk.ok("export", "a", back)
    assert small.read_bytes() == back.read_bytes()


def test_a_file_that_is_there_is_overwritten_only_by_force(g2disk: Command, tmp_path: Path) -> None:
    """Without --force the file stays; with it, what it held is replaced as a whole, through a link too."""
    g2disk.ok("create", "a", "1KiB")
    there, link = tmp_path / "there", tmp_path / "link"
    there.write_text("precious")
    link.symlink_to(there)

    refused = g2disk("export", "a", there)
    assert (5, "precious") == (refused.code, there.read_text())

    g2disk.ok("export", "a", link, "--force")
    assert link.is_symlink()
    assert bytes(1024) == there.read_bytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_an_interrupted_import_leaves_no_disk(tmp_path: Path, number: signal.Signals) -> None:
    """The half filled disk is deleted again."""
    (tmp_path / "file").write_bytes(b"x" * MIB)
    with misbehaving(tmp_path, "StuckWriting") as (g2disk, server):
        with g2disk.start("import", tmp_path / "file", "a", "--timeout", "3") as process:
            wait_until("a write is under way", lambda: "stuck" in server.process.log_text(), server.process)
            done = finish(process, number)

        assert 128 + number == done.code
        assert done.err.endswith("g2disk: error: interrupted\n")
        assert [] == g2disk.json("list")["disks"]


def test_an_interrupted_import_by_force_says_what_is_left(tmp_path: Path) -> None:
    """What is half overwritten cannot be restored, so it is named."""
    (tmp_path / "file").write_bytes(b"x" * MIB)
    with misbehaving(tmp_path, "StuckWriting") as (g2disk, server):
        g2disk.ok("create", "a", "1MiB")
        with g2disk.start("import", tmp_path / "file", "a", "--force", "--timeout", "3") as process:
            wait_until("a write is under way", lambda: "stuck" in server.process.log_text(), server.process)
            done = finish(process, signal.SIGINT)

    assert 130 == done.code
    assert "note: the disk 'a' holds only a part" in done.err


def test_an_interrupted_export_leaves_no_file(tmp_path: Path) -> None:
    """Neither the file nor a part of it under another name; one that was there before stays."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "there").write_text("precious")
    with misbehaving(tmp_path, "StuckReading") as (g2disk, server):
        (tmp_path / "file").write_bytes(b"x" * MIB)
        g2disk.ok("import", tmp_path / "file", "a", "--no-verify")
        with g2disk.start("export", "a", out / "there", "--force") as process:
            wait_until("a read is under way", lambda: "stuck" in server.process.log_text(), server.process)
            done = finish(process, signal.SIGINT)

    assert 130 == done.code
    assert [("there", "precious")] == [(path.name, path.read_text()) for path in out.iterdir()]


def test_a_server_that_goes_away_ends_an_export_in_one_error(tmp_path: Path) -> None:
    """No part of a file is left when the other end dies."""
    with misbehaving(tmp_path, "StuckReading") as (g2disk, server):
        (tmp_path / "file").write_bytes(b"x" * MIB)
        g2disk.ok("import", tmp_path / "file", "a", "--no-verify")
        with g2disk.start("export", "a", tmp_path / "copy", "--timeout", "3") as process:
            wait_until("a read is under way", lambda: "stuck" in server.process.log_text(), server.process)
            server.process.kill()
            done = finish(process)

    assert 10 == done.code
    assert not list(tmp_path.glob("*copy*"))


def test_a_disk_that_reads_back_wrong_is_an_error(tmp_path: Path) -> None:
    """What was written is compared: a store that loses a bit is caught, and the disk deleted."""
    (tmp_path / "file").write_bytes(b"x" * MIB)
    with misbehaving(tmp_path, "Forgetful") as (g2disk, _):
        wrong = g2disk("import", tmp_path / "file", "a", "--json")
        assert [] == g2disk.json("list")["disks"]
        unverified = g2disk.json("import", tmp_path / "file", "a", "--no-verify")

    assert (13, "") == (wrong.code, wrong.out)
    assert "differs from the original" in wrong.err.splitlines()[-1]
    assert unverified["verified"] is False


def test_a_file_that_its_directory_cannot_hold_is_refused_at_once(g2disk: Command, tmp_path: Path) -> None:
    """The file system's limit is named before anything is copied, and nothing is left."""
    g2disk.ok("create", "giant", "8EiB")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (GIB, GIB))

    done = g2disk("export", "giant", tmp_path / "copy", preexec_fn=limit)

    assert 3 == done.code
    assert "XFS" in done.error
    assert not list(tmp_path.glob("*copy*"))


@as_root
def test_a_full_file_system_is_one_error_and_no_file(g2disk: Command, tmp_path: Path) -> None:
    """Out of space has its own exit code, and what was written so far is removed."""
    small = tmp_path / "small"
    small.mkdir()
    (tmp_path / "file").write_bytes(random.Random(1).randbytes(4 * MIB))
    g2disk.ok("import", tmp_path / "file", "a")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], check=True, timeout=50)
    try:
        done = g2disk("export", "a", small / "copy")
        left = list(small.iterdir())
    finally:
        subprocess.run(["umount", small], check=True, timeout=50)

    assert 9 == done.code
    assert "No space left" in done.err.splitlines()[-1]
    assert [] == left


@contextmanager
def loop_device(file: Path) -> Iterator[Path]:
    made = subprocess.run(
        ["losetup", "--find", "--show", file], check=True, stdout=subprocess.PIPE, timeout=50, text=True
    )
    try:
        yield Path(made.stdout.strip())
    finally:
        subprocess.run(["losetup", "--detach", made.stdout.strip()], check=True, timeout=50)


@as_root
def test_block_devices_are_imported_and_exported(g2disk: Command, tmp_path: Path) -> None:
    """A device is copied like a file; exporting to one takes --force, and zeroes what is a hole."""
    content = random.Random(1).randbytes(MIB) + bytes(MIB) + random.Random(2).randbytes(MIB)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(content)
    target.write_bytes(b"\xff" * (4 * MIB))
    with loop_device(source) as device:
        assert 2 * MIB <= g2disk.json("import", device, "a")["data"] < 3 * MIB
    with loop_device(target) as device:
        refused = g2disk("export", "a", device)
        g2disk.ok("export", "a", device, "--force")

    assert 5 == refused.code
    assert content + b"\xff" * MIB == target.read_bytes()


@as_root
def test_a_device_that_is_too_small_or_mounted_is_not_overwritten(g2disk: Command, tmp_path: Path) -> None:
    """Both are refused before anything is written."""
    small, mounted, where = tmp_path / "small", tmp_path / "mounted", tmp_path / "where"
    where.mkdir()
    g2disk.ok("create", "a", "4MiB")
    small.write_bytes(b"\xff" * MIB)
    with loop_device(small) as device:
        too_small = g2disk("export", "a", device, "--force")
    with mounted.open("wb") as file:
        file.truncate(16 * MIB)
    subprocess.run(["mkfs.ext4", "-q", mounted], check=True, timeout=50)
    with loop_device(mounted) as device:
        subprocess.run(["mount", device, where], check=True, timeout=50)
        try:
            in_use = g2disk("export", "a", device, "--force")
        finally:
            subprocess.run(["umount", where], check=True, timeout=50)

    assert (3, b"\xff" * MIB) == (too_small.code, small.read_bytes())
    assert 6 == in_use.code
    assert "mounted" in in_use.error
    subprocess.run(["e2fsck", "-fn", mounted], check=True, timeout=50, stdout=subprocess.DEVNULL)


def test_progress_is_lines_where_there_is_no_terminal(g2disk: Command, tmp_path: Path) -> None:
    """A line at every tenth, with rate and time to go; nothing of it on standard output."""
    (tmp_path / "file").write_bytes(b"x" * (10 * MIB))
    done = g2disk("import", tmp_path / "file", "a")

    assert f"imported {tmp_path}/file to a: 10MiB, 10MiB of it data, verified\n" == done.out
    lines = done.err.splitlines()
    assert 20 == len(lines)
    assert lines[4].startswith(f"g2disk: importing {tmp_path}/file: 50% of 10MiB, ")
    assert lines[4].endswith(" s to go")


def test_progress_is_a_bar_on_a_terminal(g2disk: Command, tmp_path: Path) -> None:
    """It shows percent, rate and the time that is left."""
    (tmp_path / "file").write_bytes(b"x" * (4 * MIB))
    ours, theirs = pty.openpty()
    shown = bytearray()
    with g2disk.start(
        "import", tmp_path / "file", "a", stderr=theirs, env={"TERM": "xterm", "COLUMNS": "120"}
    ) as process:
        os.close(theirs)
        while chunk := read_terminal(ours):
            shown += chunk
        assert 0 == process.wait(50)
    os.close(ours)

    text = shown.decode()
    assert "importing" in text
    assert "100%" in text
    assert "/s" in text
    assert "0:00:00" in text


def read_terminal(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4 * KIB)
    except OSError:  # the other end was closed
        return b""
