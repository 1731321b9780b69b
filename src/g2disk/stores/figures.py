"""The names of what `Store.state` says, their kinds and meanings: for `g2disk info`, metrics and the protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["text", "flag", "gauge", "counter"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that a store may say of a disk.  A counter begins at 0 when the disk is opened and only grows."""

    name: str
    kind: Kind
    meaning: str


FIGURES: tuple[Figure, ...] = (
    Figure(
        "durability", "text", "What the disk promises of FLUSH: journal (this host's storage) or remote (the store)."
    ),
    Figure("flush_means", "text", "Where an acknowledged FLUSH is safe right now: memory, journal or store."),
    Figure("unstored_bytes", "gauge", "Bytes written that are not in the object store yet."),
    Figure("unstored_seconds", "gauge", "Seconds since the oldest of them was written."),
    Figure("journal_used", "gauge", "Bytes in the journal."),
    Figure("journal_limit", "gauge", "Bytes that the journal may take; writes wait when it is full."),
    Figure("puts", "counter", "Objects put into the store."),
    Figure("gets", "counter", "Objects, and ranges of objects, got from the store."),
    Figure("lists", "counter", "Requests to list objects."),
    Figure("deletes", "counter", "Objects deleted."),
    Figure("request_errors", "counter", "Requests to the store that failed; most are repeated."),
    Figure("put_bytes", "counter", "Bytes put into the store."),
    Figure("got_bytes", "counter", "Bytes got from the store."),
    Figure("cost_dollars", "counter", "What these requests cost by the price table, in US dollars: an estimate."),
    Figure(
        "cache_hits",
        "counter",
        "Reads of stored data that the read cache answered, for all disks of the server together.",
    ),
    Figure(
        "cache_misses", "counter", "Reads of stored data that went to the store, for all disks of the server together."
    ),
    Figure("live_ratio", "gauge", "The part of the stored blocks that the disk, without its snapshots, still needs."),
    Figure("write_amplification", "gauge", "Bytes put into the store for each byte written to the disk."),
    Figure("space_amplification", "gauge", "Bytes in the store for each byte that the disk holds."),
    Figure("segments", "gauge", "Segments in the store."),
    Figure(
        "garbage_bytes",
        "gauge",
        "Bytes in the store that the disk as it is now does not need: overwritten, or kept for snapshots.",
    ),
    Figure("trouble", "text", "Why the store cannot be used now; empty where it can."),
    Figure("trouble_seconds", "gauge", "Seconds for which it could not be used; 0 where it can."),
    Figure("fenced", "flag", "Another server took the disk over: this one answers nothing any more."),
    Figure("epoch", "gauge", "How often the disk was opened for writing."),
    Figure("snapshots", "gauge", "Snapshots of the disk."),
    Figure("map_memory", "gauge", "Bytes of memory that the disk's map takes up."),
    Figure("block_size", "gauge", "Bytes of the disk's blocks."),
    Figure("compression", "text", "How segments are compressed: none, lz4 or zstd."),
    Figure("encrypted", "flag", "Whether what is stored is encrypted."),
)
"""In the order in which people are told."""
