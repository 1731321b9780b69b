"""The segment table against what the map says, and what no table lists."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from g2disk.objects.store import ObjectStore
from g2disk.volume.format.manifest import Manifest
from g2disk.volume.format.names import MapName, SegmentName, maps_prefix, parse_object_key, segments_prefix
from g2disk.volume.fsck.maps import MapFound
from g2disk.volume.fsck.report import Kind, Report
from g2disk.volume.map.table import SegmentTable

if TYPE_CHECKING:
    from g2disk.volume.fsck.check import HeadFound


def check_counts(found: MapFound, report: Report) -> None:
    """Count what the map of the disk uses, and compare it with its table.  A map with holes says nothing."""
    if not found.whole or found.table is None:
        return
    segments, maps = found.table.segments, found.table.maps
    expected = found.contents.live()
    for number, live, died in zip(
        segments.number.tolist(), segments.live.tolist(), segments.died.tolist(), strict=True
    ):
        count = expected.pop(number, 0)
        if count != live or (live > 0 and died):
            state = f"died at {died}" if died else "is alive"
            message = f"{count} blocks of segment {number} are in use; the table says {live}, and that it {state}"
            report.add(Kind.COUNT, f"{message}; --repair counts anew")
    for number, count in expected.items():
        report.add(Kind.COUNT, f"{count} blocks of segment {number} are in use, and the table does not list it")
    dead = set(maps.number[maps.died > 0].tolist())
    alive = set(maps.number[maps.died == 0].tolist())
    for number in sorted({name.number for name in found.pages} - alive):
        state = "dead" if number in dead else "not there"
        report.add(Kind.COUNT, f"map object {number} is in use, and {state} by the table; --repair counts anew")


def epochs_of(heads: Iterable[HeadFound]) -> dict[int, int]:
    """The epoch of each segment that counts, by its number: of all tables that can be read, and all runs."""
    epochs: dict[int, int] = {}
    for each in reversed(list(heads)):  # what the disk itself says counts most
        table = each.map.table
        if table is not None:
            epochs.update(zip(table.segments.number.tolist(), table.segments.epochs.tolist(), strict=True))
        epochs.update((index.name.number, index.name.epoch) for index in each.runs)
    return epochs


async def find_orphans(objects: ObjectStore, manifest: Manifest, table: SegmentTable | None) -> list[str]:
    """Keys of the volume that nothing needs: the table does not list them, they do not lie behind its root, and no
    writer of the present epoch may be about to commit them.
    """
    if table is None:
        return []
    listed = {
        SegmentName(number, epoch).key(manifest.owner(number))
        for number, epoch in zip(table.segments.number.tolist(), table.segments.epochs.tolist(), strict=True)
    }
    listed |= {
        MapName(number, epoch).key(manifest.map_owner(number))
        for number, epoch in zip(table.maps.number.tolist(), table.maps.epochs.tolist(), strict=True)
    }
    orphans = []
    for prefix in (segments_prefix(manifest.volume), maps_prefix(manifest.volume)):
        for entry in await objects.list(prefix):
            parsed = parse_object_key(entry.key)
            if parsed is None or entry.key in listed or _may_be_new(parsed[1], manifest):
                continue
            orphans.append(entry.key)
    return orphans


def _may_be_new(name: SegmentName | MapName, manifest: Manifest) -> bool:
    """Whether it belongs to what the last writer put behind the root, or is putting now."""
    if isinstance(name, MapName):
        return name.epoch >= manifest.epoch and name.number >= manifest.next_map
    written = manifest.epochs[-1].epoch if manifest.epochs else 0
    if name.epoch >= written and name.number >= manifest.head.next:
        return True
    return any(run.first <= name.number < run.end and run.epoch == name.epoch for run in manifest.head.runs)
