"""`Volume`, a disk on an object store with a journal in front of it; the package's docstring says how it stays safe."""

from __future__ import annotations

import asyncio
import logging

from g2disk.cancellation import to_the_end
from g2disk.disk import Buffer, Disk, DiskInfo, Done, Extent
from g2disk.disk.identity import new_identity
from g2disk.errors import DiskError, Fenced, Unavailable
from g2disk.objects.store import ObjectStore
from g2disk.request import READ, Request
from g2disk.units import format_size
from g2disk.volume.admission import Admission
from g2disk.volume.background import Background
from g2disk.volume.changes import CHANGES, Changes
from g2disk.volume.checkpointing import Checkpointing
from g2disk.volume.collecting import put_collected
from g2disk.volume.format.manifest import Head, Manifest
from g2disk.volume.format.pages import U64
from g2disk.volume.fsck.scrub import Scrubber
from g2disk.volume.gc import Collector
from g2disk.volume.health import Health
from g2disk.volume.journal.journal import Journal
from g2disk.volume.map.block_map import BlockMap
from g2disk.volume.map.overlay import Overlay
from g2disk.volume.map.table import SegmentTable
from g2disk.volume.mapping import find_extents
from g2disk.volume.opening import Prepared, prepare
from g2disk.volume.packing import Extents
from g2disk.volume.parts import Parts
from g2disk.volume.readahead import Readahead
from g2disk.volume.reading import Layers, Reader, source_finder
from g2disk.volume.rebasing import roll_back
from g2disk.volume.recovery import Claimed, extended
from g2disk.volume.resizing import resize_volume
from g2disk.volume.resources import Resources
from g2disk.volume.settings import REMOTE, Settings
from g2disk.volume.state import VolumeState, state_of
from g2disk.volume.uploading import Uploader, Writing
from g2disk.volume.watching import Watching

_log = logging.getLogger(__name__)


