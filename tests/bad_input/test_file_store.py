"""File stores in bad places: full, read-only, forbidden, damaged, deleted, taken."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from g2disk.errors import Busy, Corrupt, Denied, Exists, Fenced, Invalid, NotFound, OutOfSpace, ReadOnly
from g2disk.stores.file import FileStore
from g2disk.units import MAXIMUM_DISK_SIZE, MIB
from tests.bad_input import filesystems


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[FileStore]:
    """A store with a disk "a" of 1 MiB, written all over."""
    store = await filled(tmp_path / "store")
    yield store
    await store.close()


async def filled(path: Path) -> FileStore:
    store = await FileStore.at(path)
    await store.create("a", MIB)
    await (await store.open("a")).write(0, b"x" * MIB, fua=True)
    return store


def files(directory: str | Path) -> list[str]:
    """Everything below a directory, by path."""
    return sorted(str(path.relative_to(directory)) for path in Path(directory).rglob("*"))


@contextmanager
def server(path: Path, *, read_only: bool = False) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the store until the end, or until it is killed."""
    script = f"""
import asyncio, sys
from g2disk.stores.file import FileStore
async def main():
    store = await FileStore.at({str(path)!r}, read_only={read_only})
    print("ready", flush=True)
    sys.stdin.read()
    await store.close()
asyncio.run(main())
"""
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.communicate(timeout=30)


async def test_names_are_refused(store: FileStore) -> None:
    """What cannot be a name makes no disk and reaches no file, whatever it points at."""
    before = files(store.url[5:])
    for name in ("", ".", "..", "a/b", "../store/a", "/etc", ".lock", "a\0b", "a\n", "ä", "x" * 300):
        with pytest.raises(Invalid, match="cannot be a disk's name"):
            await store.create(name, 512)
        for request in (store.open(name), store.get(name), store.delete(name), store.resize(name, 512)):
            with pytest.raises(NotFound):
                await request
    assert files(store.url[5:]) == before


async def test_sizes_are_refused(store: FileStore) -> None:
    """Sizes that no disk can have make nothing and change nothing."""
    for size in (0, -512, 511, 513, MAXIMUM_DISK_SIZE + 512, 1 << 63, 1 << 64):
        with pytest.raises(Invalid):
            await store.create("b", size)
        with pytest.raises(Invalid):
            await store.resize("a", size)
    assert [(entry.name, entry.size) for entry in await store.list()] == [("a", MIB)]


async def test_a_disk_larger_than_the_file_system_allows(tmp_path: Path) -> None:
    """On ext4 an 8 EiB disk is refused with the largest that is possible, which then works."""
    with filesystems.ext4(tmp_path / "ext4") as place:
        store = await filled(place / "store")
        before = files(place)
        for attempt, name in ((store.create, "giant"), (store.resize, "a")):
            with pytest.raises(Invalid, match=r"files of up to 17592186040320 bytes.*XFS"):
                await attempt(name, MAXIMUM_DISK_SIZE)
        assert files(place) == before
        assert (await store.get("a")).size == os.stat(place / "store/a/data").st_size == MIB
        await store.create("giant", 17592186040320)
        giant = await store.open("giant")
        await giant.write(17592186040320 - 512, b"y" * 512, fua=True)
        assert bytes(await giant.read(17592186040320 - 512, 512)) == b"y" * 512
        await store.close()


async def test_a_full_file_system(tmp_path: Path) -> None:
    """Writes fail with OutOfSpace, nothing is lost, and when space was given back they work again."""
    with filesystems.tmpfs(tmp_path / "full", "1m") as place:
        store = await FileStore.at(place)
        await store.create("a", 1 << 40)
        disk = await store.open("a")
        written = 0

        async def fill() -> None:
            nonlocal written
            while True:
                await disk.write(written * 4096, b"x" * 4096, fua=written % 10 == 0)
                written += 1

        with pytest.raises(OutOfSpace, match="free space in that file system"):
            await fill()
        with pytest.raises(OutOfSpace):
            await disk.zero(512 * MIB, 64 * MIB, may_trim=False)
        with pytest.raises(OutOfSpace):
            await disk.write(512 * MIB, b"x" * 4096, fua=True)
        before = files(place)
        for attempt in (store.create("b", 512), store.resize("a", 1 << 41), store.resize("a", 1 << 39)):
            with pytest.raises(OutOfSpace):
                await attempt
        assert files(place) == before
        assert (await store.get("a")).size == disk.info().size == os.stat(place / "a/data").st_size == 1 << 40
        await disk.flush()
        assert bytes(await disk.read(0, written * 4096)) == b"x" * written * 4096
        await disk.trim(0, 1 << 40)
        await disk.write(0, b"y" * 4096, fua=True)
        await store.create("b", 512)
        await disk.write(4096, b"y" * 65536)
        await store.delete("a")
        await store.close()


