"""fsck of a whole store, and the commands fsck and gc as people run them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from g2disk.cli.exit_codes import EXIT_CODE
from g2disk.clock import SystemClock
from g2disk.errors import Corrupt, Denied, NotFound
from g2disk.stores.volumes import VolumeStore, VolumeStoreOptions
from g2disk.testing.clock import ManualClock
from g2disk.threads import Inline
from g2disk.units import MIB
from g2disk.volume import snapshots
from g2disk.volume.catalogue import Catalogue
from g2disk.volume.creating import Form, create_volume, open_key
from g2disk.volume.format.compression import Compression
from g2disk.volume.format.keys import Secret
from g2disk.volume.fsck.repair import Tools
from g2disk.volume.fsck.report import Kind, Report
from g2disk.volume.fsck.store import LEFTOVER_SECONDS, StoreCheck
from g2disk.volume.gc import Collector
from g2disk.volume.volume import Volume
from tests.cli.command import Command
from tests.volume.lifecycle.site import BLOCK, Patterned, Site, wrong_blocks

SECRET = Secret("raw", bytes(32))


async def check(site: Site, *names: str, secret: Secret | None = None, repair: bool = False) -> list[Report]:
    tools = Tools(site.objects, Inline(), site.clock, site.random)
    return [report async for report in StoreCheck(tools, secret, data=True, repair=repair).check(names)]


async def name(site: Site, disk: str, volume: str) -> None:
    await Catalogue(site.objects, site.clock).add(disk, volume)


async def test_all_disks_are_checked(site: Site) -> None:
    """Each disk of the store has its report, by name; or only those that are named."""
    for disk in ("b", "a"):
        await name(site, disk, await site.create(16))

    assert ["a", "b"] == [report.name for report in await check(site)]
    assert [("b", True)] == [(report.name, report.clean) for report in await check(site, "b")]
    with pytest.raises(NotFound):
        await check(site, "c")


async def test_a_volume_without_a_name_is_deleted_when_it_is_old(site: Site) -> None:
    """What was left over when a server ended is told, stays for a day, and then goes with a repair."""
    clock = ManualClock(now=1e9)
    site.clock = clock
    site.objects._clock = clock  # type: ignore[attr-defined]
    await name(site, "a", await site.create(16))
    leftover = await site.create(16)

    young = await check(site, repair=True)
    await clock.advance(LEFTOVER_SECONDS + 1)
    old = await check(site)
    there = await site.keys(f"volumes/{leftover}/")
    await check(site, repair=True)

    assert [Kind.ORPHAN] == [finding.kind for report in young for finding in report.findings]
    assert "tomorrow" in young[1].findings[0].message
    assert "--repair" in old[1].findings[0].message
    assert there
    assert [] == await site.keys(f"volumes/{leftover}/")
    assert ["a"] == [report.name for report in await check(site)]


async def old_disk(site: Site, disk: str) -> tuple[str, Patterned]:
    """A disk that was written a day ago."""
    clock = ManualClock(now=1e9)
    site.objects._clock = clock  # type: ignore[attr-defined]
    volume = await site.create(64)
    async with site.open(volume) as opened:
        pattern = Patterned(opened)
        await pattern.work(20)
        await opened.drain()
    await name(site, disk, volume)
    site.clock = clock
    await clock.advance(LEFTOVER_SECONDS + 1)
    return volume, pattern


async def test_a_disk_whose_entry_is_damaged_is_never_deleted(site: Site) -> None:
    """Nothing that may be the disk of a damaged entry goes with a repair, however old it is."""
    volume, _ = await old_disk(site, "a")
    before = await site.keys(f"volumes/{volume}/")
    await site.objects.put("disks/a.json", [b"{"])

    reports = await check(site, repair=True)

    assert before == await site.keys(f"volumes/{volume}/")
    assert [Kind.MANIFEST, Kind.MANIFEST] == [finding.kind for report in reports for finding in report.findings]
    assert "it may be a, whose entry is damaged" in reports[1].findings[0].message


async def test_a_disk_whose_entry_was_lost_gets_a_name(site: Site) -> None:
    """A volume that was in use is not taken for rubbish: a repair gives it a name, under which all of it is there."""
    volume, pattern = await old_disk(site, "a")
    await site.objects.delete("disks/a.json")
    found = f"found-{volume[:8]}"

    before = await check(site)
    await check(site, repair=True)

    assert found in before[0].findings[0].message
    assert [(found, True)] == [(report.name, report.clean) for report in await check(site)]
    assert volume == (await Catalogue(site.objects, site.clock).find(found)).volume
    site.clock = SystemClock()
    async with site.open(volume) as disk:
        assert [] == await wrong_blocks(disk, pattern.model)


async def test_a_clone_whose_parent_does_not_know_it_is_found(site: Site) -> None:
    """The parent might delete what the clone needs; a clone that is noted is fine."""
    parent, clone = await site.create(16), site.new_id()
    async with site.open(parent) as disk:
        await snapshots.create_snapshot(disk, "then")
        await snapshots.clone_snapshot(disk, "then", clone)
    await name(site, "parent", parent)
    await name(site, "clone", clone)
    assert all(report.clean for report in await check(site))

    for key in await site.keys(f"volumes/{parent}/"):
        await site.objects.delete(key)
    report = (await check(site, "clone"))[0]

    assert [Kind.CLONE] == [finding.kind for finding in report.findings]


async def test_an_encrypted_disk_needs_its_key(site: Site) -> None:
    """Without the key, or with a wrong one, nothing is checked; with it all is."""
    volume = site.new_id()
    form = Form(compression=Compression.ZSTD, encrypt=True)
    manifest = await create_volume(volume, 64 * BLOCK, form, site.resources(), SECRET)
    await name(site, "secret", volume)
    key = await open_key(manifest, site.resources(), SECRET)
    disk = await Volume.open(volume, site.resources(volume), site.settings, key)
    pattern = Patterned(disk)
    await pattern.work(100)
    await disk.drain()
    await Collector(disk).collect(0.9, worth=False)
    await disk.close()

    with pytest.raises(Denied, match="'secret' is encrypted"):
        await check(site)
    with pytest.raises(Denied):
        await check(site, secret=Secret("raw", bytes(range(32))))
    whole = (await check(site, secret=SECRET))[0]
    assert [] == whole.findings
    assert len(pattern.model) == whole.blocks
    for map_key in await site.keys(f"volumes/{volume}/maps/"):
        await site.objects.delete(map_key)
    await check(site, secret=SECRET, repair=True)
    disk = await Volume.open(volume, site.resources(volume), site.settings, key)
    assert [] == await wrong_blocks(disk, pattern.model)
    await disk.close()


async def test_damage_is_not_taken_for_change(site: Site) -> None:
    """A damaged newest manifest is damage, and nobody is said to have changed the disk meanwhile."""
    volume = await site.create(16)
    await name(site, "a", volume)
    async with site.open(volume) as disk:
        await snapshots.create_snapshot(disk, "then")
    newest = (await site.keys(f"volumes/{volume}/manifests/"))[-1]
    await site.objects.put(newest, [b"{"])

    report = (await check(site))[0]

    assert [Kind.MANIFEST] == [finding.kind for finding in report.findings]
    assert not report.moving


async def test_a_damaged_mark_is_told_with_the_way_out(site: Site) -> None:
    """fsck does not send anybody to fsck."""
    await name(site, "a", await site.create(16))
    await site.objects.put("g2disk.json", [b"{"])

    with pytest.raises(Corrupt, match="delete that object"):
        await check(site)


async def test_what_a_snapshot_shares_is_counted_once(site: Site) -> None:
    """As many blocks are said to be read as are stored, however many snapshots have them."""
    volume = await site.create(64)
    await name(site, "a", volume)
    async with site.open(volume) as disk:
        await Patterned(disk).write(0, 40)
        await snapshots.create_snapshot(disk, "then")
        await Patterned(disk).write(0, 8)
        await disk.drain()

    assert [48] == [report.blocks for report in await check(site)]


async def test_a_disk_in_use_can_be_checked(site: Site) -> None:
    """fsck of a disk that is written, and whose garbage is collected, finds nothing that is not so."""
    volume = await site.create(64)
    await name(site, "a", volume)
    async with site.open(volume) as disk:
        pattern, collector = Patterned(disk), Collector(disk)
        for _ in range(10):
            await pattern.work(40)
            await disk.drain()
            _, reports = await asyncio.gather(collector.collect(0.9, worth=False), check(site))
            assert [] == reports[0].findings


async def test_the_commands(tmp_path: Path) -> None:
    """fsck says what is lost and ends with the code for it, gc frees what is dead, and both speak JSON."""
    url = f"objects:{tmp_path}/store"
    options = VolumeStoreOptions(journal=tmp_path / "journal")
    store = await VolumeStore.at(url, options)
    await store.create("disk", 16 * MIB)
    volume = await store.open("disk")
    pattern = Patterned(volume)
    for _ in range(3):
        for block in range(0, 512, 8):
            await pattern.write(block, 8)
        await volume.drain()  # type: ignore[attr-defined]
    identity = volume.info().identity
    await store.close()

    with Command.in_directory("unused") as g2disk:
        assert g2disk.ok("fsck", url, "--data").startswith("disk: clean: ")
        assert 2 * 2 * MIB <= g2disk.json("gc", url, "--journal", tmp_path / "journal")["disks"][0]["deleted_bytes"]
        assert g2disk.json("fsck", url, "disk", "--data")["clean"]
        for segment in (tmp_path / "store" / "volumes" / identity / "segments").iterdir():
            segment.unlink()
        damaged = g2disk("fsck", url)
        assert EXIT_CODE[Corrupt] == damaged.code
        assert "disk: lost: bytes 0 to 2097152, 2MiB" in damaged.out
        assert EXIT_CODE[NotFound] == g2disk("fsck", f"objects:{tmp_path}/elsewhere").code
        assert not (tmp_path / "elsewhere").exists()
