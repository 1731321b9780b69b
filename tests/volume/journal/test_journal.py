"""Journals in real directories."""

import asyncio
import errno
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from tests.volume.journal.power_cut import SimulatedDisk

from g2disk.errors import Busy, Corrupt, Fenced, Invalid, OutOfSpace, Unavailable
from g2disk.threads import Crew, Inline
from g2disk.volume.journal.files import DirectoryFiles, File
from g2disk.volume.journal.journal import WRITE, ZERO, Entry, Journal

VOLUME = "ab" * 16
BLOCK = 4096
LIMIT = 2 << 20
T = TypeVar("T")


@pytest.fixture
async def crew() -> AsyncIterator[Crew]:
    threads = Crew(2, "test")
    yield threads
    threads.stop()


async def _open(path: Path, runner: Crew | Inline | None = None, *, key: bytes | None = None) -> Journal:
    return await Journal.open(
        DirectoryFiles(path, runner or Inline()), VOLUME, BLOCK, LIMIT, key, random.Random(str(path))
    )


def _names(path: Path) -> list[str]:
    return sorted(file.name for file in path.iterdir())


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.iterdir())


def _start(path: Path, epoch: int) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", _CHILD, path, str(epoch)], stdout=subprocess.PIPE, text=True)


def _data(sequence: int, count: int = 1) -> bytes:
    return random.Random(sequence).randbytes(BLOCK * count)


def _content(journal: Journal, entry: Entry) -> bytes:
    return bytes(journal.read(entry.position, entry.count * BLOCK))


@pytest.mark.parametrize("key", [None, b"k" * 32], ids=["plain", "encrypted"])
async def test_what_is_appended_is_read_now_and_after_a_restart(tmp_path: Path, crew: Crew, key: bytes | None) -> None:
    """Entries come back in order, with their data, from the running journal and from the next one."""
    journal = await _open(tmp_path, crew, key=key)
    await journal.begin(3, 10)
    first = journal.append([(WRITE, 5, 1, _data(10)), (ZERO, 1 << 50, 1 << 40, None), (WRITE, 7, 2, _data(12, 2))])
    second = journal.append([(WRITE, 6, 1, memoryview(bytearray(_data(13))))])

    assert [entry.sequence for entry in first + second] == [10, 11, 12, 13]
    assert _content(journal, first[2]) == _data(12, 2)
    assert journal.read(first[2].position + BLOCK, BLOCK) == _data(12, 2)[BLOCK:]
    await journal.close()
    again = await _open(tmp_path, crew, key=key)
    assert [(e.sequence, e.kind, e.block, e.count, e.position) for e in again.recovered] == [
        (e.sequence, e.kind, e.block, e.count, e.position) for e in first + second
    ]
    assert (again.id, again.recovered_epoch, again.last_sequence) == (journal.id, 3, 13)
    assert _content(again, again.recovered[2]) == _data(12, 2)
    await again.close()


async def test_an_encrypted_journal_tells_nothing(tmp_path: Path) -> None:
    """Neither data nor block numbers are in the files of a journal with a key."""
    journal = await _open(tmp_path, key=b"k" * 32)
    await journal.begin(1, 1)
    block = 0x1122334455667788 >> 13
    journal.append([(WRITE, block, 1, b"secret--" * 512)])
    await journal.close()
    content = b"".join((tmp_path / name).read_bytes() for name in _names(tmp_path))

    assert b"secret" not in content
    assert block.to_bytes(8, "little") not in content


async def test_large_batches_are_parted(tmp_path: Path) -> None:
    """A change larger than what a file has left goes on in the next one, in order and without a gap."""
    journal = await _open(tmp_path)
    await journal.begin(1, 1)
    rng, whole = random.Random(1), b""
    entries: list[Entry] = []
    for block in range(0, 300, 50):
        await journal.wait_for_room(50 * BLOCK + 64)
        data = rng.randbytes(50 * BLOCK)
        entries += journal.append([(WRITE, block, 50, data)])
        whole += data

    assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
    assert len(entries) > 6
    at = 0
    for entry in entries:
        assert entry.block == at
        at += entry.count
    assert b"".join(_content(journal, entry) for entry in entries) == whole
    with pytest.raises(Invalid, match="part them"):
        await journal.wait_for_room(1 << 20)
    await journal.close()


