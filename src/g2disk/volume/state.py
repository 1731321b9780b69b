"""`VolumeState`, what a volume says of itself to people and metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from g2disk.objects.layers.metered import Usage


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
