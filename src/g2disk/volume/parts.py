"""`Parts`, what is needed to get anything out of a volume's objects."""

from __future__ import annotations

from dataclasses import dataclass

from g2disk.errors import Denied
from g2disk.objects.layers.metered import Metered
from g2disk.objects.layers.waiting import Waiting
from g2disk.volume.format.compression import Compression
from g2disk.volume.format.manifest import Manifest
from g2disk.volume.format.sealing import Sealer
from g2disk.volume.indexes import SegmentIndexes
from g2disk.volume.map.pages import PageSource
from g2disk.volume.resources import Resources
from g2disk.volume.settings import Settings
from g2disk.volume.stored import StoredBytes
from g2disk.volume.workers import Workers


@dataclass(frozen=True, slots=True)
class Parts:
    """The store of one opening, in its layers, and the readers of its formats."""

    metered: Metered
    """Stands under what repeats, and so counts each attempt."""
    objects: Waiting
    workers: Workers
    sealer: Sealer
    stored: StoredBytes
    indexes: SegmentIndexes
    pages: PageSource


def store_layers(resources: Resources) -> tuple[Metered, Waiting]:
    """The object store, metered, and around that with patience."""
    metered = Metered(resources.objects)
    return metered, Waiting(metered, resources.clock, resources.random)


def assemble(
    layers: tuple[Metered, Waiting], resources: Resources, settings: Settings, manifest: Manifest, key: bytes | None
) -> Parts:
    """The parts for the volume of `manifest`.  Raises `Denied` where it is encrypted, and no key was given."""
    if manifest.encryption is not None and key is None:
        raise Denied("the volume is encrypted; give its key file or passphrase")
    metered, objects = layers
    workers = Workers()
    sealer = Sealer(Compression(manifest.compression), key if manifest.encryption is not None else None)
    stored = StoredBytes(objects, resources.cache, workers)
    return Parts(
        metered,
        objects,
        workers,
        sealer,
        stored,
        SegmentIndexes(stored, workers, sealer, settings.index_memory),
        PageSource(objects, sealer, lambda name: name.key(manifest.map_owner(name.number))),
    )
