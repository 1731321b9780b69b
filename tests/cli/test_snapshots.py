"""snapshot, clone, rollback, map, and the state that info and metrics tell."""

from __future__ import annotations

import re
import struct
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from xml.etree import ElementTree

import pytest

from g2disk.stores.figures import FIGURES
from tests.cli.command import Command
from tests.docs.test_docs import free_port
from tests.support.processes import ROOT, target_server

STORE = f"{ROOT}/tests/support/keeping_store.py:KeepingStore"


@contextmanager
def serving(directory: Path) -> Iterator[Command]:
    """The command, with a server of one disk, "a", behind it, which keeps snapshots."""
    with target_server(directory, STORE, "--disk", "a=4MiB") as server, Command.in_directory(server.endpoint) as g2disk:
        yield g2disk


@pytest.fixture
def g2disk(tmp_path: Path) -> Iterator[Command]:
    """The command, with a server of its own."""
    with serving(tmp_path) as command:
        yield command


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """With a snapshot, a@kept, and a clone of it: for all that changes nothing, as it is refused."""
    with serving(tmp_path_factory.mktemp("refusing")) as command:
        command.ok("snapshot", "create", "a@kept")
        command.ok("clone", "a@kept", "clone")
        yield command


def write(g2disk: Command, name: str, data: bytes, file: Path) -> None:
    file.write_bytes(data)
    g2disk.ok("import", file, name, "--force")


def read(g2disk: Command, name: str, file: Path) -> bytes:
    g2disk.ok("export", name, file, "--force")
    return file.read_bytes()


def test_a_snapshot_is_made_listed_and_deleted(g2disk: Command) -> None:
    """What create made, list shows with its size, until delete."""
    assert "created a@monday, 4MiB (4194304 bytes)\n" == g2disk.ok("snapshot", "create", "a@monday")
    assert ["monday"] == [entry["name"] for entry in g2disk.json("snapshot", "list", "a")["snapshots"]]
    assert re.fullmatch(
        r"monday +2025-06-1[456] ..:..:.. +4MiB +0 *", g2disk.ok("snapshot", "list", "a").splitlines()[1]
    )

    assert "deleted a@monday\n" == g2disk.ok("snapshot", "delete", "a@monday", "--yes")
    assert {"snapshots": []} == g2disk.json("snapshot", "list", "a")


def test_no_snapshots_are_no_error(g2disk: Command) -> None:
    """A list of nothing says what to do, on standard error."""
    done = g2disk("snapshot", "list", "a")

    assert (0, "") == (done.code, done.out)
    assert "g2disk snapshot create a@SNAPSHOT" in done.err


def test_clones_and_rollbacks_bring_back_what_a_snapshot_holds(g2disk: Command, tmp_path: Path) -> None:
    """Old bytes in the snapshot, in its clone, and after a rollback in the disk; new ones in the disk before."""
    seeded = Random(1)
    old, new = seeded.randbytes(4 << 20), seeded.randbytes(4 << 20)
    write(g2disk, "a", old, tmp_path / "in")
    g2disk.ok("snapshot", "create", "a@monday")
    write(g2disk, "a", new, tmp_path / "in")
    assert "created b, 4MiB (4194304 bytes), a clone of a@monday\n" == g2disk.ok("clone", "a@monday", "b")

    assert old == read(g2disk, "a@monday", tmp_path / "out")
    assert old == read(g2disk, "b", tmp_path / "out")
    assert new == read(g2disk, "a", tmp_path / "out")
    assert "a" == g2disk.json("rollback", "a@monday", "--yes")["name"]
    assert old == read(g2disk, "a", tmp_path / "out")


def test_a_snapshot_is_attached_read_only(g2disk: Command, tmp_path: Path) -> None:
    """The file of an attached snapshot takes no writes, and holds its bytes."""
    g2disk.ok("snapshot", "create", "a@monday")
    file = tmp_path / "monday.raw"
    g2disk.ok("attach", "a@monday", "--fuse", file)
    try:
        assert bytes(4096) == file.read_bytes()[:4096]
        assert 0 == file.stat().st_mode & 0o222
        assert g2disk.json("status")["attachments"][0]["read_only"] is True
    finally:
        g2disk.ok("detach", "a@monday")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["snapshot"], 2, "g2disk snapshot --help"),
        (["snapshot", "nonsense"], 2, "g2disk snapshot --help"),
        (["snapshot", "create"], 2, "g2disk snapshot create --help"),
        (["snapshot", "create", "a"], 3, "NAME@SNAPSHOT"),
        (["snapshot", "create", "a@b@c"], 3, "letters"),
        (["snapshot", "create", "nothing@b"], 4, "nothing"),
        (["snapshot", "delete", "a@nothing", "--yes"], 4, "snapshot list a"),
        (["snapshot", "delete", "a@kept", "--yes"], 6, "'clone'"),
        (["snapshot", "delete", "a@kept"], 3, "--yes"),
        (["snapshot", "create", "a@kept"], 5, "another name"),
        (["rollback", "a@kept"], 3, "--yes"),
        (["rollback", "a@nothing", "--yes"], 4, "snapshot list a"),
        (["clone", "a@kept", "clone"], 5, "already"),
        (["clone", "a", "b"], 3, "NAME@SNAPSHOT"),
        (["resize", "a@kept", "8MiB"], 3, "give NAME alone"),
        (["delete", "a@kept", "--yes"], 3, "give NAME alone"),
        (["create", "x", "1MiB", "--block-size", "big"], 3, "is not a size"),
        (["map", "a", "--from", "4MiB"], 3, "begin before its end"),
    ],
)
def test_what_cannot_be_is_said_with_what_can(refusing: Command, arguments: list[str], code: int, says: str) -> None:
    """One line, the exit code of its kind, and the way out."""
    done = refusing(*arguments)

    assert code == done.code
    assert says in done.error


