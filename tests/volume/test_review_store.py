"""A store of volumes ends, and grows and shrinks disks, whatever happens beside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from g2disk.disk import Buffer
from g2disk.errors import DiskError, Invalid, Unavailable
from g2disk.objects.layers.wrapper import Wrapper
from g2disk.objects.memory import MemoryObjects
from g2disk.stores.volumes import VolumeStore, VolumeStoreOptions, default_journal
from g2disk.units import MIB
from g2disk.volume.settings import REMOTE
from tests.volume.harness import SMALL, Site, crew


class Silent(Wrapper):
    """A store that lets calls wait for ever when `words` are in their keys."""

    def __init__(self) -> None:
        super().__init__(MemoryObjects())
        self.word = ""
        self.asked = asyncio.Event()
        self.again = asyncio.Event()

    async def _wait(self, key: str) -> None:
        if self.word and self.word in key:
            self.asked.set()
            await self.again.wait()

    async def put(self, key: str, data: Sequence[Buffer]) -> None:
        await self._wait(key)
        await super().put(key, data)

    async def create(self, key: str, data: Sequence[Buffer]) -> None:
        await self._wait(key)
        await super().create(key, data)


@pytest.fixture
async def objects() -> Silent:
    return Silent()


@pytest.fixture
async def store(tmp_path: Path, objects: Silent) -> AsyncIterator[VolumeStore]:
    async with crew() as threads:
        site = Site(tmp_path, threads, objects)
        settings = replace(SMALL, durability=REMOTE)
        options = VolumeStoreOptions(tmp_path / "journals", settings=settings)
        yield VolumeStore("objects in memory", site.resources(""), threads, options, read_only=False)


async def test_a_store_closes_while_the_opening_of_a_disk_waits_for_the_objects(
    store: VolumeStore, objects: Silent
) -> None:
    """Who waits for the disk is told, and the journal is free again."""
    await store.create("a", 8 * MIB)
    objects.word = "/manifests/"
    opening = asyncio.create_task(store.open("a"))
    await objects.asked.wait()
    left = asyncio.create_task(store.open("a"))
    async with asyncio.timeout(10):
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left
        await store.close()
        with pytest.raises(Unavailable, match="closed"):
            await opening


async def test_a_store_whose_closing_is_cancelled_leaves_no_disk_open(store: VolumeStore, objects: Silent) -> None:
    """None of them can be made durable, and all of them end."""
    disks = []
    for name in "abc":
        await store.create(name, 8 * MIB)
        disks.append(await store.open(name))
        await disks[-1].write(0, b"data")
    objects.word = "/segments/"
    closing = asyncio.create_task(store.close())
    await objects.asked.wait()
    closing.cancel()
    async with asyncio.timeout(10):
        with pytest.raises(asyncio.CancelledError):
            await closing
    for disk in disks:
        with pytest.raises(DiskError, match="closed"):
            await disk.read(0, 4)


async def test_of_two_resizings_at_once_none_zeroes_what_was_written_after_the_other(
    store: VolumeStore, objects: Silent
) -> None:
    """Growing to 16 MiB while another grows to 32 MiB: the second is a shrinking, and has to be asked for twice."""
    await store.create("a", 8 * MIB)
    disk = await store.open("a")
    objects.word = "/manifests/"
    large = asyncio.create_task(store.resize("a", 32 * MIB))
    await objects.asked.wait()
    small = asyncio.create_task(store.resize("a", 16 * MIB))
    objects.word = ""
    objects.again.set()
    await large
    with pytest.raises(Invalid, match="same size"):
        await small
    assert disk.size == 32 * MIB
    await store.close()


async def test_a_resizing_that_is_cancelled_while_it_is_committed_is_done(store: VolumeStore, objects: Silent) -> None:
    """The disk is as large as the store says."""
    await store.create("a", 8 * MIB)
    disk = await store.open("a")
    objects.word = "/manifests/"
    resizing = asyncio.create_task(store.resize("a", 32 * MIB))
    await objects.asked.wait()
    resizing.cancel()
    objects.word = ""
    objects.again.set()
    with pytest.raises(asyncio.CancelledError):
        await resizing
    assert disk.size == disk.info().size == 32 * MIB == (await store.get("a")).size
    await store.close()


def test_the_journals_of_a_directory_are_the_same_however_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a restart under another name would not see what was flushed."""
    monkeypatch.chdir(tmp_path)
    names = ["objects:disks", "objects:./disks/", f"objects:{tmp_path}/disks", f"objects:{tmp_path}//x/../disks"]
    assert len({default_journal(name) for name in names}) == 1
    assert default_journal("objects:other") != default_journal("objects:disks")
    assert default_journal("s3://bucket/disks") != default_journal("objects:disks")
