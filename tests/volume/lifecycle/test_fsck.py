"""fsck finds each kind of damage, says what is lost, and repairs what can be."""

from __future__ import annotations

from random import Random

import pytest

from g2disk.threads import Inline
from g2disk.volume import snapshots
from g2disk.volume.format.manifest import Manifest
from g2disk.volume.format.names import MapName, SegmentName, manifest_key
from g2disk.volume.format.sealing import Sealer
from g2disk.volume.format.segment import SegmentKind, build_segment
from g2disk.volume.fsck.repair import Tools, repair_volume
from g2disk.volume.fsck.report import Kind, Report
from g2disk.volume.gc import Collector
from g2disk.volume.map.table import SegmentTable
from tests.volume.lifecycle.site import BLOCK, Patterned, Site, wrong_blocks

BLOCKS = 3000


class Damaged:
    """A volume with a snapshot, made to be damaged: some of it in the map, some behind it."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.then: dict[int, int] = {}
        self.now: dict[int, int] = {}
        self.volume = ""

    async def make(self) -> None:
        site = self.site
        self.volume = await site.create(BLOCKS)
        async with site.open(self.volume, checkpoint_segments=1000) as disk:
            pattern = Patterned(disk)
            await pattern.work(150)
            await disk.drain()
            await disk.checkpoint()
            await pattern.work(20)
            await snapshots.create_snapshot(disk, "then")
            self.then = dict(pattern.model)
            await pattern.work(100)
            await disk.drain()
            await disk.checkpoint()
            await pattern.work(20)
            await disk.drain()
            self.now = pattern.model

    async def manifest(self) -> Manifest:
        return await self.site.manifest(self.volume)

    async def flip(self, key: str, at: int) -> None:
        data = bytearray(await self.site.objects.get(key))
        data[at] ^= 1
        await self.site.objects.put(key, [data])

    async def repair(self) -> Report:
        report = Report(self.volume)
        site = self.site
        await repair_volume(Tools(site.objects, Inline(), site.clock, site.random), report, None, data=True)
        return report

    async def wrong(self) -> tuple[list[int], list[int]]:
        """The wrong blocks of the disk, and of the snapshot."""
        async with self.site.open(self.volume) as disk:
            now = await wrong_blocks(disk, self.now)
        async with self.site.snapshot(self.volume, "then") as old:
            return now, await wrong_blocks(old, self.then)


@pytest.fixture
async def damaged(site: Site) -> Damaged:
    made = Damaged(site)
    await made.make()
    assert [] == (await site.check(made.volume)).findings
    return made


def kinds(report: Report) -> set[Kind]:
    return {finding.kind for finding in report.findings}


def blocks_of(report: Report, snapshot: str = "") -> set[int]:
    """The blocks that the report says are lost."""
    return {
        block
        for lost in report.lost
        if lost.snapshot == snapshot
        for block in range(lost.offset // BLOCK, (lost.offset + lost.length) // BLOCK)
    }


async def unreadable(damaged: Damaged) -> set[int]:
    """The blocks of the disk that cannot be read."""
    found = set()
    async with damaged.site.open(damaged.volume) as disk:
        for block in range(BLOCKS):
            try:
                await disk.read(block * BLOCK, BLOCK)
            except Exception:  # noqa: BLE001  whatever it is
                found.add(block)
    return found


async def test_a_flipped_byte_is_found_and_the_blocks_are_named(damaged: Damaged) -> None:
    """Exactly the block whose byte was flipped is lost, of the disk or the snapshot or both."""
    table = (await damaged_table(damaged)).segments
    number = int(table.number[(table.live > 4).argmax()])
    key = SegmentName(number, 1).key(damaged.volume)
    await damaged.flip(key, -BLOCK - 1)

    report = await damaged.site.check(damaged.volume)
    without_data = await damaged.site.check(damaged.volume, data=False)

    assert {Kind.BLOCK} == kinds(report)
    assert 1 == len(blocks_of(report) | blocks_of(report, "then"))
    assert blocks_of(report) == await unreadable(damaged)
    assert without_data.clean


async def test_a_missing_segment_is_found_and_its_blocks_are_named(damaged: Damaged) -> None:
    """All blocks that only the missing segment had are lost, and no other."""
    table = (await damaged_table(damaged)).segments
    number = int(table.number[(table.live > 4).argmax()])
    await damaged.site.objects.delete(SegmentName(number, 1).key(damaged.volume))

    report = await damaged.site.check(damaged.volume)

    assert {Kind.SEGMENT} == kinds(report)
    assert int(table.live[table.row(number) or 0]) >= len(blocks_of(report)) > 0
    assert blocks_of(report) == await unreadable(damaged)


async def test_a_missing_map_object_is_made_anew(damaged: Damaged) -> None:
    """Without the maps, of the disk and the snapshot, the segments alone give both back."""
    for key in await damaged.site.keys(f"volumes/{damaged.volume}/maps/"):
        await damaged.site.objects.delete(key)

    before = await damaged.site.check(damaged.volume)
    repaired = await damaged.repair()

    assert Kind.MAP in kinds(before)
    assert set(range(BLOCKS)) == blocks_of(before)
    assert [] == repaired.lost
    assert all(finding.repaired for finding in repaired.findings)
    assert [] == (await damaged.site.check(damaged.volume)).findings
    assert ([], []) == await damaged.wrong()


async def test_a_flipped_byte_anywhere_in_the_maps_is_mended(damaged: Damaged) -> None:
    """Whichever map page is damaged, the disk and the snapshot are what they were after a repair."""
    random = Random(5)
    keys = await damaged.site.keys(f"volumes/{damaged.volume}/maps/")
    for _ in range(6):
        key = random.choice(keys)
        data = await damaged.site.objects.get(key)
        await damaged.flip(key, random.randrange(len(data)))
        await damaged.repair()

        assert [] == (await damaged.site.check(damaged.volume)).findings
        keys = await damaged.site.keys(f"volumes/{damaged.volume}/maps/")
    assert ([], []) == await damaged.wrong()


async def test_wrong_counts_are_found_and_counted_anew(damaged: Damaged) -> None:
    """A table that counts wrong is found; after the repair it counts right, and nothing else has changed."""
    async with damaged.site.open(damaged.volume) as disk:
        rows = disk.table.segments
        row = int((rows.live > 4).argmax())
        rows.live[row] -= 3
        await disk.checkpoint()

    before = await damaged.site.check(damaged.volume)
    await damaged.repair()

    assert {Kind.COUNT} == kinds(before)
    assert [] == (await damaged.site.check(damaged.volume)).findings
    assert ([], []) == await damaged.wrong()


async def test_orphans_are_found_and_deleted(damaged: Damaged) -> None:
    """Objects that nothing needs are no damage; a repair deletes them, and nothing else."""
    orphans = [SegmentName(3, 0).key(damaged.volume), MapName(1, 0).key(damaged.volume)]
    before = set(await damaged.site.keys(f"volumes/{damaged.volume}/"))
    for key in orphans:
        await damaged.site.objects.put(key, [b"x"])

    report = await damaged.site.check(damaged.volume)
    await damaged.repair()

    assert sorted(orphans) == sorted(finding.key for finding in report.findings)
    assert report.clean
    after = set(await damaged.site.keys(f"volumes/{damaged.volume}/"))
    assert set() == before - after
    assert ([], []) == await damaged.wrong()


async def test_a_damaged_manifest_is_passed_over_and_said(damaged: Damaged) -> None:
    """The version before it is taken, and after a repair the volume opens again."""
    manifest = await damaged.manifest()
    key = manifest_key(damaged.volume, manifest.version)
    await damaged.flip(key, 40)

    report = await damaged.site.check(damaged.volume)
    await damaged.repair()

    assert Kind.MANIFEST in kinds(report)
    assert manifest.version - 1 == report.version
    assert [key] == [finding.key for finding in report.findings if finding.kind is Kind.MANIFEST]
    async with damaged.site.open(damaged.volume) as disk:
        assert manifest.version + 2 < disk.manifest.version
    assert ([], []) == await damaged.wrong()


async def test_a_map_that_points_elsewhere_is_found(damaged: Damaged) -> None:
    """Where a segment is another one than the map was made for, its blocks are lost, and said to be."""
    name = SegmentName(3, 1)
    _, parts = build_segment(name, SegmentKind.DATA, (1, 1), [(BLOCKS - 40, bytes(30 * BLOCK))], [], BLOCK, Sealer())
    await damaged.site.objects.put(name.key(damaged.volume), parts)

    report = await damaged.site.check(damaged.volume)

    assert {Kind.LOCATION} == kinds(report)
    assert len(blocks_of(report) | blocks_of(report, "then")) > 0


async def test_a_repair_after_rollback_clone_and_collection(site: Site) -> None:
    """What was rolled back stays so, a clone is whole, and trims whose segments were collected stay trims where the
    old map can be read.
    """
    volume = await site.create(BLOCKS)
    clone = site.new_id()
    async with site.open(volume, checkpoint_segments=4) as disk:
        pattern = Patterned(disk)
        await pattern.work(100, zeroes=0.3)
        await snapshots.create_snapshot(disk, "then")
        then = dict(pattern.model)
        await pattern.work(50)
        await snapshots.create_snapshot(disk, "later")
        later = dict(pattern.model)
        await snapshots.rollback(disk, "then")
        pattern.model = dict(then)
        await pattern.work(100, zeroes=0.3)
        await snapshots.clone_snapshot(disk, "then", clone)
        for _ in range(3):
            await Collector(disk).collect(0.9, worth=False)
        await disk.drain()
        await disk.checkpoint()
    async with site.open(clone) as other:
        mine = Patterned(other, seed=9)
        mine.model = dict(then)
        await mine.work(60)
        await other.drain()
        await other.checkpoint()

    for which in (volume, clone):
        manifest = await site.manifest(which)
        assert manifest.head.table is not None
        damaged = Damaged(site)
        damaged.volume = which
        reference = manifest.head.table
        await damaged.flip(manifest.map_key(MapName(reference.number, reference.epoch)), reference.offset + 20)
        await damaged.repair()
        assert [] == (await site.check(which)).findings

    async with site.open(volume) as disk:
        assert [] == await wrong_blocks(disk, pattern.model)
        for _ in range(3):
            await Collector(disk).collect(0.9, worth=False)
        await Collector(disk).delete_orphans(-1)
        for name, model in (("then", then), ("later", later)):
            async with site.snapshot(volume, name) as old:
                assert [] == await wrong_blocks(old, model)
    async with site.open(clone) as other:
        assert [] == await wrong_blocks(other, mine.model)
    assert [] == (await site.check(volume)).findings


async def test_a_repair_leaves_the_journal_valid(site: Site) -> None:
    """What only the journal holds is still there after a repair and another opening."""
    volume = await site.create(64)
    async with site.open(volume, upload_delay=1000.0) as disk:
        pattern = Patterned(disk)
        await pattern.work(10)
        await disk.flush()
    orphan = SegmentName(1, 0).key(volume)
    await site.objects.put(orphan, [b"x"])
    damaged = Damaged(site)
    damaged.volume = volume
    await damaged.repair()

    async with site.open(volume) as disk:
        assert [] == await wrong_blocks(disk, pattern.model)


async def damaged_table(damaged: Damaged) -> SegmentTable:
    """The table of the disk, at the last checkpoint."""
    async with damaged.site.open(damaged.volume) as disk:
        return disk.table.copy()
