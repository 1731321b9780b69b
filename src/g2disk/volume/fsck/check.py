"""Checking one volume: its manifest, maps, segments and counts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from g2disk.errors import Corrupt, Denied, NotFound
from g2disk.objects.store import ObjectStore
from g2disk.threads import Runner
from g2disk.volume.format.compression import Compression
from g2disk.volume.format.manifest import Head, Manifest
from g2disk.volume.format.names import SegmentName
from g2disk.volume.format.sealing import Sealer
from g2disk.volume.format.segment import SegmentIndex
from g2disk.volume.fsck import counts
from g2disk.volume.fsck.contents import I64, U64, Contents, ranges, replay
from g2disk.volume.fsck.manifests import newest_manifest
from g2disk.volume.fsck.maps import MapFound, MapReader
from g2disk.volume.fsck.report import Kind, Report
from g2disk.volume.fsck.segments import Segments, effect_of, stored_length
from g2disk.volume.map.pages import PageSource

_AT_ONCE = 4
"""Segments that are read at the same time."""

Used = dict[int, tuple[U64, I64]]
"""Blocks of each segment that a head uses, and their ordinals there."""


@dataclass(slots=True)
class HeadFound:
    """A head, and what its disk consists of."""

    name: str
    """The snapshot's; empty for the disk itself."""
    head: Head
    size: int
    map: MapFound
    runs: list[SegmentIndex] = field(default_factory=list)
    """Segments that count and are not in the root."""
    contents: Contents = field(default_factory=Contents.empty)


@dataclass(slots=True)
class Found:
    """A volume, as far as it could be read."""

    manifest: Manifest | None
    damaged_manifests: tuple[int, ...]
    heads: list[HeadFound] = field(default_factory=list)
    """The disk itself first, then its snapshots."""
    orphans: list[str] = field(default_factory=list)
    """Keys."""


