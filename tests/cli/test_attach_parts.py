"""What attach is built on: processes that outlive us, the directory of attachments, and who uses what."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from g2disk.attach.detachment import detach
from g2disk.attach.processes import Process, last_error, run, start
from g2disk.attach.records import Attachment, RunDirectory, Slot
from g2disk.attach.release import forget
from g2disk.attach.usage import mounted_at, openers
from g2disk.clock import SystemClock
from g2disk.errors import Busy, Corrupt, Denied, Unavailable, Unsupported
from tests.support.processes import wait_until


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Process]:
    """A process that was started to outlive us."""
    process = start(["sleep", "1000"], tmp_path / "log")
    yield process
    if process.is_alive():
        os.kill(process.pid, signal.SIGKILL)


def attachment(disk: str = "a") -> Attachment:
    return Attachment(disk=disk, endpoint="127.0.0.1:1", identity=disk, size=512, read_only=False, kind="fuse")


def test_a_started_process_is_nobodys_child(sleeper: Process) -> None:
    """Another session, another parent and the root directory: nothing that ends with us, or that we block, is its."""
    # The launcher waits until its own end before it becomes the command.
    wait_until("sleep runs", lambda: Path(f"/proc/{sleeper.pid}/comm").read_text() == "sleep\n")
    fields = Path(f"/proc/{sleeper.pid}/stat").read_text().rpartition(")")[2].split()

    assert os.getpid() != int(fields[1])
    assert sleeper.pid == int(fields[3])
    assert "/" == os.readlink(f"/proc/{sleeper.pid}/cwd")
    assert sleeper.is_alive()


async def test_a_process_is_ended(sleeper: Process) -> None:
    """Ended means that it is gone; ending it again is nothing."""
    await sleeper.end(10)

    assert not sleeper.is_alive()
    await sleeper.end(10)


async def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """After the time that it was given."""
    process = start(["sh", "-c", "trap '' TERM; echo ready; exec sleep 1000"], tmp_path / "log")
    wait_until("the trap is set", lambda: "ready" in (tmp_path / "log").read_text())
    await process.end(0.1)

    assert not process.is_alive()


async def test_what_a_process_started_ends_with_it(tmp_path: Path) -> None:
    """A child that does not end by itself is killed."""
    script = "sh -c 'trap \"\" TERM; exec sleep 1000' & echo $!; exec sleep 1000"
    process = start(["sh", "-c", script], tmp_path / "log")
    wait_until("the child is known", lambda: (tmp_path / "log").read_text().endswith("\n"))
    child = Process.of(int((tmp_path / "log").read_text()))
    await process.end(10)

    assert not process.is_alive()
    assert not child.is_alive()


async def test_another_process_with_the_same_pid_is_left_alone(sleeper: Process) -> None:
    """A pid alone is not enough to be ended."""
    other = Process(sleeper.pid, sleeper.started + 1)
    await other.end(0.1)

    assert not other.is_alive()
    assert sleeper.is_alive()


async def test_a_command_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    """And is an error that names it."""
    pids: list[int] = []
    with pytest.raises(Unavailable, match=r"sleep did not end within 0.1 s"):
        await run(["sleep", "1000"], 0.1, on_start=pids.append)

    assert not Process.of(pids[0]).is_alive()


async def test_a_command_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With what to install."""
    with pytest.raises(Unsupported, match="no-such-program is not installed; apt-get install"):
        await run(["no-such-program"], 1)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nbdkit: error: one\nnbdkit: g2disk: error: two\nbye\n", "two"),
        ("Error: Failed to setup device, check dmesg\nExiting.\n", "Failed to setup device, check dmesg"),
        ("just this\n", "just this"),
        ("", "it said nothing"),
    ],
)
def test_the_telling_line_of_a_log_is_found(tmp_path: Path, text: str, reason: str) -> None:
    """The last line that speaks of an error, without the names before it."""
    (tmp_path / "log").write_text(text)

    assert reason == last_error(tmp_path / "log")


def test_slots_are_taken_once(tmp_path: Path) -> None:
    """Two at a time get two directories; one that was given back is used again."""
    directory = RunDirectory(tmp_path / "run")
    with directory.new() as one, directory.new() as two:
        assert [one.path.name, two.path.name] == ["1", "2"]
        one.save(attachment("a"))
        two.save(attachment("b"))
    with directory.new() as three:
        assert "3" == three.path.name
        three.remove()
    with directory.locked(tmp_path / "run" / "1") as one:
        one.remove()
    with directory.new() as again:
        assert "1" == again.path.name
    assert ["b"] == [found.disk for _, found in directory.all()]


def test_an_attachment_is_changed_by_one_command_at_a_time(tmp_path: Path) -> None:
    """The second one is told to wait."""
    directory = RunDirectory(tmp_path / "run")
    with directory.new() as slot:
        slot.save(attachment())
        with pytest.raises(Busy, match="another g2disk command"), directory.locked(slot.path):
            pass


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    """Every field comes back, and damage is an error that says where."""
    slot = Slot(tmp_path)
    full = msgspec.structs.replace(attachment(), target="/x", gateway=Process(1, 2), made_file=True, backend="7")
    slot.save(full)

    assert full == slot.load()
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(Corrupt, match=r"state\.json is damaged"):
        slot.load()


