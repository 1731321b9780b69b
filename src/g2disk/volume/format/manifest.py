"""The manifest: one small object a version, which says what a volume consists of.

What a committed manifest says: the disk is what its head's root says, then the segments of its runs in order, then the
segments `next`, `next` + 1, ... of the last epoch in `epochs` up to the first that is missing, then the journal.
Source: docs/formats/manifest.md.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from typing import Annotated, Literal, TypeAlias

import msgspec

from g2disk.errors import Corrupt
from g2disk.units import MAXIMUM_DISK_SIZE
from g2disk.volume.format.checksum import Buffer
from g2disk.volume.format.document import decode_document, encode_document
from g2disk.volume.format.keys import WrappedKey
from g2disk.volume.format.names import MapName, SegmentName

SMALLEST_BLOCK = 4096
LARGEST_BLOCK = 65536
MOST_EPOCHS = 64
"""Of the last epochs, that a manifest keeps."""
NUMBER_LIMIT = 1 << 40
"""All segment numbers are smaller, since a location has 40 bits for them."""

LARGEST = (1 << 63) - 1
"""Of all numbers."""

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=LARGEST)]
Epoch: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=(1 << 32) - 1)]
Number: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=NUMBER_LIMIT)]
Identity: TypeAlias = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
Size: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=MAXIMUM_DISK_SIZE)]


class PageReference(msgspec.Struct, frozen=True, forbid_unknown_fields=True, order=True):
    """Where a sealed page stands: in the map object `number`-`epoch`."""

    number: Annotated[int, msgspec.Meta(ge=1, le=LARGEST)]
    epoch: Epoch
    offset: Annotated[int, msgspec.Meta(ge=0, le=(1 << 32) - 1)]
    length: Annotated[int, msgspec.Meta(ge=1, le=(1 << 32) - 1)]


class Run(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Segments [`first`, `end`) of `epoch`, which are accepted."""

    first: Number
    end: Number
    epoch: Epoch


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A state of a disk."""

    root: PageReference | None = None
    """Of the map; None while nothing was checkpointed: all blocks are zeroes there."""
    table: PageReference | None = None
    """Of the segment table; there with the root."""
    checkpoint: Count = 0
    """Counts up with every checkpoint."""
    applied: Number = 1
    """All segments with smaller numbers are in the root."""
    runs: tuple[Run, ...] = ()
    """Accepted and not in the root; they are contiguous, from `applied` on."""
    next: Number = 1
    """The first number that is in neither: of a snapshot its end, else the first of the present epoch's."""
    sequence: Count = 0
    """Of the last change that the root and the runs hold."""
    abandoned: tuple[tuple[Number, Number], ...] = ()
    """Ranges [first, end) of segments that rollbacks gave up: they do not belong to this state, though they may still
    be there for later snapshots."""


class SnapshotRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A state that is kept."""

    name: str
    created: float
    """Seconds since 1970, by the clock of who made it."""
    size: Size
    """Of the disk, at that time."""
    head: Head
    clones: tuple[Identity, ...] = ()
    """Volumes that begin as this snapshot, and need it."""


class EpochRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An opening for writing."""

    epoch: Epoch
    journal: Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{32})?$")] = ""
    """The identity of its journal; empty where it has none."""
    sequence: Count = 0
    """Of the last change of all earlier epochs that was accepted when this one began."""
    first: Number = 1
    """The number of its first segment: all smaller ones are of earlier epochs."""


