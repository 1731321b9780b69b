"""`Collector`, the garbage collection of one open volume.

It may be killed at any moment.  Blocks that were moved are in two segments until the map knows the new one, and an
object is deleted only after a manifest was committed whose table lists it no more; so a crash leaves at most objects
that nothing needs, which `delete_orphans` finds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from g2disk.cancellation import to_the_end
from g2disk.errors import Corrupt, NotFound
from g2disk.units import MIB
from g2disk.volume.format.manifest import Head
from g2disk.volume.format.names import MapName, SegmentName
from g2disk.volume.gc.moving import Piece, arranged, read_live
from g2disk.volume.gc.orphans import Bounds, orphans
from g2disk.volume.gc.policy import victims

if TYPE_CHECKING:
    from g2disk.volume.volume import Volume

PAUSE = 2.0
"""Seconds between two looks for garbage, and for room to work."""
ORPHAN_SECONDS = 3600.0
"""Between two searches for orphans."""
GRACE = 900.0
"""Seconds that an orphan is left alone."""
_DELETES_AT_ONCE = 8
_WORTH_BYTES = 4 * MIB
_WORTH_PART = 0.02
"""A commit is worth it when it frees so many bytes, or such a part of all."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What a round of garbage collection did."""

    moved_blocks: int = 0
    """Live blocks that were stored anew."""
    segments: int = 0
    """Segments whose live blocks were moved."""
    deleted: int = 0
    """Objects that were deleted."""
    deleted_bytes: int = 0
    orphans: int = 0
    """Objects deleted that no table listed: left behind by crashes and fenced writers."""

    def __add__(self, other: Collected) -> Collected:
        return Collected(
            self.moved_blocks + other.moved_blocks,
            self.segments + other.segments,
            self.deleted + other.deleted,
            self.deleted_bytes + other.deleted_bytes,
            self.orphans + other.orphans,
        )


class Collector:
    """Works beside everything else that the volume does, and may be cancelled or killed at any moment."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self._clock = volume.resources.clock
        self.damaged: dict[int, str] = {}
        """Segments that could not be read, by number, and why; fsck says what it means."""

    async def run(self) -> None:
        """Collect garbage for ever, when there is some, and pause while uploads need the bandwidth.

        Raises `Fenced` when the volume is fenced; segments that are damaged are left alone.
        """
        next_search = self._clock.now() + PAUSE
        done = Collected()
        while True:
            await self._pause(0.0 if done.moved_blocks else PAUSE)
            done = await self.collect(self._volume.settings.gc_ratio)
            if self._clock.now() >= next_search:
                await self.delete_orphans(GRACE)
                next_search = self._clock.now() + ORPHAN_SECONDS

    async def collect(self, ratio: float, worth: bool = True) -> Collected:
        """One round, at once: move the live data of segments that hold less than `ratio` of it, and delete what nothing
        can reach; with `worth`, only if that frees enough.
        """
        volume = self._volume
        snapshots = [snapshot.head for snapshot in volume.manifest.snapshots]
        chosen = victims(volume.table, snapshots, self._first[0], ratio)
        moved = await self._move([name for name in chosen if name.number not in self.damaged])
        return moved + await self._delete_dead(worth)

    async def delete_orphans(self, grace: float) -> Collected:
        """Delete what no table lists and nobody can ever need, if it is older than `grace` seconds.

        What a table lists is asked after the listing: what was listed then was put before.
        """
        volume = self._volume
        manifest = volume.manifest
        bounds = Bounds(manifest.epoch, manifest.head.applied, manifest.next_map)
        keys = await orphans(volume.objects, manifest.volume, bounds, self._clock.wall() - grace, volume.table)
        volume.health.check()
        if volume.table.removed:  # the committed table lists more, and so does the next writer's
            return Collected()
        await self._delete(keys)
        return Collected(orphans=len(keys))

    @property
    def _first(self) -> tuple[int, int]:
        """The first segment and the first map object that are the volume's own, not an ancestor's."""
        ancestry = self._volume.manifest.ancestry
        return (ancestry[-1].first, ancestry[-1].first_map) if ancestry else (1, 1)

    async def _pause(self, seconds: float) -> None:
        """Wait for a while, and then until uploads do not need the bandwidth more.  Raises `Fenced`."""
        volume = self._volume
        while True:
            await self._clock.sleep(seconds)
            volume.health.check()
            full = 2 * volume.journal.used > volume.journal.limit
            if not full or volume.parts.objects.trouble() is not None:  # which may be that space is short
                return
            seconds = PAUSE

    async def _move(self, names: Sequence[SegmentName]) -> Collected:
        volume = self._volume
        size, full = volume.manifest.block_size, volume.settings.segment_bytes
        moved = Collected()
        pieces: list[Piece] = []
        gathered = read = 0
        for name in names:
            await self._pause(0.0)
            try:
                live = await read_live(volume, name)
            except (NotFound, Corrupt) as error:
                self.damaged[name.number] = str(error)
                continue
            read += 1
            for piece in live:
                pieces.append(piece)
                gathered += len(piece[2])
                if gathered >= full:
                    moved += await self._put(pieces, size)
                    pieces, gathered = [], 0
        if pieces:
            moved += await self._put(pieces, size)
        return moved + Collected(segments=read)

    async def _put(self, pieces: list[Piece], block_size: int) -> Collected:
        extents, expected = arranged(pieces, block_size)
        return Collected(moved_blocks=await self._volume.put_collected(extents, expected))

    async def _delete_dead(self, worth: bool) -> Collected:
        """Commit a checkpoint that lists no more what nothing needs, then delete it."""
        volume = self._volume
        async with volume.changing:
            segments, maps = self._dead()
            freed = self._bytes(segments, maps)
            if not freed or (worth and freed < min(_WORTH_BYTES, _WORTH_PART * volume.table.stored_bytes)):
                return Collected()
            manifest = volume.manifest
            keys = [manifest.segment_key(name) for name in segments] + [manifest.map_key(name) for name in maps]
            await to_the_end(self._forget(segments, maps))
        for name in segments:
            volume.resources.cache.drop(manifest.owner(name.number), name.number)
        await self._delete(keys)
        return Collected(deleted=len(keys), deleted_bytes=freed)

    async def _forget(self, segments: Sequence[SegmentName], maps: Sequence[MapName]) -> None:
        """Commit a table without these.  The caller holds `changing`."""
        self._volume.table.remove(segments, maps)
        await self._volume.checkpointing.make()

    def _dead(self) -> tuple[list[SegmentName], list[MapName]]:
        """What nothing needs once a checkpoint of this moment is committed.  The caller holds `changing`."""
        volume = self._volume
        manifest = volume.manifest
        coming: Head = replace(manifest.head, applied=volume.uploader.applied, runs=(), next=volume.uploader.applied)
        snapshots = [snapshot.head for snapshot in manifest.snapshots]
        return volume.table.deletable(coming, snapshots, *self._first)

    def _bytes(self, segments: Sequence[SegmentName], maps: Sequence[MapName]) -> int:
        table, total = self._volume.table, 0
        for rows, names in ((table.segments, segments), (table.maps, maps)):
            for name in names:
                row = rows.row(name.number)
                assert row is not None
                total += int(rows.bytes[row])
        return total

    async def _delete(self, keys: Sequence[str]) -> None:
        for first in range(0, len(keys), _DELETES_AT_ONCE):
            async with asyncio.TaskGroup() as tasks:
                for key in keys[first : first + _DELETES_AT_ONCE]:
                    tasks.create_task(self._volume.objects.delete(key))