def test_a_damaged_attachment_keeps_nobody_from_the_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is left out, and the log says which it is."""
    directory = RunDirectory(tmp_path / "run")
    for disk in ("a", "b"):
        with directory.new() as slot:
            slot.save(attachment(disk))
    (tmp_path / "run" / "1" / "state.json").write_text('{"timeout": null}')

    assert ["b"] == [found.disk for _, found in directory.all()]
    assert "1/state.json is damaged" in caplog.text


def test_a_link_is_no_run_directory(tmp_path: Path) -> None:
    """Who can put a link there could lead us anywhere."""
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "run").symlink_to(tmp_path / "real")

    with pytest.raises(Denied, match="G2DISK_RUN_DIR"), RunDirectory(tmp_path / "run").new():
        pass


def test_who_has_a_file_open_is_found(tmp_path: Path, sleeper: Process) -> None:
    """By the open file, not by its name on a command line; this process does not count."""
    (tmp_path / "other").touch()

    with (tmp_path / "other").open():
        assert [] == openers(tmp_path / "other")
    assert [f"{sleeper.pid} (sleep)"] == openers(tmp_path / "log")


def test_what_is_mounted_is_found_by_number_and_by_name() -> None:
    """The root of this system, by the number of its device; a file system without a device, by its source."""
    status = os.stat("/")
    number = f"{os.major(status.st_dev)}:{os.minor(status.st_dev)}"

    assert "/" in mounted_at(number, "")
    assert "/proc" in mounted_at("", "proc")
    assert [] == mounted_at("999:999", "nothing")


def test_an_attachment_has_one_daemon(tmp_path: Path) -> None:
    """The second is refused while the first lives, and the right is free again when it ends, however it does."""
    slot = Slot(tmp_path)
    with slot.for_daemon():
        with pytest.raises(Busy, match="lives already"), slot.for_daemon():
            pass
    with pytest.raises(KeyError), slot.for_daemon():
        raise KeyError
    with slot.for_daemon():
        pass


def test_an_attachment_is_known_by_both_names_of_its_disk(tmp_path: Path) -> None:
    """By the one that was asked for, such as the empty one of a default disk, and by the server's."""
    default = msgspec.structs.replace(attachment("main"), asked="")

    assert default.serves("127.0.0.1:1", "main")
    assert default.serves("127.0.0.1:1", "")
    assert not default.serves("127.0.0.1:1", "other")
    assert not default.serves("127.0.0.1:2", "main")


def test_what_is_unflushed_is_remembered_where_the_user_wants_it(tmp_path: Path) -> None:
    """In the slot, or in the directory of --record, one below it for each attachment."""
    slot, plain = Slot(tmp_path / "3"), msgspec.structs.replace(attachment(), client="0f")
    assert tmp_path / "3" / "unflushed" == slot.unflushed_at(plain)
    assert Path("/record/g2disk-0f") == slot.unflushed_at(msgspec.structs.replace(plain, record="/record"))


def test_forgetting_leaves_what_others_keep(tmp_path: Path) -> None:
    """The record's own files go, of this attachment only, and the directory stays where a stranger's file is in it."""
    one, two = (
        msgspec.structs.replace(attachment(disk), record=str(tmp_path / "record"), client=disk) for disk in "ab"
    )
    slots = []
    for number, each in enumerate((one, two)):
        with RunDirectory(tmp_path / f"run{number}").new() as slot:
            slot.save(each)
            slots.append(slot)
        slot.unflushed_at(each).mkdir(parents=True)
        (slot.unflushed_at(each) / "unflushed.0").touch()
    (slots[1].unflushed_at(two) / "mine").touch()

    forget(slots[0], one)
    assert [tmp_path / "record" / "g2disk-b"] == list((tmp_path / "record").iterdir())
    assert (tmp_path / "record" / "g2disk-b" / "unflushed.0").exists()
    forget(slots[1], two)
    assert [tmp_path / "record" / "g2disk-b" / "mine"] == list((tmp_path / "record" / "g2disk-b").iterdir())
    forget(slots[1], two)
    assert "it said nothing" == last_error(slots[1].daemon_log)


@pytest.mark.parametrize("forgotten", [False, True])
async def test_force_goes_before_a_command_that_hangs(tmp_path: Path, sleeper: Process, forgotten: bool) -> None:
    """The daemon is killed while another command still has the lock, which then gives it up, or forgets all itself."""
    directory = RunDirectory(tmp_path / "run")
    with directory.new() as slot:
        slot.save(msgspec.structs.replace(attachment(), kind="kernel", daemon=sleeper, client="0f"))
        detaching = asyncio.create_task(detach("a", directory, SystemClock(), force=True))
        await sleeper.ended(10)
        if forgotten:
            slot.remove()
    await detaching

    assert not sleeper.is_alive()
    assert [] == directory.all()
    assert not slot.path.exists()


async def test_force_leaves_the_next_attachment_alone(tmp_path: Path, sleeper: Process) -> None:
    """The one that was meant is gone, and its place is another's when the lock is free."""
    directory = RunDirectory(tmp_path / "run")
    with directory.new() as slot:
        slot.save(msgspec.structs.replace(attachment(), kind="kernel", daemon=sleeper, client="0f"))
        detaching = asyncio.create_task(detach("a", directory, SystemClock(), force=True))
        await sleeper.ended(10)
        slot.save(msgspec.structs.replace(attachment(), kind="kernel", client="10"))
    await detaching

    assert ["10"] == [found.client for _, found in directory.all()]
