"""Volumes keep the promises of `Disk`, in each form and durability, through crashes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from g2disk.disk import Buffer, Disk, Done
from g2disk.disk.layers import Checked
from g2disk.disk.layers.wrapper import Wrapper
from g2disk.request import Request
from g2disk.testing import check_disk
from g2disk.units import MIB
from g2disk.volume.creating import Form
from g2disk.volume.settings import JOURNAL, REMOTE
from g2disk.volume.snapshot_disk import open_snapshot
from g2disk.volume.snapshots import clone_snapshot, create_snapshot
from g2disk.volume.volume import Volume
from tests.volume.harness import FORMS, Site, kill

CLONE = "fedcba9876543210" * 2


@pytest.mark.parametrize("form", FORMS, ids=str)
async def test_every_form_keeps_the_contract_with_the_journal_kept(site: Site, form: Form) -> None:
    """Killed at each closing; the journal is still there."""
    await site.create(24 * MIB + 512, form)

    @asynccontextmanager
    async def opened() -> AsyncIterator[Disk]:
        volume = await site.open()
        try:
            yield Checked(volume)
        finally:
            await kill(volume)

    await check_disk(opened, seed=3, durable=True)


@pytest.mark.parametrize("form", [FORMS[0], FORMS[-1]], ids=str)
async def test_the_store_alone_keeps_the_contract(site: Site, form: Form) -> None:
    """Durability remote, killed at each closing, and each opening on a host of its own."""
    site.settings = replace(site.settings, durability=REMOTE)
    await site.create(24 * MIB + 512, form)
    hosts = iter(range(10))

    @asynccontextmanager
    async def opened() -> AsyncIterator[Disk]:
        volume = await site.open(f"host {next(hosts)}")
        try:
            yield Checked(volume)
        finally:
            await kill(volume)

    await check_disk(opened, seed=4, durable=True)


async def test_a_volume_without_readahead_and_with_a_tiny_map_keeps_the_contract(site: Site) -> None:
    """Leaves of the map are evicted and loaded all the time."""
    site.settings = replace(site.settings, durability=JOURNAL, map_memory=64 << 10, readahead=0, index_memory=1)
    await site.create(64 * MIB)

    @asynccontextmanager
    async def opened() -> AsyncIterator[Disk]:
        async with site.opened() as volume:
            yield Checked(volume)

    await check_disk(opened, seed=5, durable=True)


class Drained(Wrapper):
    """Has everything put into the store, and now and then the map, before each read."""

    def __init__(self, volume: Volume) -> None:
        super().__init__(volume)
        self._volume = volume
        self._reads = 0

    async def read(self, offset: int, length: int) -> Buffer:
        self._reads += 1
        await self._volume.drain()
        if self._reads % 7 == 0:
            await self._volume.checkpoint()
        return await self._volume.read(offset, length)

    def submit(self, requests: list[Request], done: Done) -> list[Request]:
        return requests


@pytest.mark.parametrize("form", [FORMS[0], FORMS[2], FORMS[-1]], ids=str)
async def test_what_comes_from_segments_keeps_the_contract(site: Site, form: Form) -> None:
    """No read is answered by the journal."""
    await site.create(24 * MIB + 512, form)

    @asynccontextmanager
    async def opened() -> AsyncIterator[Disk]:
        async with site.opened() as volume:
            yield Checked(Drained(volume))

    await check_disk(opened, seed=6, durable=True)


@pytest.mark.parametrize("form", [FORMS[0], FORMS[-1]], ids=str)
async def test_snapshots_and_clones_keep_the_contract(site: Site, form: Form) -> None:
    """Also while the disk that they came from is written."""
    await site.create(24 * MIB + 512, form)
    async with site.opened() as origin:
        await origin.write(MIB, site.random.randbytes(8 * MIB))
        record = await create_snapshot(origin, "s")
        await clone_snapshot(origin, "s", CLONE)
        manifest = origin.manifest

        @asynccontextmanager
        async def snapshot() -> AsyncIterator[Disk]:
            disk = await open_snapshot(manifest, record.name, site.resources(""), site.settings, site.key)
            try:
                yield Checked(disk)
            finally:
                await disk.close()

        @asynccontextmanager
        async def clone() -> AsyncIterator[Disk]:
            disk = await Volume.open(CLONE, site.resources("clone"), site.settings, site.key)
            try:
                yield Checked(disk)
            finally:
                await kill(disk)

        await origin.write(0, bytes(24 * MIB))
        await check_disk(snapshot, seed=7, durable=True)
        await check_disk(clone, seed=8, durable=True)
        assert bytes(await origin.read(0, 24 * MIB)) == bytes(24 * MIB)