class Checker:
    """Checks a volume without changing anything.  With `data`, every stored block that somebody can read is read.

    Takes some 30 bytes of memory for each block that the disk or a snapshot holds: 8 GiB for a TiB of 4 KiB blocks.
    """

    def __init__(self, objects: ObjectStore, runner: Runner, report: Report, key: bytes | None, data: bool) -> None:
        self._objects = objects
        self._runner = runner
        self._report = report
        self._key = key
        self._data = data

    async def check(self) -> Found:
        """Check everything; what is wrong is in the report.  Raises `Denied` where the key is missing."""
        newest = await newest_manifest(self._objects, self._report.volume, self._report)
        found = Found(newest.manifest, newest.damaged)
        if newest.manifest is None:
            return found
        manifest = newest.manifest
        self._report.version = manifest.version
        sealer = sealer_of(manifest, self._key)
        segments = Segments(self._objects, sealer, self._runner)
        reader = MapReader(PageSource(self._objects, sealer, manifest.map_key), manifest, self._report)
        wanted = [("", manifest.head, manifest.size)]
        wanted += [(snapshot.name, snapshot.head, snapshot.size) for snapshot in manifest.snapshots]
        for name, head, size in wanted:
            each = HeadFound(name, head, size, await reader.read(head, size))
            await self._read_runs(each, manifest, segments)
            each.contents = replay(each.map.contents, [effect_of(index) for index in each.runs])
            found.heads.append(each)
        self._say_unknown(found.heads, manifest.block_size)
        await self._check_segments(found.heads, manifest, segments)
        counts.check_counts(found.heads[0].map, self._report)
        found.orphans = await counts.find_orphans(self._objects, manifest, found.heads[0].map.table)
        for key in found.orphans:
            self._report.add(Kind.ORPHAN, "nothing needs it; g2disk gc deletes it", key)
        return found

    async def _read_runs(self, each: HeadFound, manifest: Manifest, segments: Segments) -> None:
        """Read the indexes of the segments behind the root: those of the runs, which must be there, and, for the disk
        itself, those that its last writer put after them.
        """
        for run in each.head.runs:
            for number in range(run.first, run.end):
                await self._read_run(each, manifest, segments, SegmentName(number, run.epoch))
        if each.name or not manifest.epochs:
            return
        number = each.head.next
        while True:
            name = SegmentName(number, manifest.epochs[-1].epoch)
            try:
                each.runs.append(await segments.index(manifest.segment_key(name), name))
            except NotFound:
                return
            except Corrupt as error:
                self._report.add(Kind.SEGMENT, f"{error}; it and all behind it are lost", manifest.segment_key(name))
                return
            number += 1

    async def _read_run(self, each: HeadFound, manifest: Manifest, segments: Segments, name: SegmentName) -> None:
        key = manifest.segment_key(name)
        try:
            each.runs.append(await segments.index(key, name))
        except (NotFound, Corrupt) as error:
            where = f" of snapshot {each.name}" if each.name else ""
            message = (
                f"{error}; it belongs to the end{where}, so nobody can tell which ranges it changed; "
                "--repair leaves them as they were before it"
            )
            self._report.add(Kind.SEGMENT, message, key)

    def _say_unknown(self, heads: Sequence[HeadFound], block_size: int) -> None:
        for each in heads:
            parts = [(first * block_size, end * block_size) for first, end in each.map.unknown]
            inside = [(first, min(end, each.size) - first) for first, end in parts if first < each.size]
            self._report.lose(each.name, inside)

    async def _check_segments(self, heads: Sequence[HeadFound], manifest: Manifest, segments: Segments) -> None:
        """Check all segments that some head uses, each once."""
        used: list[Used] = [
            {number: (blocks, ordinals) for number, blocks, ordinals in each.contents.by_segment()} for each in heads
        ]
        numbers = sorted({number for each in used for number in each})
        epochs = counts.epochs_of(heads)
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def check(number: int) -> None:
            async with at_once:
                await self._check_segment(number, epochs, heads, used, manifest, segments)

        for first in range(0, len(numbers), 256):
            async with asyncio.TaskGroup() as tasks:
                for number in numbers[first : first + 256]:
                    tasks.create_task(check(number))

    async def _check_segment(
        self,
        number: int,
        epochs: dict[int, int],
        heads: Sequence[HeadFound],
        used: Sequence[Used],
        manifest: Manifest,
        segments: Segments,
    ) -> None:
        epoch = epochs.get(number)
        if epoch is None:
            message = f"the map uses segment {number}, which no table lists"
            self._report.add(Kind.COUNT, message, manifest.segment_key(SegmentName(number, 0)))
            return
        name = SegmentName(number, epoch)
        key = manifest.segment_key(name)
        self._report.segments += 1
        try:
            index = await segments.index(key, name)
            whole = self._data or await stored_length(self._objects, key, index)
            damaged = await segments.damaged(key, index) if self._data or not whole else None
        except (NotFound, Corrupt) as error:
            self._report.add(Kind.SEGMENT, str(error), key)
            for each, mine in zip(heads, used, strict=True):
                self._lose(each, mine, number, manifest.block_size)
            return
        self._report.stored_bytes += index.stored_bytes
        blocks = index.blocks()
        if damaged is not None:
            self._report.blocks += len(np.unique(np.concatenate([mine[number][1] for mine in used if number in mine])))
        for each, mine in zip(heads, used, strict=True):
            if number in mine:
                self._check_blocks(each, *mine[number], key, blocks, damaged, manifest.block_size)

    def _check_blocks(
        self,
        each: HeadFound,
        blocks: U64,
        ordinals: I64,
        key: str,
        stored: U64,
        damaged: np.ndarray | None,
        block_size: int,
    ) -> None:
        """Hold what a head says of a segment against what the segment says of itself."""
        inside = ordinals < len(stored)
        right = inside.copy()
        right[inside] = stored[ordinals[inside]] == blocks[inside]
        where = f"snapshot {each.name}" if each.name else "the disk"
        if not right.all():
            message = f"the map of {where} says of {int((~right).sum())} blocks that they are here, and they are not"
            self._report.add(Kind.LOCATION, message, key)
        lost = ~right
        if damaged is not None:
            wrong = np.zeros(len(blocks), dtype=bool)
            wrong[right] = damaged[ordinals[right]]
            if wrong.any():
                message = f"{int(wrong.sum())} blocks of {where} do not have their checksums"
                self._report.add(Kind.BLOCK, message, key)
            lost |= wrong
        self._report.lose(each.name, ranges(np.sort(blocks[lost]), block_size))

    def _lose(self, each: HeadFound, mine: Used, number: int, block_size: int) -> None:
        if number in mine:
            self._report.lose(each.name, ranges(np.sort(mine[number][0]), block_size))


def sealer_of(manifest: Manifest, key: bytes | None) -> Sealer:
    """What opens the volume's objects.  Raises `Denied` where it is encrypted and there is no key."""
    if manifest.encryption is not None and key is None:
        raise Denied(f"volume {manifest.volume} is encrypted: give its key, with --key-file or --passphrase-file")
    return Sealer(Compression(manifest.compression), key)
