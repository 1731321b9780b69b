"""`VolumeStore`, volumes on one object store."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import platformdirs

from g2disk.cancellation import to_the_end
from g2disk.clock import SystemClock
from g2disk.disk import Disk
from g2disk.errors import Busy, Corrupt, DiskError, Exists, NotFound, ReadOnly, Unavailable
from g2disk.objects.layers.retrying import Retrying
from g2disk.objects.opening import open_object_store
from g2disk.objects.probing import probe
from g2disk.objects.store import ObjectStore
from g2disk.stores.disk_map import DiskMap
from g2disk.stores.store import NO_OPTIONS, DiskEntry, SnapshotEntry, StateValue, Store
from g2disk.stores.volume_figures import volume_figures
from g2disk.stores.volume_map import draw
from g2disk.threads import Crew
from g2disk.units import GIB, MIB, check_disk_name, check_disk_size, split_snapshot
from g2disk.volume import snapshots
from g2disk.volume.cache import open_cache
from g2disk.volume.catalogue import Catalogue
from g2disk.volume.chain import ManifestChain
from g2disk.volume.creating import create_volume, open_key, parse_form
from g2disk.volume.format.keys import Secret
from g2disk.volume.format.manifest import Manifest, SnapshotRecord
from g2disk.volume.journal.files import DirectoryFiles
from g2disk.volume.resources import Resources
from g2disk.volume.settings import Settings
from g2disk.volume.snapshot_disk import open_snapshot
from g2disk.volume.volume import Volume
from g2disk.volume.workers import Workers

T = TypeVar("T")

_THREADS = 16
_PATIENCE = 30.0
"""Seconds that the catalogue's requests are repeated; open disks have more patience."""
_CACHE_IN_MEMORY = 128 * MIB
_COMMITTED = "committed"
"""What the newest committed state is called where it is opened like a snapshot."""


@dataclass(frozen=True, slots=True)
class VolumeStoreOptions:
    """What a person chooses beside the store's URL."""

    journal: Path | None = None
    """The directory for the journals, one subdirectory a volume; None: `default_journal`."""
    cache: Path | None = None
    """The directory of the read cache; None: in memory."""
    cache_size: int = GIB
    """Bytes; with a cache in memory at most 128 MiB of them are used."""
    key: Secret | None = None
    """Opens encrypted volumes, and encrypts those that are created with `encrypt`."""
    settings: Settings = field(default_factory=Settings)


def default_journal(url: str) -> Path:
    """Where the journals for the store at `url` are: below /var/lib for root, whose disks are the machine's, and in the
    user's data directory for others; for both, in XDG_DATA_HOME where that is set.
    """
    scheme, _, rest = url.partition(":")
    if scheme == "objects":  # the same directory, however it was written
        url = f"objects:{os.path.abspath(rest)}"
    store = sha256(url.encode()).hexdigest()[:16]
    if os.geteuid() == 0 and not os.environ.get("XDG_DATA_HOME"):
        return Path("/var/lib/g2disk-journals") / store
    return platformdirs.user_data_path("g2disk-journals") / store


