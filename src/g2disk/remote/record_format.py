"""The format of a record of unflushed changes: a marker, which says what is recorded, and batches of changes.

Pure.  Source: docs/record-file.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from zlib import crc32

from g2disk.request import TRIM, WRITE, ZERO, Request

Data = bytes | bytearray | memoryview

SLOT = 4096
"""Bytes of one of the marker's two slots."""
MARKER = 2 * SLOT
"""Bytes of a marker."""
MOST_CHANGES = 1000
"""In one batch: `writev` takes at most 1024 buffers at once (IOV_MAX of Linux)."""

_MARKER_MAGIC, _BATCH_MAGIC, _VERSION = b"g2rM", b"g2rB", 1
_CHECKSUM = Struct("<4sI")
"""Magic and checksum, before the rest of a slot or a batch."""
_SLOT_HEAD = Struct("<IQQQHHH")
"""Version, generation, first, after, and the bytes of boot, identity and instance, which follow."""
_BATCH_HEAD = Struct("<IIQQ")
"""Version, number of changes, sequence number of the first one, bytes of data."""
_LONGEST_TEXT = 1024
"""Bytes."""
_CHANGES = frozenset((WRITE, TRIM, ZERO))


@dataclass(slots=True)
class Marker:
    """What is recorded.  Changes are numbered in the order of their acknowledgement."""

    generation: int = 0
    """Counts what was written to the file, one slot after the other."""
    first: int = 0
    """The number of the oldest change that may not be durable."""
    after: int = 0
    """The number of the next change; `first` where nothing is unflushed."""
    boot: str = ""
    """Of the machine, when this was written."""
    identity: str = ""
    """Of the disk."""
    instance: str = ""
    """That the oldest change was acknowledged by."""

    @property
    def clean(self) -> bool:
        """Whether nothing is unflushed."""
        return self.first == self.after


@dataclass(frozen=True, slots=True)
class Batch:
    """Changes with successive numbers."""

    sequence: int
    """Of the first of them."""
    changes: list[Request]

    @property
    def after(self) -> int:
        """The number behind the last one."""
        return self.sequence + len(self.changes)


def encode_slot(marker: Marker) -> tuple[int, bytes]:
    """Where in the file the marker stands, and its bytes."""
    boot, identity, instance = marker.boot.encode(), marker.identity.encode(), marker.instance.encode()
    head = _SLOT_HEAD.pack(
        _VERSION, marker.generation, marker.first, marker.after, len(boot), len(identity), len(instance)
    )
    rest = b"".join((head, boot, identity, instance))
    return marker.generation % 2 * SLOT, _CHECKSUM.pack(_MARKER_MAGIC, crc32(rest)) + rest


def decode_marker(data: Data) -> tuple[Marker | None, bool]:
    """The newest marker in the bytes of the file, if there is one, and whether the file is as it was written.

    A slot of zeroes is one that was not written to yet.
    """
    slots = [memoryview(data)[at : at + SLOT] for at in (0, SLOT)]
    found = [marker for slot in slots if (marker := _decode_slot(slot)) is not None]
    if not any(data):
        return None, True
    newest = max(found, key=lambda marker: marker.generation, default=None)
    only = newest is not None and newest.generation == 1 and not any(slots[0])
    return newest, len(data) == MARKER and (only or len(found) == len(slots))


def fitting(text: str) -> str:
    """`text` if a marker can hold it, else something that is equal to no other text."""
    raw = text.encode()
    return text if len(raw) <= _LONGEST_TEXT else f"too long to be kept, sha256 {hashlib.sha256(raw).hexdigest()}"


