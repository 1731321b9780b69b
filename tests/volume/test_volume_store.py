"""Volumes by their names, in a store on a directory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from g2disk.errors import Busy, Denied, Exists, Invalid, NotFound, ReadOnly
from g2disk.stores.volumes import VolumeStore, VolumeStoreOptions
from g2disk.units import MIB
from g2disk.volume.format.keys import Secret
from tests.volume.harness import SECRET, SMALL


@pytest.fixture
def options(tmp_path: Path) -> VolumeStoreOptions:
    return VolumeStoreOptions(tmp_path / "journals", tmp_path / "cache", 16 * MIB, SECRET, SMALL)


@pytest.fixture
def url(tmp_path: Path) -> str:
    (tmp_path / "bucket").mkdir()
    return f"objects:{tmp_path / 'bucket'}"


@asynccontextmanager
async def opened(url: str, options: VolumeStoreOptions, *, read_only: bool = False) -> AsyncIterator[VolumeStore]:
    store = await VolumeStore.at(url, options, read_only=read_only)
    try:
        yield store
    finally:
        await store.close()


async def test_disks_are_created_listed_used_and_found_again(url: str, options: VolumeStoreOptions) -> None:
    """What was written is there when another process opens the store."""
    async with opened(url, options) as store:
        entry = await store.create("a", 8 * MIB, "mine", {"compression": "zstd", "encrypt": "yes"})
        assert (entry.name, entry.size, entry.description) == ("a", 8 * MIB, "mine")
        disk = await store.open("a")
        await disk.write(5000, b"hello")
        assert await store.open("a") is disk
        with pytest.raises(Exists):
            await store.create("a", 8 * MIB)
        assert (await store.state("a"))["durability"] == "journal"
    async with opened(url, options) as store:
        assert [entry.name for entry in await store.list()] == ["a"]
        assert await (await store.open("a")).read(5000, 5) == b"hello"


async def test_a_missing_disk_is_an_error(url: str, options: VolumeStoreOptions) -> None:
    """Never a blank disk."""
    async with opened(url, options) as store:
        for name in ("nothing", "nothing@ever"):
            with pytest.raises(NotFound):
                await store.open(name)


async def test_a_wrong_key_is_refused(url: str, options: VolumeStoreOptions) -> None:
    """And changes nothing: the right one still works."""
    async with opened(url, options) as store:
        await store.create("a", 8 * MIB, options={"encrypt": "yes"})
    wrong = replace(options, key=Secret("raw", bytes(32)))
    async with opened(url, wrong) as store:
        with pytest.raises(Denied):
            await store.open("a")
    async with opened(url, options) as store:
        assert await (await store.open("a")).read(0, 6) == bytes(6)


async def test_a_disk_shrinks_when_asked_twice_and_grows_with_zeroes(url: str, options: VolumeStoreOptions) -> None:
    """What was cut off never comes back."""
    async with opened(url, options) as store:
        await store.create("a", 8 * MIB)
        disk = await store.open("a")
        await disk.write(0, b"x" * (8 * MIB))
        with pytest.raises(Invalid, match="once more"):
            await store.resize("a", 4 * MIB + 512)
        assert disk.info().size == 8 * MIB
        assert (await store.resize("a", 4 * MIB + 512)).size == 4 * MIB + 512
        assert disk.info().size == 4 * MIB + 512
        await store.resize("a", 16 * MIB)
        data = bytes(await disk.read(0, 16 * MIB))
        assert data == b"x" * (4 * MIB + 512) + bytes(12 * MIB - 512)
    async with opened(url, options) as store:
        assert (await store.get("a")).size == 16 * MIB
        assert bytes(await (await store.open("a")).read(0, 16 * MIB)) == data


async def test_a_deleted_disk_leaves_no_objects(url: str, options: VolumeStoreOptions, tmp_path: Path) -> None:
    """And whoever has it open gets errors."""
    async with opened(url, options) as store:
        await store.create("a", 8 * MIB)
        disk = await store.open("a")
        await disk.write(0, bytes(MIB))
        await disk.flush()
        await store.delete("a")
        with pytest.raises(NotFound):
            await disk.read(0, 512)
        assert list(await store.list()) == []
        with pytest.raises(NotFound):
            await store.delete("a")
    left = [path for path in (tmp_path / "bucket").rglob("*") if path.is_file() and "volumes" in path.parts]
    assert left == []


async def test_snapshots_clones_and_rollback_work_by_name(url: str, options: VolumeStoreOptions) -> None:
    """A snapshot stays as it was, a clone goes its own way, and a rollback brings the snapshot back."""
    async with opened(url, options) as store:
        await store.create("a", 8 * MIB)
        disk = await store.open("a")
        await disk.write(0, b"before")
        await store.create_snapshot("a", "s")
        await disk.write(0, b"after!")
        assert await (await store.open("a@s")).read(0, 6) == b"before"
        await store.clone("a", "s", "b")
        clone = await store.open("b")
        assert await clone.read(0, 6) == b"before"
        await clone.write(0, b"clone!")
        assert await disk.read(0, 6) == b"after!"
        with pytest.raises(Busy):
            await store.delete("a")
        await store.rollback("a", "s")
        assert await disk.read(0, 6) == b"before"
        assert [(entry.name, entry.clones) for entry in await store.snapshots("a")] == [("s", 1)]
    async with opened(url, options) as store:
        assert await (await store.open("a")).read(0, 6) == b"before"
        assert await (await store.open("b")).read(0, 6) == b"clone!"
        await store.delete("b")
        await store.delete("a")


async def test_a_store_that_is_only_read_changes_nothing(url: str, options: VolumeStoreOptions, tmp_path: Path) -> None:
    """It shows what was committed last."""
    async with opened(url, options) as store:
        await store.create("a", 8 * MIB)
        disk = await store.open("a")
        await disk.write(0, b"hello")
        await store.create_snapshot("a", "s")
    before = sorted(path for path in (tmp_path / "bucket").rglob("*"))
    async with opened(url, options, read_only=True) as store:
        assert await (await store.open("a")).read(0, 5) == b"hello"
        with pytest.raises(ReadOnly):
            await store.create("b", 8 * MIB)
    assert sorted(path for path in (tmp_path / "bucket").rglob("*")) == before
