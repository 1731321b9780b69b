"""`VolumeState`, what a volume says of itself to people and metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from g2disk.objects.layers.metered import Usage
from g2disk.volume.settings import REMOTE

if TYPE_CHECKING:
    from g2disk.volume.volume import Volume


@dataclass(frozen=True, slots=True)
class VolumeState:
    """One moment of an open volume; sizes in bytes, durations in seconds."""

    durability: str
    """The setting: "journal" or "remote"."""
    flush_means: str
    """Where flushed data is now: "memory", "journal" or "store"."""
    unstored_bytes: int
    """Acknowledged, and not in the object store yet."""
    unstored_seconds: float
    """The age of the oldest write that is not in the object store yet; 0 if there is none."""
    journal_used: int
    journal_limit: int
    usage: Usage
    """What the object store was asked for since the volume was opened."""
    cache_hits: int
    cache_misses: int
    live_ratio: float
    """Blocks that somebody can read over blocks stored; 1 for an empty volume."""
    write_amplification: float
    """Bytes put into the store over bytes written by users, since the volume was opened; 0 before the first write."""
    space_amplification: float
    """Bytes stored over bytes that somebody can read; 1 for an empty volume."""
    segments: int
    garbage_bytes: int
    trouble_since: float
    """Wall clock seconds since when the store keeps requests waiting; 0: it does not."""
    trouble_cause: str
    fenced: str
    """Why the volume has stopped for good; empty: it has not."""
    epoch: int
    snapshots: int
    map_memory: int


def state_of(volume: Volume) -> VolumeState:
    """What `volume` says of itself."""
    journal, uploader, table, cache = volume.journal, volume.uploader, volume.table, volume.resources.cache
    usage = volume.parts.metered.usage()
    trouble = volume.parts.objects.trouble()
    since = uploader.unstored_since
    written = volume.changes.bytes_written
    live, stored = table.live_blocks, table.stored_blocks
    block_size = volume.manifest.block_size
    return VolumeState(
        durability=volume.durability,
        flush_means="store" if volume.durability == REMOTE else "journal",
        unstored_bytes=uploader.unstored_bytes,
        unstored_seconds=0.0 if since is None else volume.resources.clock.now() - since,
        journal_used=journal.used,
        journal_limit=journal.limit,
        usage=usage,
        cache_hits=cache.hits,
        cache_misses=cache.misses,
        live_ratio=live / stored if stored else 1.0,
        write_amplification=usage.bytes_put / written if written else 0.0,
        space_amplification=table.stored_bytes / (live * block_size) if live else 1.0,
        segments=len(table.segments),
        garbage_bytes=(stored - live) * block_size,
        trouble_since=trouble.since if trouble else 0.0,
        trouble_cause=trouble.cause if trouble else "",
        fenced=str(volume.health.error) if volume.health.error is not None else "",
        epoch=volume.manifest.epoch,
        snapshots=len(volume.manifest.snapshots),
        map_memory=volume.map.memory,
    )
