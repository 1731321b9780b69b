"""`FileStore`: a catalogue of disks that outlives the server."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from g2disk.disk.identity import new_identity
from g2disk.errors import DiskError, Exists, NotFound, OutOfRange
from g2disk.stores.file import FileDisk, FileStore, default_directory
from g2disk.testing.clock import turns
from g2disk.units import MIB


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[FileStore]:
    store = await FileStore.at(tmp_path / "store")
    yield store
    await store.close()


def files(directory: str | Path) -> list[str]:
    """Everything below a directory, by path."""
    return sorted(str(path.relative_to(directory)) for path in Path(directory).rglob("*"))


async def test_disks_outlive_the_server(tmp_path: Path) -> None:
    """Names, sizes, descriptions, identities and bytes are there when the store is opened again."""
    store = await FileStore.at(tmp_path)
    await store.create("b", MIB, "for ⌘")
    await store.create("a.1_2-3", 512)
    disk = await store.open("b")
    await disk.write(1000, b"hello")
    before = [(entry.name, entry.size, entry.identity, entry.description) for entry in await store.list()]
    await store.close()

    store = await FileStore.at(tmp_path)
    after = [(entry.name, entry.size, entry.identity, entry.description) for entry in await store.list()]
    assert after == before
    assert [name for name, *_ in after] == ["a.1_2-3", "b"]
    disk = await store.open("b")
    assert bytes(await disk.read(998, 9)) == b"\0\0hello\0\0"
    assert disk.info().description == "for ⌘"
    await store.close()
    assert files(tmp_path) == [".lock", "a.1_2-3", "a.1_2-3/data", "a.1_2-3/disk.json", "b", "b/data", "b/disk.json"]


async def test_identity_and_instance_stay_over_a_restart(tmp_path: Path) -> None:
    """A new server in the same boot serves the same disk, and nothing that was acknowledged is lost."""
    seen = set()
    for _ in range(2):
        store = await FileStore.at(tmp_path)
        if not await store.list():
            await store.create("a", 512)
        info = (await store.open("a")).info()
        assert info.identity == (await store.get("a")).identity
        seen.add((info.identity, info.instance))
        await store.close()
    assert len(seen) == 1


async def test_a_restored_copy_is_another_instance(tmp_path: Path) -> None:
    """Data that was put back from a copy lacks what was not flushed, so the instance is another one."""
    store = await FileStore.at(tmp_path)
    await store.create("a", 512)
    before = (await store.open("a")).info()
    await store.close()
    shutil.copy(tmp_path / "a/data", tmp_path / "copy")
    os.replace(tmp_path / "copy", tmp_path / "a/data")
    store = await FileStore.at(tmp_path)
    after = (await store.open("a")).info()
    assert after.identity == before.identity
    assert after.instance != before.instance
    await store.close()


async def test_every_open_gives_the_same_object(store: FileStore) -> None:
    """However often and however concurrently a disk is opened, it is one."""
    await store.create("a", 512)
    disks = await asyncio.gather(*(store.open("a") for _ in range(20)))
    assert len({id(disk) for disk in disks}) == 1


async def test_one_of_many_creates_wins(store: FileStore) -> None:
    """Creating one name many times at once makes one disk, and the others learn that it exists."""
    outcomes = await asyncio.gather(*(store.create("a", 512) for _ in range(10)), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["DiskEntry"] + ["Exists"] * 9
    assert files(store.url[5:]) == [".lock", "a", "a/data", "a/disk.json"]


async def test_cancelled_changes_are_made_as_a_whole(store: FileStore) -> None:
    """A create, resize or delete that is cancelled after it began is completed; one that had not begun is not made."""
    create = asyncio.create_task(store.create("a", MIB))
    late = asyncio.create_task(store.create("late", MIB))
    await turns(3)
    create.cancel()
    late.cancel()
    await asyncio.wait([create, late])
    assert create.cancelled()
    assert [entry.name for entry in await store.list()] == ["a"]
    for size in (2 * MIB, 512):
        resize = asyncio.create_task(store.resize("a", size))
        await turns(3)
        resize.cancel()
        await asyncio.wait([resize])
        assert (await store.get("a")).size == size
        assert os.stat(f"{store.url[5:]}/a/data").st_size == size
    delete = asyncio.create_task(store.delete("a"))
    await turns(3)
    delete.cancel()
    await asyncio.wait([delete])
    assert files(store.url[5:]) == [".lock"]


async def test_resizing_keeps_what_remains_and_adds_zeroes(store: FileStore) -> None:
    """A shrink cuts, a later growth adds zeroes, on an open disk and on one that is not."""
    await store.create("a", MIB)
    disk = await store.open("a")
    await disk.write(0, b"x" * MIB)
    assert (await store.resize("a", 1536)).size == disk.info().size == disk.size == 1536
    with pytest.raises(OutOfRange):
        await disk.write(1536, b"y")
    assert (await store.resize("a", MIB)).size == disk.info().size == MIB
    assert bytes(await disk.read(0, MIB)) == b"x" * 1536 + bytes(MIB - 1536)
    assert (await store.resize("a", MIB)).size == MIB
    path = store.url[5:]
    await store.close()

    again = await FileStore.at(path)
    await again.resize("a", 512)
    await again.resize("a", 1024)
    assert bytes(await (await again.open("a")).read(0, 1024)) == b"x" * 512 + bytes(512)
    await again.close()


async def test_nothing_is_written_behind_a_shrunken_end(store: FileStore) -> None:
    """Requests of many writes that are under way when the disk shrinks leave nothing behind its end."""
    await store.create("a", 64 * MIB)
    disk = await store.open("a")
    assert isinstance(disk, FileDisk)
    disk._zeroes_ranges = False  # as where zeroes must be written
    for _ in range(3):
        requests = [disk.zero(number * 16 * MIB, 16 * MIB, may_trim=False) for number in range(4)]
        writes = [asyncio.create_task(request) for request in requests]
        await turns(1)
        await store.resize("a", 512)
        assert os.stat(f"{store.url[5:]}/a/data").st_size == 512
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        assert all(outcome is None or isinstance(outcome, OutOfRange) for outcome in outcomes)
        assert os.stat(f"{store.url[5:]}/a/data").st_size == 512
        await store.resize("a", 64 * MIB)


async def test_a_deleted_disk_leaves_nothing(store: FileStore) -> None:
    """Deleting removes the files, the space and the name; the name is free for another disk."""
    await store.create("a", MIB)
    disk = await store.open("a")
    await disk.write(0, b"x" * MIB)
    identity = disk.info().identity
    await store.delete("a")
    assert files(store.url[5:]) == [".lock"]
    for missing in (store.open("a"), store.get("a"), store.resize("a", 512), store.delete("a")):
        with pytest.raises(NotFound, match="there is no disk 'a'"):
            await missing
    await store.create("a", MIB)
    another = await store.open("a")
    assert another is not disk
    assert another.info().identity != identity
    assert not any(await another.read(0, MIB))
    with pytest.raises(NotFound):
        await disk.read(0, 1)


async def test_a_disk_is_created_where_its_files_had_vanished(store: FileStore) -> None:
    """When somebody removed a disk's files a new one of the name is another disk, and the old object is gone."""
    await store.create("a", MIB)
    old = await store.open("a")
    shutil.rmtree(f"{store.url[5:]}/a")
    await store.create("a", 512)
    new = await store.open("a")
    assert new is not old
    assert new.info().size == 512
    with pytest.raises(NotFound):
        await old.read(0, 1)