async def test_a_full_file_system_can_be_deleted_from(tmp_path: Path) -> None:
    """Where nothing can be written any more a disk can still be deleted."""
    with filesystems.tmpfs(tmp_path / "full", "1m") as place:
        store = await FileStore.at(place)
        await store.create("a", 1 << 40)
        with pytest.raises(OutOfSpace):
            await (await store.open("a")).write(0, bytes(2 * MIB))
        (place / "rest").write_bytes(b"")
        await store.delete("a")
        await store.create("b", 512)
        await store.close()


async def test_a_read_only_directory(tmp_path: Path) -> None:
    """Opened for writing it is refused with what to do; opened read-only, disks are read and nothing is changed."""
    store = await filled(tmp_path / "store")
    await store.close()
    (tmp_path / "store/.deleted.x").mkdir()
    with filesystems.read_only(tmp_path / "mirror", tmp_path / "store") as place:
        before = files(place)
        with pytest.raises(ReadOnly, match="open the store read-only"):
            await FileStore.at(place)
        with pytest.raises(ReadOnly):
            await FileStore.at(place / "below")
        store = await FileStore.at(place, read_only=True)
        assert [(entry.name, entry.read_only) for entry in await store.list()] == [("a", True)]
        disk = await store.open("a")
        info = disk.info()
        assert (info.read_only, info.trim, info.zero, info.extents) == (True, False, False, True)
        assert bytes(await disk.read(0, MIB)) == b"x" * MIB
        await disk.flush()
        for request in (disk.write(0, b"y"), disk.trim(0, 512), disk.zero(0, 512)):
            with pytest.raises(ReadOnly):
                await request
        for change in (store.create("b", 512), store.resize("a", 512), store.delete("a")):
            with pytest.raises(ReadOnly):
                await change
        await store.close()
        assert files(place) == before


async def test_read_only_changes_nothing_where_it_could(tmp_path: Path) -> None:
    """A store that is opened read-only leaves a writable directory as it is, and needs one that is there."""
    with pytest.raises(NotFound, match="there is no directory"):
        await FileStore.at(tmp_path / "absent", read_only=True)
    (tmp_path / "empty").mkdir()
    store = await FileStore.at(tmp_path / "empty", read_only=True)
    assert list(await store.list()) == []
    await store.close()
    assert files(tmp_path) == ["empty"]


async def test_an_immutable_directory(tmp_path: Path) -> None:
    """A directory that even root may not change is refused with a hint."""
    filesystems.require_root()
    with filesystems.ext4(tmp_path / "ext4") as place:
        (place / "store").mkdir()
        filesystems.run("chattr", "+i", place / "store")
        with pytest.raises(Denied, match="lsattr"):
            await FileStore.at(place / "store")
        with pytest.raises(Denied):
            await FileStore.at(place / "store/below")
        filesystems.run("chattr", "-i", place / "store")