async def test_room_is_what_can_be_appended(tmp_path: Path) -> None:
    """A journal takes what it said that it has room for, refuses more without harm, and has it again after release."""
    journal = await _open(tmp_path)
    await journal.begin(1, 1)
    rng, held = random.Random(2), list[Entry]()
    while True:
        count = rng.choice((1, 1, 3, 30))
        try:
            async with asyncio.timeout(0.1):
                await journal.wait_for_room(count * (BLOCK + 64))
        except TimeoutError:
            break
        held += journal.append([(WRITE, n, 1, _data(n)) for n in range(count)])
    while journal.room() > BLOCK:
        held += journal.append([(WRITE, 0, 1, _data(0))])

    assert journal.limit * 0.8 < journal.used <= journal.limit
    with pytest.raises(OutOfSpace, match="wait until"):
        journal.append([(WRITE, 0, 40, _data(0, 40))])
    assert _content(journal, held[0]) == _data(held[0].block)
    assert _content(journal, held[-1]) == _data(held[-1].block)
    journal.release(journal.end)
    await journal.wait_for_room(journal.largest_append)
    await journal.close()


async def test_reads_go_on_while_files_are_used_again(tmp_path: Path, crew: Crew) -> None:
    """While the journal goes round and round its files, whatever is not released reads as it was written."""
    journal = await _open(tmp_path, crew)
    await journal.begin(1, 1)
    rng, held = random.Random(3), list[Entry]()
    for _ in range(600):
        await journal.wait_for_room(8 * (BLOCK + 64))
        sequence = journal.last_sequence + 1
        held += journal.append([(WRITE, 1, 1, _data(sequence + n)) for n in range(8)])
        if rng.random() < 0.3:
            await journal.commit()
        if len(held) > 150:
            held = held[rng.randrange(100) :]
            journal.release(held[0].position)
        for entry in (held[0], rng.choice(held)):
            assert _content(journal, entry) == _data(entry.sequence)
    await journal.close()

    assert sum(name.startswith("journal-0") for name in _names(tmp_path)) <= 8
    again = await _open(tmp_path, crew)
    assert again.recovered[0].sequence <= held[0].sequence
    assert again.recovered[-1].sequence == held[-1].sequence
    await again.close()