def test_info_tells_the_state(g2disk: Command) -> None:
    """Where flushed data is, and what is not in the store: in words, and exact in JSON."""
    g2disk.ok("create", "x", "1MiB", "--encrypt", "--compression", "lz4", "--block-size", "16KiB")
    told = g2disk.ok("info", "x")

    assert re.search(r"flushed data is +in the journal", told)
    assert re.search(r"not in the store +1EiB, the oldest written 0.2 s ago", told)
    state = g2disk.json("info", "x")["state"]
    assert (1 << 60, True) == (state["unstored_bytes"], state["encrypted"])
    assert set(state) <= {figure.name for figure in FIGURES}


def test_metrics_tell_the_state_of_open_disks(tmp_path: Path) -> None:
    """Each figure under its name with the disk as its label, as soon as somebody has opened it."""
    port = free_port()
    metrics = ("--metrics", f"127.0.0.1:{port}")
    with target_server(tmp_path, STORE, "--disk", "a=4MiB", "--disk", "b=4MiB", *metrics) as server:
        with Command.in_directory(server.endpoint) as g2disk:
            g2disk.ok("info", "a")
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as reply:
                lines = reply.read().decode().splitlines()

    assert 'g2disk_disk_puts_total{disk="a"} 7.0' in lines
    assert 'g2disk_disk_unstored_seconds{disk="a"} 0.25' in lines
    assert any(line.startswith("g2disk_disk_info{") and 'flush_means="journal"' in line for line in lines)
    assert not [line for line in lines if 'disk="b"' in line]


def test_a_map_is_drawn_in_the_terminal_and_in_files(g2disk: Command, tmp_path: Path) -> None:
    """The same picture as characters, as SVG that tells what each part is, and as PNG."""
    drawing, pixels = tmp_path / "a.svg", tmp_path / "a.png"
    shown = g2disk.ok("map", "a").splitlines()
    said = g2disk.ok("map", "a", "--svg", drawing, "--png", pixels)

    assert "a, 4MiB: 1MiB written" == shown[0]
    assert "▓·" == shown[1]
    assert shown[0] in said
    titles = [each.text for each in ElementTree.fromstring(drawing.read_text()).iter() if each.tag.endswith("title")]
    assert "2MiB at 0: 1MiB written, in segments 1 to 2" in titles
    assert "segment 1: 1MiB stored, 50% needed" in titles
    width, height = png_size(pixels.read_bytes())
    assert f'width="{width}"' in drawing.read_text()
    assert height > 64  # the bars' part alone


def png_size(data: bytes) -> tuple[int, int]:
    """Width and height; every chunk's checksum and the length of the pixels are checked."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, at = {}, 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert struct.pack(">I", zlib.crc32(kind + body)) == data[at + 8 + length : at + 12 + length]
        chunks[kind] = body
        at += 12 + length
    width, height = struct.unpack_from(">II", chunks[b"IHDR"])
    assert height * (1 + 3 * width) == len(zlib.decompress(chunks[b"IDAT"]))
    return width, height


def test_a_disk_of_another_kind_is_drawn_by_its_extents(tmp_path: Path) -> None:
    """Of a memory disk the map shows what is written, and has no segments."""
    with target_server(tmp_path, "memory:") as server, Command.in_directory(server.endpoint) as g2disk:
        file = tmp_path / "in"
        file.write_bytes(bytes(1 << 20) + Random(2).randbytes(1 << 20))
        g2disk.ok("import", file, "m")
        drawn = g2disk.json("map", "m")
        near = g2disk.json("map", "m", "--from", "1MiB", "--length", "64KiB")

    assert ([], 2 << 20, 0) == (drawn["segments"], drawn["length"], drawn["cells"][0]["written"])
    assert 1 << 20 == sum(cell["written"] for cell in drawn["cells"])
    assert (1 << 20, 64 << 10) == (near["offset"], sum(cell["written"] for cell in near["cells"]))


def test_an_option_for_object_stores_is_refused_elsewhere(g2disk: Command) -> None:
    """serve with a journal, a cache or a key for a store that has none of them says so, and does not serve."""
    done = g2disk("serve", "memory:", "--cache-size", "5GiB")

    assert 3 == done.code
    assert "--cache-size is for disks on an object store" in done.error
