"""Snapshots of a volume that is being used, and what is made of them."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from g2disk.errors import Busy, Exists, Invalid, NotFound, ReadOnly
from g2disk.testing.clock import turns
from g2disk.units import MAXIMUM_DISK_SIZE
from g2disk.volume import snapshots
from tests.volume.lifecycle.site import BLOCK, Patterned, Site, wrong_blocks


async def test_a_snapshot_is_the_disk_as_it_was(site: Site) -> None:
    """What is written after the snapshot does not show in it, and the other way round."""
    volume = await site.create(64)
    async with site.open(volume) as disk:
        pattern = Patterned(disk)
        await pattern.work(60)
        await snapshots.create_snapshot(disk, "then")
        then = dict(pattern.model)
        await pattern.work(60)

        async with site.snapshot(volume, "then") as old:
            assert [] == await wrong_blocks(old, then)
        assert [] == await wrong_blocks(disk, pattern.model)
    assert (await site.check(volume)).clean


async def test_a_snapshot_under_writes_is_one_moment(site: Site) -> None:
    """Of a disk that is written block by block, in order, a snapshot holds a prefix, and all that was acknowledged."""
    volume = await site.create(256)
    async with site.open(volume) as disk:
        pattern = Patterned(disk)
        written = 0

        async def write() -> None:
            nonlocal written
            for block in range(256):
                await pattern.write(block)
                written = block + 1
                await turns()

        async def take() -> list[int]:
            known = []
            for number in range(5):
                known.append(written)
                await snapshots.create_snapshot(disk, f"s{number}")
            return known

        _, known = await asyncio.gather(write(), take())

        for number, acknowledged in enumerate(known):
            async with site.snapshot(volume, f"s{number}") as old:
                wrong = await wrong_blocks(old, pattern.model)
                length = 256 - len(wrong)
                assert list(range(length, 256)) == wrong
                assert length >= acknowledged


async def test_a_snapshot_can_be_read_while_the_disk_is_written(site: Site) -> None:
    """A snapshot that is open stays what it is, whatever is written and collected."""
    volume = await site.create(64)
    async with site.open(volume, gc_ratio=0.5) as disk:
        pattern = Patterned(disk)
        await pattern.work(100)
        await snapshots.create_snapshot(disk, "then")
        then = dict(pattern.model)
        async with site.snapshot(volume, "then") as old:
            for _ in range(5):
                await pattern.work(50)
                assert [] == await wrong_blocks(old, then)


async def test_a_snapshot_is_read_only(site: Site) -> None:
    """A snapshot takes no writes, and says so."""
    volume = await site.create(16)
    async with site.open(volume) as disk:
        await snapshots.create_snapshot(disk, "then")
        async with site.snapshot(volume, "then") as old:
            assert old.info().read_only
            with pytest.raises(ReadOnly):
                await old.write(0, bytes(BLOCK))


async def test_a_rollback_brings_the_snapshot_back(site: Site) -> None:
    """After a rollback the disk is the snapshot, also after it was opened again; later snapshots stay."""
    volume = await site.create(64)
    async with site.open(volume) as disk:
        pattern = Patterned(disk)
        await pattern.work(80)
        await snapshots.create_snapshot(disk, "a")
        a = dict(pattern.model)
        await pattern.work(80)
        await snapshots.create_snapshot(disk, "b")
        b = dict(pattern.model)
        await pattern.work(40)

        await snapshots.rollback(disk, "a")

        assert [] == await wrong_blocks(disk, a)
        pattern.model = dict(a)
        await pattern.work(40)
    async with site.open(volume) as disk:
        assert [] == await wrong_blocks(disk, pattern.model)
        await snapshots.rollback(disk, "b")
        assert [] == await wrong_blocks(disk, b)
        async with site.snapshot(volume, "a") as old:
            assert [] == await wrong_blocks(old, a)
    report = await site.check(volume)
    assert [] == report.findings


async def test_a_rollback_brings_the_size_back(site: Site) -> None:
    """A disk that grew has the size of the snapshot after a rollback."""
    volume = await site.create(16)
    async with site.open(volume) as disk:
        await snapshots.create_snapshot(disk, "small")
        await disk.resize(64 * BLOCK)
        await snapshots.rollback(disk, "small")

        assert 16 * BLOCK == disk.info().size
    assert 16 * BLOCK == (await site.manifest(volume)).size


async def test_a_clone_and_its_parent_do_not_touch_each_other(site: Site) -> None:
    """Both begin as the snapshot, and go their own ways; a clone of a clone too."""
    parent = await site.create(64)
    first, second = site.new_id(), site.new_id()
    async with site.open(parent) as disk:
        pattern = Patterned(disk)
        await pattern.work(80)
        await snapshots.create_snapshot(disk, "then")
        then = dict(pattern.model)
        await snapshots.clone_snapshot(disk, "then", first)
        await pattern.work(80)
        async with site.open(first) as clone:
            assert [] == await wrong_blocks(clone, then)
            mine = Patterned(clone, seed=2)
            mine.model = dict(then)
            await snapshots.create_snapshot(clone, "untouched")
            await snapshots.clone_snapshot(clone, "untouched", second)
            await mine.work(80)
            async with site.open(second) as grandchild:
                its = Patterned(grandchild, seed=3)
                its.model = dict(then)
                await its.work(80)

                assert [] == await wrong_blocks(grandchild, its.model)
            assert [] == await wrong_blocks(clone, mine.model)
        assert [] == await wrong_blocks(disk, pattern.model)
    for volume, model in ((parent, pattern.model), (first, mine.model), (second, its.model)):
        async with site.open(volume) as disk:
            assert [] == await wrong_blocks(disk, model)
        assert [] == (await site.check(volume)).findings


async def test_a_snapshot_with_a_clone_cannot_be_deleted(site: Site) -> None:
    """While the clone is there it is Busy; a clone that is gone, or never came to be, is in nobody's way."""
    volume = await site.create(16)
    clone = site.new_id()
    async with site.open(volume) as disk:
        await snapshots.create_snapshot(disk, "then")
        await snapshots.clone_snapshot(disk, "then", clone)

        with pytest.raises(Busy, match="delete first"):
            await snapshots.delete_snapshot(disk, "then")

        for key in await site.keys(f"volumes/{clone}/"):
            await site.objects.delete(key)
        await snapshots.delete_snapshot(disk, "then")
        assert () == disk.manifest.snapshots


