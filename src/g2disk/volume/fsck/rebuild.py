"""Making maps anew from the segments alone, and tables from what is in use."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec.structs import replace

from g2disk.errors import Corrupt, NotFound
from g2disk.objects.store import ObjectStore
from g2disk.threads import Runner
from g2disk.volume.format.compression import Compression
from g2disk.volume.format.manifest import Head, Manifest, SnapshotRecord
from g2disk.volume.format.names import MapName, SegmentName, maps_prefix, parse_object_key
from g2disk.volume.format.sealing import Sealer
from g2disk.volume.format.segment import SegmentIndex, SegmentKind
from g2disk.volume.fsck.accepted import all_segments, of_head
from g2disk.volume.fsck.check import Found, HeadFound
from g2disk.volume.fsck.contents import U64, Contents, outside, replay, runs
from g2disk.volume.fsck.counts import epochs_of
from g2disk.volume.fsck.segments import Segments, effect_of
from g2disk.volume.fsck.tables import Row, live_maps, map_row, segment_rows, table_of
from g2disk.volume.map.block_map import BlockMap
from g2disk.volume.map.pages import PageSource, PageWriter


class Rebuilder:
    """Writes maps and tables for a manifest that was just claimed; the caller commits what it returns."""

    def __init__(self, objects: ObjectStore, runner: Runner, sealer: Sealer, manifest: Manifest, found: Found) -> None:
        self._objects = objects
        self._runner = runner
        self._sealer = sealer
        self._manifest = manifest
        self._heads = found.heads
        self._segments = Segments(objects, sealer, runner)
        self._pages = PageSource(objects, sealer, manifest.map_key)
        self._indexes: dict[int, SegmentIndex] = {}
        self._next_map = manifest.next_map
        self._checkpoints = max(each.head.checkpoint for each in found.heads)
        self._extra: list[tuple[MapName, int, int, int]] = []
        """Map objects that were written for snapshots: name, bytes, pages, and the count of the checkpoint."""

    async def rebuild(self, broken: Sequence[str]) -> Manifest:
        """The manifest with maps made anew for the heads named in `broken` ("": the disk itself; others: snapshots),
        and a table that counts right.
        """
        await self._read_indexes()
        snapshots = []
        for record, each in zip(self._manifest.snapshots, self._heads[1:], strict=True):
            snapshots.append(await self._snapshot(record, each) if record.name in broken else record)
        head = await (self._disk(broken) if "" in broken else self._recount(broken))
        return replace(self._manifest, head=head, snapshots=tuple(snapshots), next_map=self._next_map)

    async def _read_indexes(self) -> None:
        names = await all_segments(self._objects, self._manifest, epochs_of(self._heads))
        for number, epoch in sorted(names.items()):
            name = SegmentName(number, epoch)
            try:
                self._indexes[number] = await self._segments.index(self._manifest.segment_key(name), name)
            except (NotFound, Corrupt):  # the check has said so
                continue

    async def _snapshot(self, record: SnapshotRecord, each: HeadFound) -> SnapshotRecord:
        made = await self._map(each)
        made.checkpoints = self._checkpoints
        root, table = await made.checkpoint(self._writer())
        self._written(made)
        for number, epoch, size, pages in live_maps(made.table):
            self._extra.append((MapName(number, epoch), size, pages, made.checkpoints))
        head = replace(each.head, root=root, table=table, checkpoint=made.checkpoints, applied=each.head.next, runs=())
        return replace(record, head=head)

    async def _disk(self, broken: Sequence[str]) -> Head:
        """The head of the disk itself, with a map from the segments."""
        each = self._heads[0]
        made = await self._map(each)
        rows = made.table.segments
        live = dict(zip(rows.number.tolist(), rows.live.tolist(), strict=True))
        segments = segment_rows(self._indexes.values(), live, each.map.table, each.head.next)
        made.table = table_of([*segments, *await self._map_rows(broken, own=False)])
        return replace(await self._checkpoint(made, each.head), applied=each.head.next, runs=())

    async def _recount(self, broken: Sequence[str]) -> Head:
        """The head of the disk itself with its own map, and a table that was counted anew."""
        each = self._heads[0]
        made = await BlockMap.open(self._pages, each.head)
        before = [index for number, index in self._indexes.items() if number < each.head.applied]
        segments = segment_rows(before, each.map.contents.live(), each.map.table, each.head.applied)
        made.table = table_of([*segments, *await self._map_rows(broken, own=True)])
        return await self._checkpoint(made, each.head)

    async def _checkpoint(self, made: BlockMap, head: Head) -> Head:
        made.checkpoints = self._checkpoints
        root, table = await made.checkpoint(self._writer())
        self._written(made)
        return replace(head, root=root, table=table, checkpoint=made.checkpoints)

    def _writer(self) -> PageWriter:
        self._last = PageWriter(
            self._objects, self._sealer, self._runner, self._manifest.volume, self._manifest.epoch, self._next_map
        )
        return self._last

    def _written(self, made: BlockMap) -> None:
        self._next_map = self._last.next
        self._checkpoints = made.checkpoints

    async def _map(self, each: HeadFound) -> BlockMap:
        """The map of a head, from all its segments in order.

        A trim whose segment was collected is in no segment any more; what can be read of the old map tells it.
        """
        made = BlockMap(self._pages)
        names = of_head({number: index.name.epoch for number, index in self._indexes.items()}, each.head)
        for name in names:
            await made.apply(self._indexes[name.number])
        effects = [effect_of(self._indexes[name.number]) for name in names]
        trimmed = _trimmed(replay(Contents.empty(), effects), each)
        if len(trimmed) and names:
            await made.apply(_zeroing(names[-1], trimmed, self._manifest))
        return made

    async def _map_rows(self, broken: Sequence[str], *, own: bool) -> list[Row]:
        """Rows for the map objects that are in use: by the disk itself if `own`, and by snapshots."""
        sizes = await self._sizes()
        mine = self._heads[0].map.pages if own else {}
        died = self._checkpoints + 1
        rows = {
            name: map_row(name.number, name.epoch, sizes.get(name, 0), pages, born=1, died=0)
            for name, pages in mine.items()
        }
        for each in self._heads[1:]:
            if each.name in broken:
                continue
            for name, pages in each.map.pages.items():
                if name not in rows:
                    rows[name] = map_row(name.number, name.epoch, sizes.get(name, 0), pages, born=1, died=died)
        for name, size, pages, born in self._extra:
            rows[name] = map_row(name.number, name.epoch, size, pages, born=born, died=died)
        return list(rows.values())

    async def _sizes(self) -> dict[MapName, int]:
        """Bytes of all map objects."""
        sizes: dict[MapName, int] = {}
        owners = {ancestor.volume for ancestor in self._manifest.ancestry} | {self._manifest.volume}
        for owner in owners:
            for entry in await self._objects.list(maps_prefix(owner)):
                parsed = parse_object_key(entry.key)
                if parsed is not None and isinstance(parsed[1], MapName):
                    sizes[parsed[1]] = entry.size
        return sizes


def _trimmed(rebuilt: Contents, each: HeadFound) -> U64:
    """Blocks that are zeroes by the old map, as far as it can be read, and not by the segments."""
    behind = [effect_of(index) for index in each.runs if index.name.number < each.head.next]
    before = replay(each.map.contents, behind)
    candidates = rebuilt.blocks[~np.isin(rebuilt.blocks, before.blocks)]
    return outside(candidates, each.map.unknown)


def _zeroing(name: SegmentName, blocks: U64, manifest: Manifest) -> SegmentIndex:
    """What looks like a segment that zeroes these blocks."""
    firsts, counts = runs(blocks)
    none = np.empty(0, "<u4")
    return SegmentIndex(
        *(name, SegmentKind.DATA, manifest.block_size, Compression.NONE, 1, 1),
        *(firsts.astype("<u8"), counts.astype("<u8"), np.empty(0, "<u8"), none, none, none),
    )