class Ancestor(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The segments from `first` on, up to the next ancestor's, belong to `volume`; so do the map objects."""

    first: Number
    first_map: Annotated[int, msgspec.Meta(ge=1, le=LARGEST)]
    volume: Identity


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A version of what a volume is."""

    version: Annotated[int, msgspec.Meta(ge=1, le=LARGEST)]
    token: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
    """Random, and of this version and this writer alone: a writer whose answer was lost knows its own by it."""
    volume: Identity
    epoch: Epoch
    size: Size
    block_size: Annotated[int, msgspec.Meta(ge=SMALLEST_BLOCK, le=LARGEST_BLOCK)]
    durability: Literal["journal", "remote"] = "journal"
    """What a flush waits for, where the one who opens the volume does not say."""
    compression: Literal["none", "lz4", "zstd"] = "none"
    encryption: WrappedKey | None = None
    description: str = ""
    created: float = 0.0
    """Seconds since 1970."""
    head: Head = Head()
    snapshots: tuple[SnapshotRecord, ...] = ()
    ancestry: tuple[Ancestor, ...] = ()
    """By `first`, ascending; the last is the volume itself."""
    epochs: tuple[EpochRecord, ...] = ()
    """The last MOST_EPOCHS, ascending."""
    next_map: Annotated[int, msgspec.Meta(ge=1, le=LARGEST)] = 1
    """The number of the next map object."""
    shrink_requested: Size | None = None
    """The size that was asked for once; asked for again, the disk shrinks."""

    def owner(self, number: int) -> str:
        """The volume that segment `number` belongs to."""
        found = bisect_right(self.ancestry, number, key=lambda ancestor: ancestor.first)
        return self.ancestry[found - 1].volume if found else self.volume

    def map_owner(self, number: int) -> str:
        """The volume that map object `number` belongs to."""
        found = bisect_right(self.ancestry, number, key=lambda ancestor: ancestor.first_map)
        return self.ancestry[found - 1].volume if found else self.volume

    def segment_key(self, name: SegmentName) -> str:
        """The key of that segment in the store."""
        return name.key(self.owner(name.number))

    def map_key(self, name: MapName) -> str:
        """The key of that map object in the store."""
        return name.key(self.map_owner(name.number))

    def snapshot(self, name: str) -> SnapshotRecord | None:
        """The snapshot of that name, if there is one."""
        return next((snapshot for snapshot in self.snapshots if snapshot.name == name), None)


def encode_manifest(manifest: Manifest) -> bytes:
    """What is stored.  Raises `Corrupt` rather than return what `decode_manifest` would refuse."""
    data = encode_document(manifest)
    decode_manifest(data, f"version {manifest.version} of the manifest, which is not stored")
    return data


def decode_manifest(data: Buffer, key: str) -> Manifest:
    """The manifest stored under `key`, which errors name.  Raises `Corrupt`, `Unsupported`."""
    manifest = decode_document(data, Manifest, key)
    try:
        _check(manifest)
    except ValueError as error:
        raise Corrupt(f"{key}: {error}: run g2disk fsck") from error
    return manifest


def _check(manifest: Manifest) -> None:
    """Raises ValueError where the parts contradict each other."""
    if manifest.block_size & (manifest.block_size - 1):
        raise ValueError("the block size is no power of two")
    for head in (manifest.head, *(snapshot.head for snapshot in manifest.snapshots)):
        _check_head(head)
    names = [snapshot.name for snapshot in manifest.snapshots]
    if len(set(names)) < len(names):
        raise ValueError("two snapshots have one name")
    _check_order(manifest.ancestry)
    _check_rising("epochs", [record.epoch for record in manifest.epochs])
    if manifest.epochs and manifest.epochs[-1].epoch > manifest.epoch:
        raise ValueError("an epoch in epochs is greater than the manifest's")


def _check_head(head: Head) -> None:
    """Raises ValueError."""
    if (head.root is None) != (head.table is None):
        raise ValueError("there is a map root without a segment table, or the other way round")
    expected = head.applied
    for run in head.runs:
        if run.first != expected or run.end <= run.first:
            raise ValueError(f"the run [{run.first}, {run.end}) does not follow {expected}")
        expected = run.end
    if expected != head.next:
        raise ValueError(f"the runs end at {expected}, and the next segment is {head.next}")


def _check_order(ancestry: tuple[Ancestor, ...]) -> None:
    """Raises ValueError.  Numbers may be equal where a clone of a clone was made before anything was written."""
    order = [(ancestor.first, ancestor.first_map) for ancestor in ancestry]
    if any(after[0] < before[0] or after[1] < before[1] for before, after in pairwise(order)):
        raise ValueError("the ancestry does not rise")


def _check_rising(what: str, numbers: list[int]) -> None:
    """Raises ValueError."""
    if any(after <= before for before, after in pairwise(numbers)):
        raise ValueError(f"{what} does not rise")
