"""`prepare`, everything that an opening for writing asks of the store and of the journal, before anybody is served."""

from __future__ import annotations

from dataclasses import dataclass

from g2disk.volume.chain import ManifestChain
from g2disk.volume.journal.journal import Journal
from g2disk.volume.map.block_map import BlockMap
from g2disk.volume.parts import Parts, assemble, store_layers
from g2disk.volume.recovery import Claimed, apply_runs, claim
from g2disk.volume.resources import Resources
from g2disk.volume.settings import Settings


@dataclass(frozen=True, slots=True)
class Prepared:
    """A volume that is ours, and ready to be used."""

    parts: Parts
    chain: ManifestChain
    journal: Journal
    map: BlockMap
    """Of the root and the runs of the head."""
    claimed: Claimed


async def prepare(volume: str, resources: Resources, settings: Settings, key: bytes | None) -> Prepared:
    """See `Volume.open`.  What it opened is closed again if it raises, the journal's directory too."""
    files = resources.files
    assert files is not None
    layers = store_layers(resources)
    chain = ManifestChain(layers[1], volume, resources.clock, resources.random)
    try:
        manifest = await chain.load()
        parts = assemble(layers, resources, settings, manifest, key)
    except BaseException:
        files.close()
        raise
    limit, random = settings.journal_bytes, resources.random
    journal_key = key if manifest.encryption is not None else None
    journal = await Journal.open(files, volume, manifest.block_size, limit, journal_key, random)
    try:
        claimed = await claim(chain, journal, parts.stored, parts.sealer, parts.workers)
        head = claimed.manifest.head
        own = await BlockMap.open(parts.pages, head, settings.map_memory)
        await apply_runs(own, claimed.manifest, head, parts.stored, parts.sealer, parts.workers)
    except BaseException:
        await parts.workers.stop()
        await journal.close()
        raise
    return Prepared(parts, chain, journal, own, claimed)