def test_a_forbidden_directory(tmp_path: Path) -> None:
    """Another user's directory is refused with what to do, whether it is made or opened, for reading or writing."""
    filesystems.require_root()
    (tmp_path / "mine").mkdir(0o700)
    script = f"""
import asyncio, os
from g2disk.errors import Denied
from g2disk.stores.file import FileStore
async def main():
    os.setuid(65534)
    for path in ({str(tmp_path / "mine")!r}, {str(tmp_path / "mine/below")!r}, "/g2disk-below-root"):
        for read_only in (False, True):
            try:
                await FileStore.at(path, read_only=read_only)
            except Exception as error:
                print(type(error).__name__, "take another directory" in str(error))
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30)
    assert done.stdout.splitlines() == ["Denied True"] * 5 + ["NotFound False"], done.stderr


async def test_what_is_not_a_directory(tmp_path: Path) -> None:
    """A file, or a path through one, or one with a null character is no store."""
    (tmp_path / "file").touch()
    for read_only in (False, True):
        with pytest.raises(Invalid, match="not a directory"):
            await FileStore.at(tmp_path / "file", read_only=read_only)
        with pytest.raises(Invalid, match=r"[Nn]ot a directory"):
            await FileStore.at(tmp_path / "file/below", read_only=read_only)
        with pytest.raises(Invalid, match="null character"):
            await FileStore.at("a\0b", read_only=read_only)
        with pytest.raises(Invalid):
            await FileStore.at(tmp_path / ("x" * 300), read_only=read_only)


async def test_a_directory_deleted_under_the_server(store: FileStore) -> None:
    """Nothing is said to be durable that is in a deleted file, and the catalogue says what happened."""
    disk = await store.open("a")
    shutil.rmtree(store.url[5:])
    await disk.write(0, b"y" * 4096)
    for request in (
        disk.write(0, b"y", fua=True),
        disk.flush(),
        disk.write(0, b"y"),
        disk.trim(0, 512),
        disk.zero(0, 1),
    ):
        with pytest.raises(Fenced, match="the file was deleted"):
            await request
    assert bytes(await disk.read(0, 1)) == b"y"
    for change in (store.list(), store.create("b", 512), store.create("a", 512)):
        with pytest.raises(NotFound, match="deleted under the server"):
            await change
    os.mkdir(store.url[5:])
    with pytest.raises(NotFound, match="deleted under the server"):
        await store.create("b", 512)
    with pytest.raises(NotFound):
        await store.delete("a")
    with pytest.raises(Fenced):
        await store.close()
    assert files(store.url[5:]) == []


@pytest.mark.parametrize("request_name", ["trim", "zero"])
async def test_durable_trims_and_zeroes_of_a_deleted_file(store: FileStore, request_name: str) -> None:
    """FUA on any request finds out that the file was deleted."""
    disk = await store.open("a")
    os.unlink(f"{store.url[5:]}/a/data")
    with pytest.raises(Fenced, match="the file was deleted"):
        await getattr(disk, request_name)(0, 512, fua=True)
    with pytest.raises(Fenced):
        await store.close()


async def test_a_file_cut_under_the_server(store: FileStore) -> None:
    """A read of what somebody cut off fails, and gives no other bytes."""
    disk = await store.open("a")
    os.truncate(f"{store.url[5:]}/a/data", 4096)
    for length in (4097, MIB):
        with pytest.raises(Corrupt, match="the file ends at 4096"):
            await disk.read(0, length)
    with pytest.raises(Corrupt):
        await disk.read(8192, 1)


async def test_a_file_shorter_than_its_disk(tmp_path: Path) -> None:
    """A disk whose data is missing in part is not served as zeroes; the message says how to have that."""
    store = await filled(tmp_path)
    await store.close()
    os.truncate(tmp_path / "a/data", MIB - 1)
    store = await FileStore.at(tmp_path)
    for _ in range(2):
        with pytest.raises(Corrupt, match=f"truncate -s {MIB} {tmp_path}/a/data"):
            await store.open("a")
        with pytest.raises(Corrupt):
            await store.resize("a", 2 * MIB)
    filesystems.run("truncate", "-s", str(MIB), tmp_path / "a/data")
    assert bytes(await (await store.open("a")).read(0, MIB)) == b"x" * (MIB - 1) + b"\0"
    await store.close()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda at: (at / "disk.json").write_text("{"), "disk.json does not describe a disk"),
        (lambda at: (at / "disk.json").write_bytes(b""), "disk.json does not describe a disk"),
        (lambda at: (at / "disk.json").unlink(), "disk.json is missing"),
        (lambda at: (at / "data").unlink(), "data is missing"),
        (lambda at: os.replace(at / "data", at.parent / "elsewhere"), "data is missing"),
    ],
)
async def test_a_damaged_disk(tmp_path: Path, damage: object, message: str) -> None:
    """It is listed as damaged, cannot be opened, keeps no other disk from being used, and can be deleted."""
    store = await filled(tmp_path)
    await store.create("b", 512)
    await store.close()
    assert callable(damage)
    damage(tmp_path / "a")
    store = await FileStore.at(tmp_path)
    entries = {entry.name: entry for entry in await store.list()}
    assert entries["b"].size == 512
    assert entries["a"].description.startswith("damaged: ")
    for request in (store.open("a"), store.get("a")):
        with pytest.raises(Corrupt, match=message):
            await request
    with pytest.raises(Exists):
        await store.create("a", 512)
    await (await store.open("b")).write(0, b"z")
    await store.delete("a")
    assert [entry.name for entry in await store.list()] == ["b"]
    await store.create("a", 512)
    await store.close()


async def test_a_disk_under_anothers_name(tmp_path: Path) -> None:
    """A copied directory would be two disks with one identity, and is not served."""
    store = await filled(tmp_path)
    await store.close()
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    store = await FileStore.at(tmp_path)
    with pytest.raises(Corrupt, match="describes the disk 'a'"):
        await store.open("b")
    await store.open("a")
    await store.close()


async def test_data_that_is_a_link_or_no_file(tmp_path: Path) -> None:
    """A disk's data is not followed to another place, and is a file."""
    store = await filled(tmp_path / "store")
    await store.close()
    target = tmp_path / "target"
    os.replace(tmp_path / "store/a/data", target)
    os.symlink(target, tmp_path / "store/a/data")
    store = await FileStore.at(tmp_path / "store")
    with pytest.raises(Corrupt, match="not a file"):
        await store.open("a")
    os.unlink(tmp_path / "store/a/data")
    os.mkfifo(tmp_path / "store/a/data")
    with pytest.raises(Corrupt, match="not a file"):
        await store.open("a")
    await store.delete("a")
    assert target.stat().st_size == MIB
    await store.close()