class _Counted(DirectoryFiles):
    """Counts the syncs of the files that it opens; they wait for `gate`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, Inline())
        self.syncs = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def open(self, name: str, create_size: int = 0) -> File:
        file = await super().open(name, create_size)
        sync = file.sync

        async def counted() -> None:
            self.syncs += 1
            await self.gate.wait()
            await sync()

        file.sync = counted  # type: ignore[method-assign]
        return file


async def test_all_who_wait_share_a_sync(tmp_path: Path) -> None:
    """Commits that come while a sync runs wait for one more sync, all for the same; what is durable needs none."""
    files = _Counted(tmp_path)
    journal = await Journal.open(files, VOLUME, BLOCK, LIMIT, None, random.Random(1))
    await journal.begin(1, 1)
    await _until(lambda: journal._supply.ready == 2 and not journal._supply._unwritten)
    await _settled(lambda: files.syncs)
    before = files.syncs
    await journal.commit()
    assert files.syncs == before

    files.gate.clear()
    journal.append([(WRITE, 1, 1, _data(1))])
    first = asyncio.create_task(journal.commit())
    await _until(lambda: files.syncs > before)
    later = []
    for n in range(20):
        journal.append([(WRITE, n, 1, _data(n))])
        later.append(asyncio.create_task(journal.commit()))
    before = files.syncs
    first.cancel()
    files.gate.set()
    await asyncio.gather(*later)

    assert files.syncs == before + 1
    assert journal.unsynced == 0
    await journal.close()


async def _settled(figure: Callable[[], int]) -> None:
    """Wait until it stays the same for many turns of the event loop."""
    same, last = 0, -1
    while same < 100:
        same, last = (same + 1 if figure() == last else 0), figure()
        await _turn()


async def _turn() -> None:
    loop = asyncio.get_running_loop()
    turn = loop.create_future()
    loop.call_soon(turn.set_result, None)
    await turn


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():
        await _turn()


async def test_after_a_failed_sync_nothing_is_said_to_be_durable() -> None:
    """When a sync fails, that commit, those that wait for the next one, and all later calls raise `Fenced`."""
    disk = SimulatedDisk(1, 1 << 60)
    journal = await Journal.open(disk.files(), VOLUME, BLOCK, LIMIT, None, random.Random(1))
    await journal.begin(1, 1)
    await journal.wait_for_room(journal.largest_append)
    disk.sync_failures = 1.0
    journal.append([(WRITE, 1, 1, _data(1))])
    commits = [asyncio.create_task(journal.commit()) for _ in range(3)]
    results = await asyncio.gather(*commits, return_exceptions=True)
    disk.sync_failures = 0.0

    assert [type(result) for result in results] == [Fenced] * 3
    assert "restart when its disk is mended" in str(results[0])
    with pytest.raises(Fenced):
        await journal.commit()
    with pytest.raises(Fenced):
        journal.append([(WRITE, 1, 1, _data(1))])
    with pytest.raises(Fenced):
        await journal.wait_for_room(journal.largest_append + 0)
    await journal.close()


async def test_a_sync_that_fails_for_a_cancelled_commit_is_not_forgotten(
    tmp_path: Path, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failure is found by the next one who waits, since the kernel would not report it again."""
    files = DirectoryFiles(tmp_path, crew)
    file = await files.open("journal-0000", BLOCK)
    started, go_on = threading.Event(), threading.Event()

    def fail(_: int) -> None:
        started.set()
        go_on.wait(10)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        task = asyncio.create_task(file.sync())
        await _until(started.is_set)
        task.cancel()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    with pytest.raises(Unavailable, match=f"syncing {tmp_path}/journal-0000"):
        await file.sync()
    file.close()
    files.close()