async def test_names_are_checked(site: Site) -> None:
    """A name is taken once, is a name, and is there when it is needed."""
    volume = await site.create(16)
    async with site.open(volume) as disk:
        await snapshots.create_snapshot(disk, "then")

        with pytest.raises(Exists, match="then"):
            await snapshots.create_snapshot(disk, "then")
        with pytest.raises(Invalid):
            await snapshots.create_snapshot(disk, "a/b")
        with pytest.raises(NotFound, match="it has: then"):
            await snapshots.delete_snapshot(disk, "now")
        with pytest.raises(NotFound):
            await snapshots.rollback(disk, "now")
        with pytest.raises(NotFound):
            await snapshots.clone_snapshot(disk, "now", site.new_id())


async def test_the_size_of_a_disk_is_nothing_to_a_snapshot(site: Site) -> None:
    """Of a settled disk of 8 EiB, a snapshot costs one commit and a clone two, and a few requests more."""
    volume = await site.create(MAXIMUM_DISK_SIZE // BLOCK)
    async with site.open(volume, checkpoint_segments=1000) as disk:
        random = Random(6)
        for _ in range(300):
            await disk.write(random.randrange(disk.size // BLOCK) * BLOCK, bytes(BLOCK))
        await disk.drain()
        await disk.checkpoint()
        usage = disk.parts.metered.usage()

        await snapshots.create_snapshot(disk, "then")
        await snapshots.clone_snapshot(disk, "then", site.new_id())

        after = disk.parts.metered.usage()
        assert 3 == after.puts - usage.puts
        assert after.gets - usage.gets <= 2
        assert after.bytes_put - usage.bytes_put < 16384
