"""`SnapshotDisk`, a snapshot that can be read."""

from __future__ import annotations

from g2disk.disk import Buffer, Disk, DiskInfo, Extent
from g2disk.volume.format.manifest import Manifest, SnapshotRecord
from g2disk.volume.map.block_map import BlockMap
from g2disk.volume.map.overlay import Overlay
from g2disk.volume.mapping import find_extents
from g2disk.volume.parts import Parts, assemble, store_layers
from g2disk.volume.readahead import Readahead
from g2disk.volume.reading import Layers, Reader, source_finder
from g2disk.volume.recovery import apply_runs
from g2disk.volume.resources import Resources
from g2disk.volume.settings import Settings
from g2disk.volume.snapshots import snapshot_named


class SnapshotDisk(Disk):
    """A snapshot of a volume; read only."""

    def __init__(
        self, manifest: Manifest, record: SnapshotRecord, parts: Parts, layers: Layers, reader: Reader
    ) -> None:
        self.size = record.size
        # A snapshot that was deleted and made again under the same name is another one.
        self.identity = f"{manifest.volume}@{record.name}:{record.head.sequence}:{record.head.next}"
        self._parts = parts
        self._layers = layers
        self._reader = reader
        self._info = DiskInfo(
            size=record.size,
            identity=self.identity,
            instance=self.identity,
            description=f"snapshot {record.name}: {manifest.description}".removesuffix(": "),
            preferred_block=manifest.block_size,
            read_only=True,
            extents=True,
            cache=True,
        )

    def info(self) -> DiskInfo:
        """The snapshot, which never changes."""
        return self._info

    async def read(self, offset: int, length: int) -> Buffer:
        """See `Disk.read`."""
        size = self._layers.block_size
        first = offset // size
        count = -(-(offset + length) // size) - first
        data = self._reader.read_now(first, count)
        if data is None:
            data = await self._reader.read(first, count)
        start = offset - first * size
        return data if len(data) == length else memoryview(data)[start : start + length]

    async def extents(self, offset: int, length: int) -> list[Extent]:
        """See `Disk.extents`."""
        return await find_extents(self._layers, offset, length)

    async def cache(self, offset: int, length: int) -> None:
        """See `Disk.cache`."""
        size = self._layers.block_size
        first = offset // size
        await self._reader.prefetch(first, -(-(offset + length) // size) - first)

    async def close(self) -> None:
        """See `Disk.close`."""
        await self._parts.workers.stop()


async def open_snapshot(
    manifest: Manifest, name: str, resources: Resources, settings: Settings, key: bytes | None
) -> SnapshotDisk:
    """The snapshot `name` of the volume that has this manifest, as a disk.

    Nothing is claimed or written, so it can be opened anywhere while the volume is being written; `resources.files`
    is not used.  Raises `NotFound`, `Denied` (encrypted, and no key), `Corrupt`.
    """
    record = snapshot_named(manifest, name)
    parts = assemble(store_layers(resources), resources, settings, manifest, key)
    try:
        found = await BlockMap.open(parts.pages, record.head, settings.map_memory)
        await apply_runs(found, manifest, record.head, parts.stored, parts.sealer, parts.workers)
    except BaseException:
        await parts.workers.stop()
        raise
    layers = Layers(Overlay(manifest.block_size), None, found, manifest.block_size)
    reader = Reader(
        layers,
        parts.stored,
        parts.indexes,
        source_finder(lambda: manifest, layers),
        resources.runner,
        parts.workers,
        Readahead(manifest.block_size, settings.readahead),
    )
    return SnapshotDisk(manifest, record, parts, layers, reader)