_CHILD = """
import asyncio, random, sys
from pathlib import Path
from g2disk.threads import Crew
from g2disk.volume.journal.files import DirectoryFiles
from g2disk.volume.journal.journal import WRITE, Journal

async def main(path, epoch):
    files = DirectoryFiles(Path(path), Crew(2, "x"))
    journal = await Journal.open(files, "ab" * 16, 4096, 2 << 20, None, random.Random())
    await journal.begin(epoch, journal.last_sequence + 1)
    while True:
        sequence = journal.last_sequence + 1
        if journal.room() < 40000:
            journal.release(journal.end)
            print("released", journal.last_sequence, flush=True)
            await journal.wait_for_room(40000)
        numbers = range(sequence, sequence + sequence % 5 + 1)
        changes = [(WRITE, n, 1, random.Random(n).randbytes(4096)) for n in numbers]
        journal.append(changes)
        print("appended", journal.last_sequence, flush=True)
        if sequence % 3 == 0:
            await journal.commit()

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


async def test_kill_9_loses_nothing_that_was_appended(tmp_path: Path) -> None:
    """A process that is killed at any moment leaves all that it appended to the next one, many times over."""
    rng, last = random.Random(5), 0
    for epoch in range(1, 9):
        process = _start(tmp_path, epoch)
        assert process.stdout is not None
        for _ in range(rng.randrange(1, 300)):
            assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        lines = process.stdout.read().splitlines()
        process.stdout.close()
        assert process.wait() == -signal.SIGKILL
        numbers = [int(line.split()[1]) for line in lines if line.startswith("appended ") and line[9:].isdigit()]
        journal = await _open(tmp_path)
        entries = journal.recovered
        assert entries[-1].sequence >= max(numbers[:-1], default=last)
        assert [entry.sequence for entry in entries] == list(range(entries[0].sequence, entries[-1].sequence + 1))
        assert all(_content(journal, entry) == _data(entry.block) for entry in entries)
        assert all(entry.block == entry.sequence for entry in entries)
        last = entries[-1].sequence
        await journal.close()


async def test_a_second_process_is_told_that_it_is_busy(tmp_path: Path) -> None:
    """While one has the journal another gets `Busy`; when it was closed, or killed, the next one gets it."""
    process = _start(tmp_path, 1)
    assert process.stdout is not None
    process.stdout.readline()
    with pytest.raises(Busy, match=f"{tmp_path} is in use by another process"):
        DirectoryFiles(tmp_path, Inline())
    process.kill()
    process.stdout.close()
    process.wait()
    journal = await _open(tmp_path)
    with pytest.raises(Busy):
        await _open(tmp_path)
    await journal.close()
    await (await _open(tmp_path)).close()


async def test_what_was_refused_stays_refused() -> None:
    """What of a refused batch was written does not come back, though the file that says so is lost in its turn."""
    disk = SimulatedDisk(1, 1 << 60)
    disk.space = (256 << 10) + BLOCK
    journal = await Journal.open(disk.files(), VOLUME, BLOCK, LIMIT, None, random.Random(1))
    await journal.begin(1, 1)
    journal.append([(WRITE, 1, 1, _data(1))])
    with pytest.raises(OutOfSpace):
        journal.append([(WRITE, 2, 80, _data(2, 80))])  # more than the file has room for, and there is no other
    with pytest.raises(OutOfSpace):
        journal.append([(ZERO, 9, 1, None)])  # not behind the part of the batch that was written
    disk.space = 1 << 60
    await journal.wait_for_room(BLOCK + 64)
    await _settled(lambda: disk.writes)
    disk.refusals = [False, True]  # the next file's header is written, its first record is not
    with pytest.raises(OutOfSpace):
        journal.append([(WRITE, 3, 1, _data(3))])
    await journal.close()

    for epoch in (2, 3):
        journal = await Journal.open(disk.files(), VOLUME, BLOCK, LIMIT, None, random.Random(epoch))
        assert [entry.block for entry in journal.recovered] == [1, 102, 103][: epoch - 1]
        await journal.begin(epoch, journal.last_sequence + 1)
        journal.append([(WRITE, 100 + epoch, 1, _data(100 + epoch))])
        await journal.commit()
        await journal.close()
    journal = await Journal.open(disk.files(), VOLUME, BLOCK, LIMIT, None, random.Random(9))
    assert [_content(journal, entry) for entry in journal.recovered] == [_data(1), _data(102), _data(103)]
    await journal.close()


async def test_a_refused_place_is_never_written_again() -> None:
    """After a refused append, be it as a whole or in its second record, the next one goes to another file: the same
    place would get two records, and with a key one key stream would serve twice.
    """
    disk = SimulatedDisk(1, 1 << 60)
    journal = await Journal.open(disk.files(), VOLUME, BLOCK, LIMIT, b"k" * 32, random.Random(1))
    await journal.begin(1, 1)
    await _settled(lambda: disk.writes)
    disk.refusals = [True]
    with pytest.raises(OutOfSpace):
        journal.append([(WRITE, 1, 1, _data(1))])
    [first] = journal.append([(WRITE, 2, 1, _data(2))])
    await _settled(lambda: disk.writes)
    disk.refusals = [False, False, True]  # a record, the next file's header, and the record there
    with pytest.raises(OutOfSpace):
        journal.append([(WRITE, 3, 80, _data(3, 80))])
    [second] = journal.append([(ZERO, 4, 1, None)])
    await journal.commit()
    await journal.close()

    assert first.position > 256 << 10
    assert second.position > first.position + (256 << 10)
    again = await Journal.open(disk.files(), VOLUME, BLOCK, LIMIT, b"k" * 32, random.Random(1))
    assert [(entry.sequence, entry.block) for entry in again.recovered] == [(1, 2), (2, 4)]
    await again.close()


async def test_a_refused_header_ends_the_file_before_it() -> None:
    """What would still fit into the old file goes behind the next header, since the refused one may be on the disk."""
    disk = SimulatedDisk(1, 1 << 60)
    journal = await Journal.open(disk.files(), VOLUME, BLOCK, LIMIT, None, random.Random(1))
    await journal.begin(1, 1)
    journal.append([(WRITE, 1, 62, _data(1, 62))])
    await _settled(lambda: disk.writes)
    disk.refusals = [True]
    with pytest.raises(OutOfSpace):
        journal.append([(WRITE, 2, 1, _data(2))])
    [entry] = journal.append([(ZERO, 3, 1, None)])
    await journal.close()

    assert entry.position > 2 * (256 << 10)


async def test_a_full_disk_is_out_of_space_until_there_is_room() -> None:
    """Without room for its first file a journal does not begin; without room for more it waits for what is released."""
    disk = SimulatedDisk(1, 1 << 60)
    disk.space = 100 << 10
    journal = await Journal.open(disk.files(), VOLUME, BLOCK, LIMIT, None, random.Random(1))
    with pytest.raises(OutOfSpace, match="full"):
        await journal.begin(1, 1)
    disk.space = 300 << 10
    await journal.begin(1, 1)
    while journal.room() > BLOCK + 64:
        journal.append([(WRITE, 1, 1, _data(1))])
    with pytest.raises(OutOfSpace, match="full"):
        await journal.wait_for_room(100 << 10)
    disk.space = 300 << 10
    await journal.wait_for_room(100 << 10)
    journal.append([(WRITE, 1, 25, _data(1, 25))])
    waiting = asyncio.create_task(journal.wait_for_room(180 << 10))
    await _settled(journal.room)
    assert not waiting.done()
    journal.release(journal.end)
    await waiting
    await journal.close()


def test_a_file_size_limit_is_out_of_space(tmp_path: Path) -> None:
    """What the system refuses (EFBIG here) is said with what to do, and leaves no file behind."""
    code = f"""