async def test_what_interrupted_operations_left_is_removed(tmp_path: Path) -> None:
    """Half-made and half-deleted disks and descriptions are gone after the next start; finished disks are not."""
    store = await FileStore.at(tmp_path)
    await store.create("a", MIB)
    await (await store.open("a")).write(0, b"x" * MIB)
    await store.close()
    for leftover in (f".new.{new_identity()}", f".deleted.{new_identity()}"):
        shutil.copytree(tmp_path / "a", tmp_path / leftover)
    (tmp_path / f".new.{new_identity()}").mkdir()
    (tmp_path / "a/disk.json.new").write_text("{")
    with (tmp_path / "a/data").open("ab") as data:
        data.write(b"y" * 5000)  # a growth that did not get to the description
    store = await FileStore.at(tmp_path)
    disk = await store.open("a")
    assert files(tmp_path) == [".lock", "a", "a/data", "a/disk.json"]
    assert os.stat(tmp_path / "a/data").st_size == MIB
    await store.resize("a", 2 * MIB)
    assert bytes(await disk.read(0, 2 * MIB)) == b"x" * MIB + bytes(MIB)
    await store.close()


async def test_a_disk_that_is_not_open_grows_into_zeroes(tmp_path: Path) -> None:
    """Bytes behind the end, left by an interrupted resize, never come to light."""
    store = await FileStore.at(tmp_path)
    await store.create("a", 512)
    await store.close()
    with (tmp_path / "a/data").open("ab") as data:
        data.write(b"y" * 5000)
    store = await FileStore.at(tmp_path)
    await store.resize("a", MIB)
    assert not any(await (await store.open("a")).read(0, MIB))
    await store.close()


