"""What an earlier version wrote is still read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from g2disk.volume.format.catalogue import decode_entry, decode_mark
from g2disk.volume.format.journal import (
    HEADER_SPACE,
    RECORD_HEADER_LENGTH,
    JournalCipher,
    decode_file_header,
    decode_record,
    record_length,
)
from g2disk.volume.format.keys import unwrap
from g2disk.volume.format.manifest import decode_manifest
from g2disk.volume.format.pages import decode_index, decode_leaf, decode_root, decode_table
from g2disk.volume.format.segment import SegmentIndex, read_blocks
from tests.volume.format import samples
from tests.volume.format.golden import DATA, files

COMPRESSED = ("zstd", "lz4", "leaf", "index", "root", "table")
"""A library may compress otherwise some day."""


def golden(name: str) -> bytes:
    return (DATA / name).read_bytes()


@pytest.mark.parametrize("name", [name for name in files() if not any(word in name for word in COMPRESSED)])
def test_the_golden_file_is_what_is_written_today(name: str) -> None:
    """The same values give the same bytes as when the format was made."""
    assert golden(name) == files()[name]


def test_the_manifest_is_read() -> None:
    """All its fields, and its key opens."""
    manifest = decode_manifest(golden("manifest.json"), "golden")

    assert samples.manifest() == manifest
    assert manifest.encryption is not None
    assert samples.KEY == unwrap(manifest.encryption, samples.PASSPHRASE)


def test_the_documents_of_the_catalogue_are_read() -> None:
    """The mark and the entry."""
    assert samples.MARK == decode_mark(golden("mark.json"))
    assert samples.ENTRY == decode_entry(golden("entry.json"), "disk")


@pytest.mark.parametrize("name", samples.SEALERS)
def test_the_segment_is_read(name: str) -> None:
    """Its index, and all blocks."""
    data = golden(f"segment-{name}")
    index = SegmentIndex.decode(data, samples.NAME, samples.SEALERS[name])

    assert (100, 105, samples.BLOCKS) == (index.first_sequence, index.last_sequence, index.blocks().tolist())
    assert samples.ZEROES == list(zip(index.zero_blocks.tolist(), index.zero_counts.tolist(), strict=True))
    assert samples.CONTENT == read_blocks(index, 0, index.block_count, data, 0)


@pytest.mark.parametrize("kind", ["plain", "encrypted"])
def test_the_pages_are_read(kind: str) -> None:
    """Leaf, index, root, table."""

    def page(name: str) -> bytes:
        return bytes(samples.SEALERS[kind].open(name, golden(f"{name}-{kind}")))

    assert samples.locations().tolist() == decode_leaf(page("leaf"), 77).tolist()
    for decoded in (decode_index(page("index")), decode_root(page("root"))):
        assert samples.index_page().leaves.tolist() == decoded.leaves.tolist()
        assert [samples.index_page().references[row] for row in range(5)] == [
            decoded.references[row] for row in range(5)
        ]
    assert all(
        np.array_equal(getattr(samples.table_page(), column), getattr(decode_table(page("table")), column))
        for column in samples.table_page().__slots__
    )


@pytest.mark.parametrize("encrypted", [False, True])
def test_the_journal_is_read(encrypted: bool) -> None:
    """Two records, one behind the other, and their data."""
    data = golden(f"journal-{'encrypted' if encrypted else 'plain'}")
    file = decode_file_header(data)
    cipher = JournalCipher(samples.KEY, file) if encrypted else None
    at, sequence, found = HEADER_SPACE, file.first_sequence, []
    while at < len(data):
        position = file.first_position + at
        length = record_length(data[at : at + RECORD_HEADER_LENGTH], file, position, sequence)
        found += decode_record(data[at : at + length], file, position, sequence, cipher)
        at, sequence = at + length, found[-1][0] + 1

    assert replace(samples.JOURNAL, encrypted=encrypted) == file
    assert [change[:3] for change in samples.CHANGES] * 2 == [change[1:4] for change in found]
    for (_, _, count, written), (*_, position) in zip(samples.CHANGES * 2, found, strict=True):
        if written is not None:
            stored = data[position - file.first_position :][: count * samples.BLOCK]
            assert written == (cipher.apply(position, stored) if cipher else stored)