async def test_two_servers_on_one_store(tmp_path: Path) -> None:
    """The second is told which process has the store; when that ends, by kill -9 too, the store is free."""
    with server(tmp_path) as process:
        for read_only in (False, True):
            with pytest.raises(Busy, match=rf"in use by process {process.pid}; stop that"):
                await FileStore.at(tmp_path, read_only=read_only)
    await (await FileStore.at(tmp_path)).close()
    with server(tmp_path) as process:
        process.kill()
        process.wait()
        store = await FileStore.at(tmp_path)
        with pytest.raises(Busy, match=rf"process {os.getpid()}"):
            await FileStore.at(tmp_path)
        await store.close()


async def test_readers_share_a_store_and_keep_writers_out(tmp_path: Path) -> None:
    """Any number of servers may read at once; one that writes waits for their end."""
    await (await FileStore.at(tmp_path)).close()
    with server(tmp_path, read_only=True):
        reader = await FileStore.at(tmp_path, read_only=True)
        with pytest.raises(Busy, match="in use by another process"):
            await FileStore.at(tmp_path)
        await reader.close()
    await (await FileStore.at(tmp_path)).close()


async def test_what_a_killed_server_acknowledged_is_there(tmp_path: Path) -> None:
    """Writes that were answered and not flushed survive kill -9 of the server, as the unchanged instance says."""
    script = f"""
import asyncio, os, signal
from g2disk.stores.file import FileStore
async def main():
    store = await FileStore.at({str(tmp_path)!r})
    await store.create("a", 1 << 30)
    disk = await store.open("a")
    await asyncio.gather(*(disk.write(n << 20, bytes([n]) * 5000) for n in range(1, 200)))
    print(disk.info().identity, disk.info().instance, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL
    store = await FileStore.at(tmp_path)
    disk = await store.open("a")
    assert done.stdout.split() == [disk.info().identity, disk.info().instance]
    for number in range(1, 200):
        assert bytes(await disk.read(number << 20, 5001)) == bytes([number]) * 5000 + b"\0"
    await store.close()