class VolumeStore(Store):
    """The volumes under one prefix of an object store.

    A volume is opened for writing when it is asked for, and then stays open.  `NAME@SNAPSHOT` is a read-only disk.
    With `read_only` nothing is claimed or written: disks are what their newest manifest says.
    """

    def __init__(
        self, url: str, resources: Resources, crew: Crew, options: VolumeStoreOptions, *, read_only: bool
    ) -> None:
        self.url = url
        self._resources = resources
        self._crew = crew
        self._options = options
        self._read_only = read_only
        self._objects: ObjectStore = Retrying(resources.objects, resources.clock, resources.random, _PATIENCE)
        self._catalogue = Catalogue(self._objects, resources.clock)
        self._journals = options.journal or default_journal(url)
        self._volumes: dict[str, Volume] = {}
        self._views: dict[str, Disk] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        self._openings = Workers()
        self._works = Workers()
        self._closed = False

    @classmethod
    async def at(cls, url: str, options: VolumeStoreOptions | None = None, *, read_only: bool = False) -> VolumeStore:
        """The store at `url` (s3://…, gs://…, az://…, objects:DIR), after a probe of what it can do.

        Raises `Invalid`, `Unsupported`, `Denied`, `Unavailable`.
        """
        options = options or VolumeStoreOptions()
        clock = SystemClock()
        objects = await open_object_store(url)
        crew = Crew(_THREADS, "g2disk-volume")
        try:
            if not read_only:
                await probe(objects, clock)
            size = options.cache_size if options.cache else min(options.cache_size, _CACHE_IN_MEMORY)
            cache = await crew.run(open_cache, options.cache, size)
        except BaseException:
            crew.stop()
            await objects.close()
            raise
        resources = Resources(objects, None, cache, crew, clock, random.SystemRandom())
        store = cls(url, resources, crew, options, read_only=read_only)
        try:
            await store._catalogue.check_mark()
        except BaseException:
            await store.close()
            raise
        return store

    async def list(self) -> Sequence[DiskEntry]:
        """See `Store.list`.  A damaged disk has size 0, and the reason as its description."""
        entries = []
        for name in await self._catalogue.names():
            try:
                entries.append(await self.get(name))
            except Corrupt as error:
                entries.append(DiskEntry(name, 0, read_only=True, description=f"damaged: {error}"))
            except NotFound:  # deleted meanwhile
                continue
        return entries

    async def get(self, name: str) -> DiskEntry:
        """See `Store.get`."""
        if "@" in name:
            return await super().get(name)
        volume = self._volumes.get(name)
        manifest = volume.manifest if volume is not None else await self._manifest(name)
        return self._entry(name, manifest)

    async def open(self, name: str) -> Disk:
        """See `Store.open`.  Raises `Denied` for a wrong key, `Busy`, `Fenced`, `Corrupt`, too."""
        disk = self._volumes.get(name) or self._views.get(name)
        if disk is not None:
            return disk
        if "@" in name:
            return await self._alone(self._openings, name, self._open_view, name, *split_snapshot(name))
        if self._read_only:
            return await self._alone(self._openings, name, self._open_view, name, name, "")
        return await self._volume(name)

    async def create(
        self, name: str, size: int, description: str = "", options: Mapping[str, str] = NO_OPTIONS
    ) -> DiskEntry:
        """See `Store.create`.  Options: "block-size", "compression" and "encrypt"."""
        self._admit_change()
        check_disk_name(name)
        check_disk_size(size)
        return await self._alone(self._works, name, self._create, name, size, description, options)

    async def resize(self, name: str, size: int) -> DiskEntry:
        """See `Store.resize`.  Shrinking has to be asked for twice; the first time raises `Invalid`."""
        self._admit_change()
        volume = await self._volume(name)
        await volume.resize(size)
        return self._entry(name, volume.manifest)

    async def delete(self, name: str) -> None:
        """See `Store.delete`.  Raises `Busy` while a snapshot of it has clones."""
        self._admit_change()
        await self._alone(self._works, name, self._delete, name)

    async def snapshots(self, name: str) -> Sequence[SnapshotEntry]:
        """See `Store.snapshots`."""
        volume = self._volumes.get(name)
        manifest = volume.manifest if volume is not None else await self._manifest(name)
        return [_snapshot_entry(record) for record in manifest.snapshots]

    async def create_snapshot(self, name: str, snapshot: str) -> SnapshotEntry:
        """See `Store.create_snapshot`."""
        self._admit_change()
        return _snapshot_entry(await snapshots.create_snapshot(await self._volume(name), snapshot))

    async def delete_snapshot(self, name: str, snapshot: str) -> None:
        """See `Store.delete_snapshot`.  A disk that `open` gave for it loses its data in time."""
        self._admit_change()
        await snapshots.delete_snapshot(await self._volume(name), snapshot)
        self._views.pop(f"{name}@{snapshot}", None)

    async def rollback(self, name: str, snapshot: str) -> DiskEntry:
        """See `Store.rollback`."""
        self._admit_change()
        volume = await self._volume(name)
        await snapshots.rollback(volume, snapshot)
        return self._entry(name, volume.manifest)

    async def clone(self, name: str, snapshot: str, new_name: str) -> DiskEntry:
        """See `Store.clone`."""
        self._admit_change()
        check_disk_name(new_name)
        return await self._alone(self._works, new_name, self._clone, name, snapshot, new_name)

    async def state(self, name: str) -> Mapping[str, StateValue]:
        """See `Store.state`; nothing of a disk that is only read."""
        disk = await self.open(name)
        if not isinstance(disk, Volume):
            return {}
        return volume_figures(disk.state(), disk.manifest, self._resources.clock.wall())

    async def map(self, name: str, offset: int, length: int, cells: int) -> DiskMap:
        """See `Store.map`."""
        disk = await self.open(name)
        if not isinstance(disk, Volume):
            return await super().map(name, offset, length, cells)
        block_size = disk.manifest.block_size
        return await draw(disk.map, block_size, disk.size, offset, length, cells, self._resources.clock)

    async def close(self) -> None:
        """See `Store.close`.  Closes everything in any case, and raises what the first volume raised."""
        if self._closed:
            return
        self._closed = True
        self._openings.cancel(Unavailable(f"{self.url} was closed meanwhile; open it again"))
        failures: list[DiskError] = []
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._works.finish(self._options.settings.close_seconds))
                for disk in (*self._views.values(), *self._volumes.values()):
                    tasks.create_task(_close(disk, failures))
        finally:
            await to_the_end(self._let_go())
        if failures:
            raise failures[0]

    async def _let_go(self) -> None:
        await self._openings.stop()
        self._views.clear()
        self._volumes.clear()
        self._crew.stop()
        self._resources.cache.close()
        await self._objects.close()

    async def _volume(self, name: str) -> Volume:
        volume = self._volumes.get(name)
        if volume is None:
            check_disk_name(name)
            volume = await self._alone(self._openings, name, self._open, name)
        return volume

    async def _open(self, name: str) -> Volume:
        if name in self._volumes:
            return self._volumes[name]
        manifest = await self._manifest(name)
        key = await open_key(manifest, self._resources, self._options.key)
        directory = self._journals / manifest.volume
        files = await self._crew.run(DirectoryFiles, directory, self._crew)
        resources = self._resources.with_files(files)
        self._volumes[name] = await Volume.open(manifest.volume, resources, self._options.settings, key)
        return self._volumes[name]

    async def _open_view(self, full_name: str, name: str, snapshot: str) -> Disk:
        """A disk that is only read: a snapshot, or without one what was committed last."""
        if full_name in self._views:
            return self._views[full_name]
        volume = self._volumes.get(name)
        manifest = volume.manifest if volume is not None else await self._manifest(name)
        if not snapshot:
            record = SnapshotRecord(name=_COMMITTED, created=manifest.created, size=manifest.size, head=manifest.head)
            manifest, snapshot = msgspec.structs.replace(manifest, snapshots=(record,)), _COMMITTED
        key = await open_key(manifest, self._resources, self._options.key)
        disk = await open_snapshot(manifest, snapshot, self._resources, self._options.settings, key)
        self._views[full_name] = disk
        return disk

    async def _create(self, name: str, size: int, description: str, options: Mapping[str, str]) -> DiskEntry:
        form = parse_form(options)
        await self._refuse_existing(name)
        volume = self._new_id()
        manifest = await create_volume(volume, size, form, self._resources, self._options.key, description)
        await self._name(name, volume)
        return self._entry(name, manifest)

    async def _clone(self, name: str, snapshot: str, new_name: str) -> DiskEntry:
        await self._refuse_existing(new_name)
        volume = self._new_id()
        manifest = await snapshots.clone_snapshot(await self._volume(name), snapshot, volume)
        await self._name(new_name, volume)
        return self._entry(new_name, manifest)

    async def _delete(self, name: str) -> None:
        entry = await self._catalogue.find(name)
        volume = self._volumes.get(name)
        if volume is not None:
            # A clone that is under way holds the same lock: it sees that the disk is going, or is seen here.
            async with volume.changing:
                await self._refuse_needed(name, volume.manifest)
                await volume.commit(_of_next_epoch(volume.manifest))
                volume.health.fail(NotFound(f"the disk {name!r} of {self.url} was deleted"))
        else:
            chain = self._chain(entry.volume)
            manifest = await chain.load()
            await self._refuse_needed(name, manifest)
            await chain.commit(_of_next_epoch(manifest))
        # Whoever else has it open finds a newer epoch now, and stops.
        await self._catalogue.remove(name)
        for full_name in [view for view in self._views if view.partition("@")[0] == name]:
            await self._views.pop(full_name).close()
        if volume is not None:
            await self._volumes.pop(name).close()
        await self._catalogue.delete_objects(entry.volume)

    async def _refuse_needed(self, name: str, manifest: Manifest) -> None:
        if await snapshots.living_clones(manifest, self._objects, self._resources):
            raise Busy(f"disks that were cloned from {name!r} need it; delete them first")

    async def _refuse_existing(self, name: str) -> None:
        try:
            await self._catalogue.find(name)
        except NotFound:
            return
        raise Exists(f"there is a disk {name!r} in {self.url} already; take another name, or delete it first")

    async def _name(self, name: str, volume: str) -> None:
        try:
            await self._catalogue.add(name, volume)
        except Exists:
            await self._catalogue.delete_objects(volume)
            raise Exists(f"there is a disk {name!r} in {self.url} by now; take another name") from None

    async def _manifest(self, name: str) -> Manifest:
        entry = await self._catalogue.find(check_disk_name(name))
        return await self._chain(entry.volume).load()

    def _chain(self, volume: str) -> ManifestChain:
        return ManifestChain(self._objects, volume, self._resources.clock, self._resources.random)

    def _entry(self, name: str, manifest: Manifest) -> DiskEntry:
        volume = self._volumes.get(name)
        allocated = volume.table.stored_bytes if volume is not None else 0
        description = manifest.description or "volume"
        return DiskEntry(name, manifest.size, manifest.volume, allocated, self._read_only, description)

    def _new_id(self) -> str:
        return f"{self._resources.random.getrandbits(128):032x}"

    def _admit_change(self) -> None:
        if self._read_only:
            raise ReadOnly(f"{self.url} was opened read-only; open it for writing")

    async def _alone(
        self, workers: Workers, name: str, work: Callable[..., Coroutine[Any, Any, T]], *arguments: Any
    ) -> T:
        """Do one thing at a time with what `name` stands for.  It goes on when this is cancelled, until `close`."""
        if self._closed:
            raise Unavailable(f"{self.url} was closed; open it again")
        return await workers.outcome(workers.start(self._in_turn(name, work, *arguments)))

    async def _in_turn(self, name: str, work: Callable[..., Coroutine[Any, Any, T]], *arguments: Any) -> T:
        async with self._turns.setdefault(name, asyncio.Lock()):
            return await work(*arguments)


async def _close(disk: Disk, failures: list[DiskError]) -> None:
    try:
        await disk.close()
    except DiskError as error:
        failures.append(error)


def _of_next_epoch(manifest: Manifest) -> Manifest:
    return msgspec.structs.replace(manifest, epoch=manifest.epoch + 1)


def _snapshot_entry(record: SnapshotRecord) -> SnapshotEntry:
    return SnapshotEntry(record.name, record.created, record.size, len(record.clones))