import asyncio, random, resource
from pathlib import Path
from g2disk.errors import Busy, Corrupt, Fenced, Invalid, OutOfSpace, Unavailable
from g2disk.threads import Inline
from g2disk.volume.journal.files import DirectoryFiles
from g2disk.volume.journal.journal import Journal

async def main():
    files = DirectoryFiles(Path({str(tmp_path)!r}), Inline())
    journal = await Journal.open(files, "ab" * 16, 4096, 2 << 20, None, random.Random(1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (100000, resource.RLIM_INFINITY))
    try:
        await journal.begin(1, 1)
    except OutOfSpace as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await journal.begin(1, 1)
    await journal.close()

asyncio.run(main())
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)

    assert result.stdout == f"making {tmp_path}/journal-0000: File too large\n"
    assert result.stderr == ""


async def _filled(path: Path, *, key: bytes | None = None, epochs: int = 1) -> list[bytes]:
    """A journal of 90 entries in each of some epochs; returns their contents."""
    for epoch in range(1, epochs + 1):
        journal = await _open(path, key=key)
        await journal.begin(epoch, journal.last_sequence + 1)
        for n in range(journal.last_sequence + 1, journal.last_sequence + 91):
            await journal.wait_for_room(BLOCK + 64)
            journal.append([(WRITE, n, 1, _data(n))])
        await journal.commit()
        await journal.close()
    return [_data(n) for n in range(1, 90 * epochs + 1)]