class Volume(Disk):
    """A volume that is open for writing; the only one, or it is fenced."""

    def __init__(self, resources: Resources, settings: Settings, prepared: Prepared) -> None:
        parts, journal, manifest = prepared.parts, prepared.journal, prepared.claimed.manifest
        self.resources = resources
        self.settings = settings
        self.durability = settings.durability or manifest.durability
        self.parts = parts
        self.chain = prepared.chain
        self.journal = journal
        self.manifest = manifest
        """The newest one, as it was committed; replaced only by who holds `changing`."""
        self.changing = asyncio.Lock()
        """Held by who commits a manifest or lets a segment take effect."""
        self.sizing = asyncio.Lock()
        """Held, before `changing`, by who changes the size."""
        self.size = manifest.size
        self.identity = manifest.volume
        self.health = Health(self._halt)
        self._background = Background(self.health)
        self._watching = Watching(self)
        self.checkpointing = Checkpointing(self)
        self.scrubber = Scrubber(self)
        self.layers = Layers(Overlay(manifest.block_size), journal, prepared.map, manifest.block_size)
        self.reader = Reader(
            self.layers,
            parts.stored,
            parts.indexes,
            source_finder(lambda: self.manifest, self.layers),
            resources.runner,
            parts.workers,
            Readahead(manifest.block_size, settings.readahead),
            self._watching.check,
        )
        self.uploader = Uploader(
            _writing(resources, settings, parts, manifest, journal),
            self.layers,
            parts.indexes,
            parts.workers,
            self.changing,
            self.checkpointing.segment_took_effect,
        )
        admission = Admission(journal, resources.clock, self.health, self.uploader.force)
        self.changes = Changes(journal, admission, self.reader, self.uploader, self.health)
        self._instance = new_identity()
        self._info = self._describe()

    @classmethod
    async def open(cls, volume: str, resources: Resources, settings: Settings, key: bytes | None) -> Volume:
        """Open for writing: claim the next epoch, accept what the one before left, replay the journal.

        `key` is the data key, unwrapped, of an encrypted volume.  Raises `NotFound`, `Denied` (a wrong key), `Busy`
        (the journal is in use), `Fenced` (the journal holds flushed data that a later writer did not know), `Corrupt`.
        """
        prepared = await prepare(volume, resources, settings, key)
        opened = cls(resources, settings, prepared)
        opened._begin(prepared.claimed)
        return opened

    @property
    def map(self) -> BlockMap:
        """Where the store has each block."""
        return self.layers.map

    @property
    def table(self) -> SegmentTable:
        """The segment table that belongs to `map`."""
        return self.layers.map.table

    @property
    def objects(self) -> ObjectStore:
        """The store; waits and repeats as long as it takes, `create` excepted."""
        return self.parts.objects

    def info(self) -> DiskInfo:
        """The disk as it is now."""
        return self._info

    def submit(self, requests: list[Request], done: Done) -> list[Request]:
        """See `Disk.submit`.  Takes what needs no waiting."""
        if self.health.error is not None:
            return requests
        finished: list[Request] = []
        changes: list[Request] = []
        left: list[Request] = []
        for request in requests:
            if request.operation == READ:
                (finished if self._read_now(request) else left).append(request)
            elif request.operation in CHANGES:
                changes.append(request)
            else:
                left.append(request)
        if changes:
            taken, others = self.changes.take(changes)
            finished += taken
            left += others
        if finished:
            done(finished)
        return left

    async def read(self, offset: int, length: int) -> Buffer:
        """See `Disk.read`.  Waits while the store cannot be reached and what is to be read is nowhere else."""
        size = self.layers.block_size
        first = offset // size
        data = await self.health.race(self.reader.read(first, -(-(offset + length) // size) - first))
        start = offset - first * size
        return data if len(data) == length else memoryview(data)[start : start + length]

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        """See `Disk.write`.  Waits while the journal is full."""
        await self.changes.write(offset, data)
        if fua:
            await self.flush()

    async def flush(self) -> None:
        """See `Disk.flush`.  What it means is the volume's durability."""
        self.health.check()
        if self.durability == REMOTE:
            await self.health.race(self._watching.flush_to_store())
        else:
            await self.journal.commit()

    async def trim(self, offset: int, length: int, fua: bool = False) -> None:
        """See `Disk.trim`.  Whole blocks read as zeroes afterwards."""
        await self.changes.zero(offset, length, edges=False)
        if fua:
            await self.flush()

    async def zero(
        self, offset: int, length: int, fua: bool = False, may_trim: bool = True, fast: bool = False
    ) -> None:
        """See `Disk.zero`.  Always fast, whatever the length, and always gives the space back."""
        await self.changes.zero(offset, length, edges=True)
        if fua:
            await self.flush()

    async def extents(self, offset: int, length: int) -> list[Extent]:
        """See `Disk.extents`."""
        return await self.health.race(find_extents(self.layers, offset, length))

    async def cache(self, offset: int, length: int) -> None:
        """See `Disk.cache`."""
        size = self.layers.block_size
        first = offset // size
        await self.health.race(self.reader.prefetch(first, -(-(offset + length) // size) - first))

    async def close(self) -> None:
        """Stop.  With durability remote this waits until all is in the store.  With durability journal, all is in the
        journal, on stable storage, and this waits for a while until it is in the store, too, so that another host would
        find it; unless the store is in trouble.  Cancelled, it stops at once.
        """
        try:
            if self.health.error is None:
                await self.flush()
                await self._leave_the_journal()
        finally:
            await to_the_end(self._stop())

    def state(self) -> VolumeState:
        """What the volume says of itself now."""
        return state_of(self)

    async def drain(self) -> None:
        """Return when everything that was acknowledged before is in the object store and has taken effect."""
        async with self.changing:
            await self.health.race(self.uploader.settle())

    async def checkpoint(self) -> None:
        """Write what changed of the map into the store, and commit a manifest that begins there."""
        async with self.changing:
            await self.checkpoint_now()

    async def checkpoint_now(self) -> None:
        """As `checkpoint`, for who holds `changing`."""
        await self.checkpointing.make()

    async def resize(self, size: int) -> None:
        """Grow, or shrink when asked twice for the same size: the first time raises `Invalid`, which says so."""
        await resize_volume(self, size)

    def resized(self, size: int) -> None:
        """Say and keep to another size."""
        self.size = size
        self._info = self._describe()

    async def settle_to_store(self) -> Head:
        """Pack and put everything up to now, let it take effect, and return the head that describes exactly this point.

        The caller holds `changing`, and goes on holding it until it has committed a manifest with that head.
        """
        await self.health.race(self.uploader.settle())
        uploader, manifest = self.uploader, self.manifest
        return extended(manifest.head, uploader.applied, manifest.epoch, uploader.applied_sequence)

    async def commit(self, manifest: Manifest) -> None:
        """Commit `manifest`, made from `self.manifest`.  The caller holds `changing`.  Raises `Fenced`.

        Once begun it is done, also when this is cancelled, unless the volume is closed.
        """
        # A worker does it, so that closing can end it though the store does not answer.
        workers = self.parts.workers
        await to_the_end(workers.outcome(workers.start(self._commit(manifest))))

    async def put_collected(self, extents: Extents, expected: U64) -> int:
        """Store blocks that garbage collection moves (first block and data, ascending) in a segment of their own.

        `expected` is each block's location as it was read.  Blocks that were written since are left out, also those
        that only the journal knows.  The caller does not hold `changing`.  Returns how many blocks moved when the
        segment has taken effect.
        """
        return await put_collected(self, extents, expected)

    async def rebase(self, head: Head, size: int) -> None:
        """Go back to `head`, a snapshot's, of a disk of `size` bytes: all that was written since is given up; numbers
        go on.  The caller does not hold `changing`.  Changes wait meanwhile.
        """
        await roll_back(self, head, size)

    def _begin(self, claimed: Claimed) -> None:
        head = claimed.manifest.head
        self.uploader.begin(head.next, head.sequence)
        if claimed.replay:
            self.layers.overlay.record(claimed.replay)
            self.uploader.add(claimed.replay)
        works = [self.uploader.pack, self.uploader.apply, self.checkpointing.keep, self._watching.keep]
        if self.settings.gc_ratio > 0:
            works.append(Collector(self).run)
        if self.settings.scrub:
            works.append(self.scrubber.run)
        self._background.start(*works)

    async def _commit(self, manifest: Manifest) -> None:
        try:
            self.manifest = await self.chain.commit(manifest)
        except Fenced as error:
            self.health.fail(error)
            raise

    def _halt(self) -> None:
        """Put nothing into the store any more."""
        if isinstance(self.health.error, Fenced):
            _log.warning("! volume %s: %s", self.identity, self.health.error)
        self._background.cancel()
        self.parts.workers.cancel(self.health.again())

    async def _stop(self) -> None:
        # First, since the background may wait for something that goes on until it is done, or the volume ends.
        self.health.fail(Unavailable("the volume was closed; open it again"))
        await self.parts.workers.stop()
        await self._background.stop()
        await self.parts.workers.stop()
        await self.journal.close()

    async def _leave_the_journal(self) -> None:
        """Have what only the journal holds put into the store, if that goes quickly."""
        if self.parts.objects.trouble() is None:
            try:
                async with asyncio.timeout(self.settings.close_seconds):
                    await self.drain()
            except TimeoutError:
                pass
        left = self.uploader.unstored_bytes
        if left:
            kept = "are in the journal only: the next server with this journal puts them into the store"
            _log.warning("= volume %s: %s %s", self.identity, format_size(left), kept)

    def _read_now(self, request: Request) -> bool:
        """Do a read that needs no waiting; False where it needs some."""
        size = self.layers.block_size
        offset, length = request.offset, request.length
        first = offset // size
        try:
            data = self.reader.read_now(first, -(-(offset + length) // size) - first)
        except DiskError as error:
            request.error = error
            return True
        if data is None:
            return False
        start = offset - first * size
        request.data = data if len(data) == length else memoryview(data)[start : start + length]
        return True

    def _describe(self) -> DiskInfo:
        return DiskInfo(
            size=self.size,
            identity=self.identity,
            instance=self._instance,
            description=self.manifest.description or "volume",
            preferred_block=self.layers.block_size,
            trim=True,
            zero=True,
            fast_zero=True,
            extents=True,
            cache=True,
        )


def _writing(resources: Resources, settings: Settings, parts: Parts, manifest: Manifest, journal: Journal) -> Writing:
    return Writing(
        volume=manifest.volume,
        epoch=manifest.epoch,
        objects=parts.objects,
        sealer=parts.sealer,
        runner=resources.runner,
        clock=resources.clock,
        segment_bytes=max(min(settings.segment_bytes, journal.limit // 4), manifest.block_size),
        concurrency=settings.upload_concurrency,
        delay=settings.upload_delay,
    )
