"""`Settings`, what can be chosen about a volume that is opened; components are given apart from them."""

from __future__ import annotations

from dataclasses import dataclass

from g2disk.units import GIB, MIB

JOURNAL = "journal"
"""Durability: a flush returns when the local journal is on stable storage; survives a power cut of this host."""
REMOTE = "remote"
"""Durability: a flush returns when everything is in the object store; survives the loss of this host."""
MEMORY = "memory"
"""What a flush means where nothing survives; never chosen, only reported."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a volume works; none of it changes what is stored."""

    durability: str = ""
    """`JOURNAL` or `REMOTE`; empty: what the volume's manifest says."""
    segment_bytes: int = 16 * MIB
    """Data in a full segment, uncompressed."""
    upload_concurrency: int = 4
    """Segments that are built or put at the same time."""
    upload_delay: float = 5.0
    """Seconds after which data is packed though it does not fill a segment."""
    checkpoint_segments: int = 64
    """Segments that take effect between two checkpoints."""
    journal_bytes: int = 1 * GIB
    """The most that the journal takes up."""
    map_memory: int = 64 * MIB
    """Bytes of map leaves kept in memory."""
    index_memory: int = 32 * MIB
    """Bytes of segment indexes kept in memory."""
    readahead: int = 32 * MIB
    """The most that is read ahead of a sequential reader, in bytes; 0 turns it off."""
    check_seconds: float = 2.0
    """How often an active volume looks whether another writer has taken it over."""
    close_seconds: float = 20.0
    """How long closing waits, at most, for what only the journal holds to be put into the store."""
    gc_ratio: float = 0.5
    """Segments with less live data than this part of them are rewritten by garbage collection."""
    scrub: bool = True
    """Whether everything that is stored is read now and then, to find damage before the data is needed."""