async def test_what_is_not_a_disk_is_left_alone(store: FileStore) -> None:
    """Other directories and files in the store's are no disks, and no operation changes them."""
    path = Path(store.url[5:])
    (path / "photos").mkdir()
    (path / "photos/disk.json.new").touch()
    (path / "notes").write_text("n")
    (path / "lost+found").mkdir()
    (path / ".hidden").mkdir()
    before = files(path)
    assert list(await store.list()) == []
    for name in ("photos", "notes", "lost+found", ".hidden", "."):
        for request in (store.open(name), store.get(name), store.delete(name), store.resize(name, 512)):
            with pytest.raises(NotFound):
                await request
    for name in ("photos", "notes"):
        with pytest.raises(Exists):
            await store.create(name, 512)
    await store.close()
    await (await FileStore.at(path)).close()
    assert files(path) == before


async def test_the_default_disk_is_found_without_a_look_at_all_others(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests that name no disk cost the same, however many disks there are."""
    for name in ("a", "default"):
        await store.create(name, MIB)

    def names() -> list[str]:
        raise AssertionError("all disks were listed")

    monkeypatch.setattr(store._directory, "names", names)

    assert await store.default_name() == "default"


async def test_the_default_name(store: FileStore) -> None:
    """The empty name stands for the only disk, or for the one called default."""
    await store.create("a", 512)
    assert await store.default_name() == "a"
    await store.create("default", 512)
    assert await store.default_name() == "default"


async def test_closing_flushes_and_gives_everything_back(tmp_path: Path) -> None:
    """After `close` no file and no thread of the store is left, and another server may have it."""
    before = sorted(os.listdir("/proc/self/fd"))
    store = await FileStore.at(tmp_path)
    await store.create("a", 64 * MIB)
    disk = await store.open("a")
    assert isinstance(disk, FileDisk)
    await asyncio.gather(*(disk.write(number * MIB, b"x" * MIB) for number in range(64)))
    threads = list(store._crew._threads)
    await store.close()
    assert sorted(os.listdir("/proc/self/fd")) == before
    assert threads
    assert not any(thread.is_alive() for thread in threads)
    with pytest.raises(DiskError):
        await disk.read(0, 1)
    await (await FileStore.at(tmp_path)).close()


async def test_directories_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store's directory and those above it are made, for this user only; ~ is the home directory."""
    monkeypatch.setenv("HOME", str(tmp_path))
    store = await FileStore.at("~/some/where/store")
    assert store.url == f"file:{tmp_path}/some/where/store"
    assert os.stat(tmp_path / "some/where/store").st_mode & 0o777 == 0o700
    await store.close()


@pytest.mark.parametrize(
    ("user", "data_home", "expected"),
    [
        (0, "", "/var/lib/g2disk"),
        (0, "/data", "/data/g2disk"),
        (1000, "", "/home/me/.local/share/g2disk"),
        (1000, "/data", "/data/g2disk"),
    ],
)
def test_the_default_directory(user: int, data_home: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Disks go to the user's data directory; root's to /var/lib; XDG_DATA_HOME is honoured for both."""
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("XDG_DATA_HOME", data_home)
    assert default_directory() == Path(expected)
