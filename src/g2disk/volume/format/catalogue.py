"""The small documents around volumes: the mark of a store, and the catalogue's entry of a disk."""

from __future__ import annotations

import msgspec

from g2disk.volume.format.checksum import Buffer
from g2disk.volume.format.document import decode_document, encode_document
from g2disk.volume.format.manifest import Identity
from g2disk.volume.format.names import MARK_KEY, disk_key


class StoreMark(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Says that a prefix of an object store is a store of volumes."""

    kind: str = "g2disk volumes"
    created: float
    """Seconds since 1970."""


class CatalogueEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Says which volume a disk's name stands for."""

    volume: Identity
    created: float
    """Seconds since 1970."""


def encode_mark(mark: StoreMark) -> bytes:
    """What is stored under `MARK_KEY`."""
    return encode_document(mark)


def decode_mark(data: Buffer) -> StoreMark:
    """Raises `Corrupt`, `Unsupported`."""
    return decode_document(data, StoreMark, MARK_KEY)


def encode_entry(entry: CatalogueEntry) -> bytes:
    """What is stored under the disk's key."""
    return encode_document(entry)


def decode_entry(data: Buffer, name: str) -> CatalogueEntry:
    """The entry of the disk `name`.  Raises `Corrupt`, `Unsupported`."""
    return decode_document(data, CatalogueEntry, disk_key(name))