@pytest.mark.parametrize("seed", range(30))
async def test_damage_never_gives_other_data(tmp_path: Path, seed: int) -> None:
    """Whatever bits change on the disk: the journal is refused, or what it has is a beginning of what was written."""
    rng = random.Random(seed)
    contents = await _filled(tmp_path, key=rng.choice((None, b"k" * 32)), epochs=rng.choice((1, 2)))
    path = tmp_path / rng.choice([name for name in _names(tmp_path) if name.startswith("journal-")])
    content = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 1, 5))):
        content[rng.choice((rng.randrange(512), rng.randrange(len(content)))) % len(content)] ^= 1 << rng.randrange(8)
    path.write_bytes(content)

    for key in (None, b"k" * 32):
        try:
            journal = await _open(tmp_path, key=key)
        except (Corrupt, Invalid):
            continue
        found = [_content(journal, entry) for entry in journal.recovered]
        await journal.close()
        assert found == contents[: len(found)]


async def test_what_an_earlier_epoch_had_is_never_silently_less(tmp_path: Path) -> None:
    """A record that is damaged in front of a later epoch is damage, and no torn end: the journal is refused."""
    await _filled(tmp_path, epochs=2)
    path = tmp_path / "journal-0000"
    content = bytearray(path.read_bytes())
    content[100_000] ^= 1
    path.write_bytes(content)

    with pytest.raises(Corrupt, match="restore the journal's directory, or move it away"):
        await _open(tmp_path)


@pytest.mark.parametrize("name", ["journal-0000", "journal-begins"])
async def test_a_missing_file_is_noticed(tmp_path: Path, name: str) -> None:
    """A journal whose first file, or whose mark, was deleted is refused."""
    await _filled(tmp_path, epochs=2)
    (tmp_path / name).unlink()

    with pytest.raises(Corrupt, match="restore the journal's directory"):
        await _open(tmp_path)


async def test_the_journal_of_another_volume_is_refused(tmp_path: Path) -> None:
    """A directory belongs to one volume, with its block size and its key."""
    await _filled(tmp_path)
    wrong = [("cd" * 16, BLOCK, None), (VOLUME, 2 * BLOCK, None), (VOLUME, BLOCK, b"k" * 32)]
    for volume, block_size, key in wrong:
        with pytest.raises(Invalid, match="give another directory"):
            await Journal.open(DirectoryFiles(tmp_path, Inline()), volume, block_size, LIMIT, key, random.Random(1))


async def test_a_smaller_limit_gives_space_back(tmp_path: Path) -> None:
    """Files that are too many, or of another size, go when they are released; what they hold is not lost by that."""
    contents = await _filled(tmp_path, epochs=3)
    journal = await Journal.open(DirectoryFiles(tmp_path, Inline()), VOLUME, BLOCK, 512 << 10, None, random.Random(1))
    await journal.begin(9, journal.last_sequence + 1)
    assert [_content(journal, entry) for entry in journal.recovered] == contents
    journal.release(journal.end)
    await journal.wait_for_room(journal.largest_append)
    await _until(lambda: _size(tmp_path) <= (512 << 10) + BLOCK)
    await journal.close()


async def test_what_memory_has_is_not_taken_for_the_disk(tmp_path: Path) -> None:
    """A file that is opened again is read from the disk: after a failed sync memory has what the disk never gets."""
    if not _forgets(tmp_path / "probe"):
        pytest.skip("this file system has no other place than memory")
    files = DirectoryFiles(tmp_path, Inline())
    file = await files.open("journal-0000", 1 << 20)
    file.write(0, [b"x" * (1 << 20)])
    file.close()
    assert _cached(tmp_path / "journal-0000", 1 << 19)
    again = await files.open("journal-0000")

    assert not _cached(tmp_path / "journal-0000", 1 << 19)
    assert again.read(0, 1 << 20) == b"x" * (1 << 20)
    again.close()
    files.close()


def _forgets(path: Path) -> bool:
    path.write_bytes(bytes(BLOCK))
    file = os.open(path, os.O_RDWR)
    os.fsync(file)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(file)
    return not _cached(path, 0)


def _cached(path: Path, position: int) -> bool:
    file = os.open(path, os.O_RDONLY)
    try:
        return os.preadv(file, [bytearray(BLOCK)], position, os.RWF_NOWAIT) == BLOCK
    except BlockingIOError:
        return False
    finally:
        os.close(file)
