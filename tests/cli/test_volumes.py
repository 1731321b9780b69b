"""Disks on an object store as a person has them: serve, create, fill, stop, start elsewhere, keys, sizes."""

from __future__ import annotations

import os
import pty
import re
import signal
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from g2disk.stores.figures import FIGURES
from tests.cli.command import PATIENCE, Command
from tests.docs.test_docs import free_port
from tests.support.object_servers import NewBucket, make_bucket, moto
from tests.support.processes import ROOT, Server, target_server, wait_until

pytestmark = pytest.mark.timeout(240)  # each starts several servers

MIB = 1 << 20


@contextmanager
def serving(
    path: Path, *options: str, journal: str = "journal", env: Mapping[str, str] | None = None, store: str = ""
) -> Iterator[tuple[Command, Server]]:
    """The command with a server of volumes in `path`, or in `store`, behind it."""
    arguments = [
        store or f"objects:{path}/store",
        "--journal",
        f"{path}/{journal}",
        "--journal-size",
        "64MiB",
        *options,
    ]
    with target_server(path, *arguments, env=env) as server, Command.in_directory(server.endpoint) as command:
        yield command, server


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A file of 5 MiB, with a hole of one."""
    seeded = Random(1)
    file = tmp_path / "data"
    file.write_bytes(seeded.randbytes(3 * MIB) + bytes(MIB) + seeded.randbytes(MIB))
    return file


def exported(g2disk: Command, name: str, file: Path) -> bytes:
    g2disk.ok("export", name, file, "--force")
    return file.read_bytes()[: 5 * MIB]


def test_a_killed_server_loses_nothing_that_was_flushed(tmp_path: Path, data: Path) -> None:
    """Also when nothing of it is in the store yet; the next server finds it in the journal."""
    with serving(tmp_path) as (g2disk, server):
        g2disk.ok("import", data, "a")
        server.process.kill()
    with serving(tmp_path) as (g2disk, _):
        assert data.read_bytes() == exported(g2disk, "a", tmp_path / "out")


def test_with_remote_durability_the_bucket_is_enough(tmp_path: Path, data: Path) -> None:
    """A server that knows nothing but the store has all that was flushed, and the disk is the same."""
    with serving(tmp_path, "--durability", "remote") as (g2disk, server):
        g2disk.ok("import", data, "a")
        state, identity = (g2disk.json("info", "a")[what] for what in ("state", "identity"))
        server.process.kill()
    with serving(tmp_path, journal="elsewhere") as (g2disk, _):
        assert data.read_bytes() == exported(g2disk, "a", tmp_path / "out")
        assert identity == g2disk.json("info", "a")["identity"]
    assert (0, "store", "remote") == (state["unstored_bytes"], state["flush_means"], state["durability"])


def test_a_bucket_on_s3_is_enough_and_costs_what_is_said(tmp_path: Path, data: Path, s3: NewBucket) -> None:
    """As above with S3; every request is counted, and estimated in dollars."""
    store = s3()
    with serving(tmp_path, "--durability", "remote", store=store) as (g2disk, server):
        g2disk.ok("import", data, "a")
        state, told = g2disk.json("info", "a")["state"], g2disk.ok("info", "a")
        server.process.kill()
    with serving(tmp_path, journal="elsewhere", store=store) as (g2disk, _):
        assert data.read_bytes() == exported(g2disk, "a", tmp_path / "out")

    assert state["put_bytes"] > 4 * MIB
    assert 0 < state["cost_dollars"] < 0.01
    assert re.search(r"requests +\d+ PUT \(4.*MiB\), \d+ GET.*, about \$0\.00\d\d, since", told)


def test_an_outage_of_the_store_is_told_while_it_lasts(tmp_path: Path, data: Path, aws_environment: None) -> None:
    """Writes go on, info names the cause and what is not stored; afterwards all is well again, without a word."""
    with moto(tmp_path) as (endpoint, process):
        make_bucket(endpoint, "disks")
        with serving(tmp_path, store=f"s3://disks/here?endpoint={endpoint}&timeout=1") as (g2disk, _):
            g2disk.ok("create", "a", "5MiB")
            assert re.search(r"state +good", g2disk.ok("info", "a"))
            process.popen.send_signal(signal.SIGSTOP)
            g2disk.ok("import", data, "a", "--force")
            wait_until("trouble is told", lambda: bool(g2disk.json("info", "a")["state"]["trouble"]))
            told = g2disk.ok("info", "a")
            process.popen.send_signal(signal.SIGCONT)
            wait_until("all is stored", lambda: g2disk.json("info", "a")["state"]["unstored_bytes"] == 0)
            assert re.search(r"state +good", g2disk.ok("info", "a"))

    assert re.search(r"state +the store cannot be used for \d+ s: .", told)
    assert re.search(r"not in the store +4MiB, the oldest written \d", told)


def test_snapshots_clones_and_rollbacks_hold_on_a_volume(tmp_path: Path, data: Path) -> None:
    """Through a restart, too; what a clone needs is not deleted."""
    old, new = data.read_bytes(), tmp_path / "new"
    new.write_bytes(Random(2).randbytes(5 * MIB))
    with serving(tmp_path) as (g2disk, _):
        g2disk.ok("import", data, "a")
        g2disk.ok("snapshot", "create", "a@monday")
        g2disk.ok("import", new, "a", "--force")
        g2disk.ok("clone", "a@monday", "b")
        refused = g2disk("snapshot", "delete", "a@monday", "--yes")
        assert 6 == refused.code
    with serving(tmp_path) as (g2disk, _):
        assert old == exported(g2disk, "a@monday", tmp_path / "out")
        assert old == exported(g2disk, "b", tmp_path / "out")
        assert new.read_bytes() == exported(g2disk, "a", tmp_path / "out")
        g2disk.ok("rollback", "a@monday", "--yes")
        assert old == exported(g2disk, "a", tmp_path / "out")
        assert {"deleted": "b"} == g2disk.json("delete", "b", "--yes")
        assert "deleted a@monday\n" == g2disk.ok("snapshot", "delete", "a@monday", "--yes")


def test_an_encrypted_disk_opens_with_its_key_alone(tmp_path: Path, data: Path) -> None:
    """Without a key, or with another, nothing is shown or changed; nothing of the data is plain in the store."""
    key, other = tmp_path / "key", tmp_path / "other"
    key.write_text("0123456789abcdef" * 4)
    other.write_bytes(bytes(range(32)))
    with serving(tmp_path, "--key-file", str(key)) as (g2disk, _):
        assert "encrypted" in g2disk.ok("create", "a", "5MiB", "--encrypt", "--compression", "zstd")
        g2disk.ok("import", data, "a", "--force")
        assert g2disk.json("info", "a")["state"]["encrypted"] is True
    before = files_below(tmp_path / "store")
    for options in ([], ["--key-file", str(other)]):
        with serving(tmp_path, *options) as (g2disk, _):
            refused = g2disk("info", "a")
            assert refused.code in (3, 7)
            assert "key" in refused.error
            assert 3 == g2disk("create", "b", "1MiB", "--encrypt").code or options
    assert before.keys() <= files_below(tmp_path / "store").keys()
    piece = data.read_bytes()[: 1 << 12]
    assert not [name for name, content in before.items() if piece in content]
    with serving(tmp_path, "--key-env", "DISK_KEY", env={"DISK_KEY": key.read_text()}) as (g2disk, _):
        assert data.read_bytes() == exported(g2disk, "a", tmp_path / "out")


def files_below(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_the_passphrase_of_a_disk_can_change(tmp_path: Path, data: Path) -> None:
    """The old one opens nothing any more, the new one does; a wrong one changes nothing; asked twice, it is done."""
    first, second, wrong = (tmp_path / name for name in ("first", "second", "wrong"))
    first.write_text("correct horse\n")
    second.write_text("battery staple")
    wrong.write_text("incorrect horse")
    alone, store = Command({}), f"objects:{tmp_path}/store"
    with serving(tmp_path, "--passphrase-file", str(first)) as (g2disk, _):
        g2disk.ok("create", "a", "5MiB", "--encrypt")
        g2disk.ok("import", data, "a", "--force")
        g2disk.ok("create", "plain", "1MiB")
        journal = ["--journal", f"{tmp_path}/journal"]
        rekey = ["rekey", store, *journal, "--new-passphrase-file", str(second), "--passphrase-file"]
        assert 6 == alone(*rekey, first).code  # the server has it open
    assert 7 == alone(*rekey, wrong).code
    assert 3 == alone("rekey", store, "plain", *rekey[2:], first).code
    assert {"changed": ["a"]} == alone.json(*rekey, first)
    assert {"changed": []} == alone.json(*rekey, first)
    with serving(tmp_path, "--passphrase-file", str(first)) as (g2disk, _):
        assert 7 == g2disk("info", "a").code
    with serving(tmp_path, "--passphrase-file", str(second)) as (g2disk, _):
        assert data.read_bytes() == exported(g2disk, "a", tmp_path / "out")


def test_a_volume_shrinks_when_asked_twice(tmp_path: Path) -> None:
    """The first time with --shrink says what would be lost; growing brings zeroes."""
    with serving(tmp_path, "--disk", "a=5MiB") as (g2disk, _):
        assert "--shrink" in g2disk("resize", "a", "2MiB").error
        assert "once more" in g2disk("resize", "a", "2MiB", "--shrink").error
        assert 5 * MIB == g2disk.json("info", "a")["size"]
        assert 2 * MIB == g2disk.json("resize", "a", "2MiB", "--shrink")["size"]
        assert 8 * MIB == g2disk.json("resize", "a", "8MiB")["size"]


def test_a_store_served_read_only_is_not_touched(tmp_path: Path, data: Path) -> None:
    """Everything can be read, nothing changes, and the server that writes goes on."""
    with serving(tmp_path, "--durability", "remote") as (writer, _):
        writer.ok("import", data, "a")
        writer.ok("snapshot", "create", "a@monday")
        (tmp_path / "reader").mkdir()
        with target_server(tmp_path / "reader", f"objects:{tmp_path}/store", "--read-only") as server:
            reader = Command({"G2DISK_ENDPOINT": server.endpoint})
            before = files_below(tmp_path / "store")
            assert data.read_bytes() == exported(reader, "a", tmp_path / "out")
            assert data.read_bytes() == exported(reader, "a@monday", tmp_path / "out")
            for change in (["create", "b", "1MiB"], ["snapshot", "create", "a@b"], ["delete", "a", "--yes"]):
                assert 8 == reader(*change).code
            assert before == files_below(tmp_path / "store")
        writer.ok("import", data, "a", "--force")


def test_info_metrics_and_map_of_a_volume(tmp_path: Path, data: Path) -> None:
    """Every figure is told; the map shows what is written and in which segments."""
    port = free_port()
    with serving(tmp_path, "--metrics", f"127.0.0.1:{port}", "--durability", "remote") as (g2disk, _):
        g2disk.ok("import", data, "a")
        assert {figure.name for figure in FIGURES} == set(g2disk.json("info", "a")["state"])
        assert re.search(r"not in the store +nothing", g2disk.ok("info", "a"))
        drawn = g2disk.json("map", "a")
        assert 4 * MIB == sum(cell["written"] for cell in drawn["cells"])
        blocks = [segment for segment in drawn["segments"] if not segment["is_map"]]
        assert 4 * MIB == 4096 * sum(segment["live"] for segment in blocks)
        assert "segments" in g2disk.ok("map", "a")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as reply:
            text = reply.read().decode()

    for figure in FIGURES:
        name = f"g2disk_disk_{figure.name}{'_total' if figure.kind == 'counter' else ''}"
        assert figure.kind == "text" or f'\n{name}{{disk="a"}} ' in text, name


def test_the_documented_figures_are_those_that_there_are() -> None:
    """The table in docs/volumes.md has every figure with its kind and meaning, and no other."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+) \|$", (ROOT / "docs" / "volumes.md").read_text(), re.MULTILINE)

    assert [(figure.name, figure.kind, figure.meaning) for figure in FIGURES] == rows


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--disk", "a=1MiB", "--durability", "both"], 3, "journal or remote"),
        (["--key-file", "/nowhere"], 4, "/nowhere"),
        (["--key-env", "NO_SUCH_KEY"], 3, "NO_SUCH_KEY"),
        (["--key-env", "SHORT_KEY"], 3, "64 hex digits"),
        (["--passphrase-file", "-"], 7, "--passphrase-file"),
        (["--passphrase-file", "/dev/null"], 3, "empty"),
        (["--key-file", "/dev/null"], 3, "openssl rand"),
        (["--cache-size", "much"], 3, "not a size"),
        (["--journal", "/dev/null"], 5, "/dev/null"),
        (["--cache", "/proc/nothing"], 4, "/proc/nothing"),
    ],
)
def test_options_that_cannot_be_are_said_before_anything_is_served(
    tmp_path: Path, arguments: list[str], code: int, says: str
) -> None:
    """One line, with the way out, and no store is made."""
    environment = {"SHORT_KEY": "0123456789abcdef" * 2}
    done = Command(environment)("serve", f"objects:{tmp_path}/store", "--listen", f"unix:{tmp_path}/s", *arguments)

    assert code == done.code
    assert says in done.error
    assert not (tmp_path / "store").exists()


def test_a_passphrase_is_asked_for_on_a_terminal(tmp_path: Path) -> None:
    """It is not shown, and a new one has to be typed in twice."""
    with serving(tmp_path) as (g2disk, _):
        g2disk.ok("create", "a", "1MiB")
    ours, theirs = pty.openpty()
    arguments = ["rekey", f"objects:{tmp_path}/store", "a", "--passphrase-file", "-", "--new-passphrase-file", "-"]
    with Command({}).start(*arguments, stdin=theirs, stderr=theirs, start_new_session=True) as process:
        os.close(theirs)
        try:
            shown = ""
            for prompt, answer in (
                ("Present passphrase: ", "old horse"),
                ("New passphrase: ", "new horse"),
                ("confirmation: ", "new horse"),
            ):
                shown += wait_for(ours, prompt)
                os.write(ours, f"{answer}\n".encode())
            shown += wait_for(ours, "not encrypted")
            assert 3 == process.wait(PATIENCE)
        finally:
            process.kill()
            os.close(ours)

    assert "horse" not in shown


def wait_for(terminal: int, text: str) -> str:
    """Everything that is shown until `text` is."""
    shown = ""
    while text not in shown:
        shown += os.read(terminal, 1 << 16).decode()
    return shown
