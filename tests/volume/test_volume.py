"""A volume from its creation to its next opening."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from g2disk.errors import Fenced
from g2disk.units import KIB, MIB
from g2disk.volume.settings import REMOTE
from tests.volume.harness import Site, kill


async def test_what_was_written_is_read_from_the_journal_and_from_the_store(site: Site) -> None:
    """A block reads the same before and after it went to the store."""
    await site.create(64 * MIB)
    async with site.opened() as volume:
        data = site.random.randbytes(MIB)
        await volume.write(5 * MIB, data)
        assert await volume.read(5 * MIB, MIB) == data
        await volume.drain()
        assert len(volume.layers.overlay) == 0
        assert await volume.read(5 * MIB, MIB) == data
        assert await volume.read(0, MIB) == bytes(MIB)
        assert volume.state().unstored_bytes == 0


async def test_what_was_flushed_is_there_after_a_crash(site: Site) -> None:
    """The journal is replayed."""
    await site.create(64 * MIB)
    volume = await site.open()
    data = site.random.randbytes(300 * KIB)
    await volume.write(12345, data)
    await volume.flush()
    await kill(volume)
    async with site.opened() as volume:
        assert await volume.read(12345, len(data)) == data


async def test_the_store_alone_is_enough_after_a_flush_to_it(site: Site) -> None:
    """With durability remote, nothing that was flushed is lost with the host."""
    site.settings = replace(site.settings, durability=REMOTE)
    await site.create(64 * MIB)
    volume = await site.open()
    data = site.random.randbytes(3 * MIB)
    await volume.write(512, data)
    await volume.flush()
    await kill(volume)
    async with site.opened("another journal") as volume:
        assert await volume.read(512, len(data)) == data


async def test_flushes_to_the_store_at_once_ask_it_once(site: Site) -> None:
    """With durability remote, those that wait for the same look for a newer writer share it."""
    site.settings = replace(site.settings, durability=REMOTE)
    await site.create(64 * MIB)
    async with site.opened() as volume:
        before = volume.state().usage.gets
        await volume.write(0, bytes(KIB) * 64)
        await asyncio.gather(*(volume.flush() for _ in range(16)))
        assert volume.state().unstored_bytes == 0
        assert 1 <= volume.state().usage.gets - before <= 2


async def test_checkpoints_are_found_again(site: Site) -> None:
    """After a checkpoint the map comes from the store, and no segment is looked at."""
    await site.create(64 * MIB)
    async with site.opened() as volume:
        data = site.random.randbytes(2 * MIB)
        await volume.write(0, data)
        await volume.drain()
        await volume.checkpoint()
        assert volume.manifest.head.runs == ()
    async with site.opened() as volume:
        assert await volume.read(0, len(data)) == data


async def test_a_later_writer_fences_the_earlier_one(site: Site) -> None:
    """Nothing that the earlier writer puts after the claim shows up; it learns why at its next flush."""
    site.settings = replace(site.settings, durability=REMOTE)
    await site.create(64 * MIB)
    first = await site.open("first")
    await first.write(0, b"first" * 1000)
    await first.flush()
    second = await site.open("second")
    await first.write(0, b"later" * 1000)
    with pytest.raises(Fenced, match="another writer"):
        await first.flush()
    with pytest.raises(Fenced):
        await first.read(0, 5)
    assert await second.read(0, 5000) == b"first" * 1000
    await first.close()
    await second.close()


async def test_a_journal_that_was_passed_over_is_refused(site: Site) -> None:
    """Flushed data that the store lacks is not given up silently, when another host went on without it."""
    site.settings = replace(site.settings, upload_delay=1000.0)
    await site.create(64 * MIB)
    volume = await site.open("first")
    await volume.write(0, bytes(4096))
    await volume.flush()
    await kill(volume)
    async with site.opened("second"):
        pass
    with pytest.raises(Fenced, match="4KiB that the store lacks"):
        await site.open("first")
