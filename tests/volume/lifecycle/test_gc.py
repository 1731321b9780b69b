"""Garbage collection of a volume: what it frees, what it leaves, and that it can be killed anywhere."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random

import pytest

from g2disk.clock import SystemClock
from g2disk.disk import Buffer
from g2disk.errors import Fenced
from g2disk.objects.layers.wrapper import Wrapper
from g2disk.objects.store import ObjectStore
from g2disk.volume import snapshots
from g2disk.volume.format.names import SegmentName
from g2disk.volume.gc import Collector
from g2disk.volume.gc.collector import PAUSE
from g2disk.volume.volume import Volume
from tests.volume.lifecycle.site import BLOCK, Patterned, Site, wrong_blocks


async def stored_blocks(site: Site, volume: str) -> int:
    """Blocks' worth of bytes in the volume's segments."""
    return sum(entry.size for entry in await site.objects.list(f"volumes/{volume}/segments/")) // BLOCK


async def test_what_is_dead_is_deleted(site: Site) -> None:
    """After the disk was overwritten many times and collected, the store holds little more than the disk."""
    volume = await site.create(128)
    async with site.open(volume) as disk:
        pattern = Patterned(disk)
        for _ in range(10):
            await pattern.work(100)
            await disk.drain()
        collector = Collector(disk)
        before = await stored_blocks(site, volume)
        for _ in range(3):
            await collector.collect(0.9, worth=False)

        assert await stored_blocks(site, volume) < 1.5 * len(pattern.model) < before
        assert [] == await wrong_blocks(disk, pattern.model)
    report = await site.check(volume)
    assert [] == report.findings
    async with site.open(volume) as disk:
        assert [] == await wrong_blocks(disk, pattern.model)


async def test_what_a_snapshot_needs_stays_until_it_is_deleted(site: Site) -> None:
    """A snapshot reads the same after any garbage collection; when it is gone, so is what only it needed."""
    volume = await site.create(64)
    async with site.open(volume) as disk:
        pattern = Patterned(disk)
        for block in range(64):
            await pattern.write(block)
        await snapshots.create_snapshot(disk, "then")
        then = dict(pattern.model)
        for _ in range(5):
            await pattern.work(60)
            await Collector(disk).collect(0.9, worth=False)
        async with site.snapshot(volume, "then") as old:
            assert [] == await wrong_blocks(old, then)
        assert [] == (await site.check(volume)).findings
        held = await stored_blocks(site, volume)

        await snapshots.delete_snapshot(disk, "then")
        for _ in range(3):
            await Collector(disk).collect(0.9, worth=False)

        assert await stored_blocks(site, volume) <= held - 32
        assert [] == await wrong_blocks(disk, pattern.model)
    assert [] == (await site.check(volume)).findings


async def test_a_clone_never_deletes_what_belongs_to_its_parent(site: Site) -> None:
    """A clone that overwrites everything, and collects, leaves each object of its parent where it is."""
    parent = await site.create(64)
    clone = site.new_id()
    async with site.open(parent) as disk:
        pattern = Patterned(disk)
        await pattern.work(100)
        await snapshots.create_snapshot(disk, "then")
        await snapshots.clone_snapshot(disk, "then", clone)
        before = await site.keys(f"volumes/{parent}/segments/")
        async with site.open(clone) as other:
            mine = Patterned(other, seed=4)
            for _ in range(4):
                for block in range(64):
                    await mine.write(block)
                await other.drain()
                await Collector(other).collect(0.9, worth=False)
                await Collector(other).delete_orphans(-1)
            assert [] == await wrong_blocks(other, mine.model)

        assert before == await site.keys(f"volumes/{parent}/segments/")
        assert [] == await wrong_blocks(disk, pattern.model)
    assert [] == (await site.check(parent)).findings
    assert [] == (await site.check(clone)).findings


async def test_orphans_are_deleted_and_nothing_else(site: Site) -> None:
    """Objects of earlier epochs that no table lists go; those of a later epoch, and those on their way, stay."""
    volume = await site.create(64)
    async with site.open(volume) as disk:
        pattern = Patterned(disk)
        await pattern.work(100)
        await disk.drain()
        await disk.checkpoint()
        await pattern.work(20)
        await disk.drain()
        epoch = disk.manifest.epoch
        numbers = {
            "earlier": SegmentName(2, epoch - 1),
            "later": SegmentName(2, epoch + 1),
            "coming": SegmentName(10**6, epoch),
        }
        keys = {which: name.key(volume) for which, name in numbers.items()}
        for key in keys.values():
            await site.objects.put(key, [b"x"])
        before = set(await site.keys(f"volumes/{volume}/"))

        collected = await Collector(disk).delete_orphans(grace=-1)

        assert 1 == collected.orphans
        assert {keys["earlier"]} == before - set(await site.keys(f"volumes/{volume}/"))
        await site.objects.put(keys["earlier"], [b"x"])
        assert 0 == (await Collector(disk).delete_orphans(grace=3600)).orphans


async def test_damaged_segments_are_left_alone(site: Site) -> None:
    """A segment that cannot be read is not moved and not deleted, and the others are."""
    volume = await site.create(64)
    async with site.open(volume) as disk:
        pattern = Patterned(disk)
        for _ in range(4):
            await pattern.work(60, zeroes=0)
            await disk.drain()
        collector = Collector(disk)
        candidate = disk.table.candidates(0.9)[0]
        key = candidate.key(volume)
        await site.objects.put(key, [b"damaged"])

        await collector.collect(0.9, worth=False)
        await collector.collect(0.9, worth=False)

        assert [candidate.number] == list(collector.damaged)
        assert key in await site.keys(key)


class Killing(Wrapper):
    """Lets so many changes through, and then ends the volume: it gets nothing more done."""

    def __init__(self, inner: ObjectStore, left: int) -> None:
        super().__init__(inner)
        self.left = left

    async def put(self, key: str, data: Sequence[Buffer]) -> None:
        self._count()
        await self.inner.put(key, data)

    async def create(self, key: str, data: Sequence[Buffer]) -> None:
        self._count()
        await self.inner.create(key, data)

    async def delete(self, key: str) -> None:
        self._count()
        await self.inner.delete(key)

    def _count(self) -> None:
        if not self.left:
            raise Fenced("killed by the test")
        self.left -= 1


@pytest.mark.parametrize("left", range(45))
async def test_garbage_collection_can_be_killed_between_any_two_steps(site: Site, left: int) -> None:
    """Whichever change to the store is the last one, disk, snapshot and clone are whole, and the rest goes later."""
    volume = await site.create(48)
    clone = site.new_id()
    async with site.open(volume) as disk:
        pattern = Patterned(disk, seed=left)
        await pattern.work(60)
        await snapshots.create_snapshot(disk, "then")
        then = dict(pattern.model)
        await snapshots.clone_snapshot(disk, "then", clone)
        for _ in range(3):
            await pattern.work(50)
            await disk.drain()

    whole, site.objects = site.objects, Killing(site.objects, left)
    try:
        disk = await Volume.open(volume, site.resources(volume), site.settings, None)
        try:
            for _ in range(3):
                await Collector(disk).collect(0.8, worth=False)
                await Collector(disk).delete_orphans(-1)
        finally:
            await disk._stop()
    except* Fenced:
        pass
    site.objects = whole

    report = await site.check(volume)
    assert report.clean, report.findings
    async with site.open(volume) as disk:
        assert [] == await wrong_blocks(disk, pattern.model)
        for _ in range(3):
            await Collector(disk).collect(0.8, worth=False)
        await Collector(disk).delete_orphans(-1)
        assert [] == await wrong_blocks(disk, pattern.model)
        async with site.snapshot(volume, "then") as old:
            assert [] == await wrong_blocks(old, then)
        async with site.open(clone) as other:
            assert [] == await wrong_blocks(other, then)
    assert [] == (await site.check(volume)).findings


@pytest.mark.parametrize(("collecting", "most"), [(False, 1.3), (True, 2.5)])
async def test_write_amplification_is_bounded(site: Site, collecting: bool, most: float) -> None:
    """Ten times the disk overwritten at random: with garbage collection at least 75% of what is stored is in use, and
    less than 2.5 bytes are put for each that is written; without it, less than 1.3.
    """
    blocks, segment = 1024, 64
    volume = await site.create(blocks)
    async with site.open(volume, segment_bytes=segment * BLOCK, upload_delay=1000.0, checkpoint_segments=64) as disk:
        random, data = Random(3), Random(4).randbytes(BLOCK)
        collector = Collector(disk)
        for block in range(blocks):
            await disk.write(block * BLOCK, data)
        await disk.drain()
        before = disk.parts.metered.usage().bytes_put
        for _ in range(10 * blocks // segment):
            for _ in range(segment):
                await disk.write(random.randrange(blocks) * BLOCK, data)
            await disk.drain()
            if collecting:
                await collector.collect(0.5)
                assert disk.table.live_blocks >= 0.7 * disk.table.stored_blocks

        put = disk.parts.metered.usage().bytes_put - before
        assert put < most * 10 * blocks * BLOCK
        assert not collecting or disk.table.live_blocks >= 0.75 * disk.table.stored_blocks
    assert [] == (await site.check(volume)).findings


class Fast(SystemClock):
    """A hundred times as fast for those who wait; counts pauses of the collector's length."""

    def __init__(self) -> None:
        self.pauses = 0
        self.paused = asyncio.Condition()

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / 100)
        if seconds == PAUSE:
            async with self.paused:
                self.pauses += 1
                self.paused.notify_all()

    async def after(self, pauses: int) -> None:
        """Return after so many more pauses."""
        until = self.pauses + pauses
        async with self.paused:
            await self.paused.wait_for(lambda: self.pauses >= until)