def encode_batch(sequence: int, changes: Sequence[Request]) -> list[Data]:
    """The changes, at most MOST_CHANGES, as parts to be joined: what stands before the data, and the data as it is."""
    payload: list[Data] = [change.data for change in changes if change.operation == WRITE and change.length]
    length = sum(map(len, payload))
    assert length == sum([change.length for change in changes if change.operation == WRITE])
    columns = _columns(len(changes)).pack(
        *[change.operation | change.flags << 8 for change in changes],
        *[change.offset for change in changes],
        *[change.length for change in changes],
    )
    rest = _BATCH_HEAD.pack(_VERSION, len(changes), sequence, length) + columns
    checksum = crc32(rest)
    for data in payload:
        checksum = crc32(data, checksum)
    return [_CHECKSUM.pack(_BATCH_MAGIC, checksum) + rest, *payload]


def decode_batches(data: Data) -> Iterator[Batch]:
    """The batches at the beginning of `data`, as long as they are whole and their numbers grow.

    What follows is what the file held before: it is overwritten from its beginning, again and again.
    """
    whole, at, after = memoryview(data), 0, 0
    while (found := _decode_batch(whole, at)) is not None:
        batch, at = found
        if batch.sequence < after:
            return
        after = batch.after
        yield batch


def recovered_changes(marker: Marker, batches: Iterable[Batch]) -> tuple[list[Request], bool]:
    """The changes that the marker says are unflushed, oldest first, up to the first that is missing; whether none
    is missing.
    """
    changes: list[Request] = []
    expected = marker.first
    for batch in sorted(batches, key=lambda batch: batch.sequence):
        if batch.sequence > expected:
            break
        if batch.after > expected:
            changes += batch.changes[expected - batch.sequence :]
            expected = batch.after
    # What the marker does not count was never reported as done.
    return changes[: marker.after - marker.first], expected >= marker.after


def _decode_slot(slot: memoryview) -> Marker | None:
    start = _CHECKSUM.size + _SLOT_HEAD.size
    if len(slot) < start:
        return None
    magic, checksum = _CHECKSUM.unpack_from(slot)
    version, generation, first, after, *lengths = _SLOT_HEAD.unpack_from(slot, _CHECKSUM.size)
    end = start + sum(lengths)
    if magic != _MARKER_MAGIC or end > len(slot) or checksum != crc32(slot[_CHECKSUM.size : end]):
        return None
    if version != _VERSION or first > after:
        return None
    texts: list[str] = []
    for length in lengths:
        texts.append(str(slot[start : start + length], "utf-8"))
        start += length
    return Marker(generation, first, after, *texts)


def _decode_batch(data: memoryview, at: int) -> tuple[Batch, int] | None:
    """The batch that begins at `at`, and where it ends."""
    start = at + _CHECKSUM.size
    columns_at = start + _BATCH_HEAD.size
    if len(data) < columns_at:
        return None
    magic, checksum = _CHECKSUM.unpack_from(data, at)
    version, count, sequence, length = _BATCH_HEAD.unpack_from(data, start)
    if magic != _BATCH_MAGIC or version != _VERSION or not 0 < count <= MOST_CHANGES:
        return None
    columns = _columns(count)
    payload_at = columns_at + columns.size
    end = payload_at + length
    if end > len(data) or checksum != crc32(data[start:end]):
        return None
    values = columns.unpack_from(data, columns_at)
    changes = _changes(values[:count], values[count : 2 * count], values[2 * count :], data[payload_at:end])
    return None if changes is None else (Batch(sequence, changes), end)


def _changes(
    words: Sequence[int], offsets: Sequence[int], lengths: Sequence[int], payload: memoryview
) -> list[Request] | None:
    """The rows of a batch as requests; None where they make no sense."""
    changes: list[Request] = []
    at = 0
    for word, offset, length in zip(words, offsets, lengths, strict=True):
        change = Request(word & 0xFF, word >> 8, offset, length)
        if change.operation not in _CHANGES:
            return None
        if change.operation == WRITE:
            change.data = payload[at : at + length]
            at += length
        changes.append(change)
    return changes if at == len(payload) else None


@lru_cache(MOST_CHANGES)
def _columns(count: int) -> Struct:
    """Operation + (flags << 8), offset and length of so many changes."""
    return Struct(f"<{count}H{count}Q{count}Q")