async def test_garbage_is_collected_by_itself(site: Site) -> None:
    """An open volume that is overwritten comes to rest with little garbage, and nobody asks it to."""
    clock = site.clock = Fast()
    volume = await site.create(256)
    async with site.open(volume, gc_ratio=0.5) as disk:
        pattern = Patterned(disk)
        for _ in range(4):
            for block in range(256):
                await pattern.write(block)
        await disk.drain()
        await clock.after(6)

        assert disk.table.live_blocks >= 0.7 * disk.table.stored_blocks
        assert [] == await wrong_blocks(disk, pattern.model)
    assert (await site.check(volume)).clean


class Held(Wrapper):
    """Puts wait while `free` is not set."""

    def __init__(self, inner: ObjectStore) -> None:
        super().__init__(inner)
        self.free = asyncio.Event()
        self.free.set()

    async def put(self, key: str, data: Sequence[Buffer]) -> None:
        await self.free.wait()
        await self.inner.put(key, data)


async def test_uploads_go_before_garbage_collection(site: Site) -> None:
    """While the journal is more than half full, nothing is read or moved; afterwards it goes on."""
    clock = site.clock = Fast()
    held = site.objects = Held(site.objects)
    volume = await site.create(2048)
    async with site.open(volume) as disk:
        pattern = Patterned(disk)
        for step in (1, 2):
            for block in range(0, 256, step):
                await pattern.write(block)
        await disk.drain()
        held.free.clear()
        for block in range(1024, 2048, 8):
            await pattern.write(block, 8)
            if 2 * disk.journal.used > disk.journal.limit:
                break
        assert 2 * disk.journal.used > disk.journal.limit
        gets = disk.parts.metered.usage().gets

        work = asyncio.ensure_future(Collector(disk).collect(0.9, worth=False))
        await asyncio.wait_for(clock.after(5), 30)

        assert gets == disk.parts.metered.usage().gets
        assert not work.done()
        held.free.set()
        assert (await work).moved_blocks > 0
        assert [] == await wrong_blocks(disk, pattern.model)
