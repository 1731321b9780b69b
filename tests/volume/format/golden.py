"""Writes the golden files; run it only when a format was changed on purpose, with a number of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from g2disk.volume.format.catalogue import encode_entry, encode_mark
from g2disk.volume.format.journal import HEADER_SPACE, JournalCipher, encode_file_header, encode_record
from g2disk.volume.format.manifest import encode_manifest
from g2disk.volume.format.pages import encode_index, encode_leaf, encode_root, encode_table
from tests.volume.format import samples

DATA = Path(__file__).parent / "data"
PAGES = {
    "leaf": encode_leaf(77, samples.locations()),
    "index": encode_index(samples.index_page()),
    "root": encode_root(samples.index_page()),
    "table": encode_table(samples.table_page()),
}


def journal_file(encrypted: bool) -> bytes:
    """A file of a journal with two records."""
    header = replace(samples.JOURNAL, encrypted=encrypted)
    cipher = JournalCipher(samples.KEY, header) if encrypted else None
    file = encode_file_header(header).ljust(HEADER_SPACE, b"\0")
    for sequence in (header.first_sequence, header.first_sequence + len(samples.CHANGES)):
        parts, _ = encode_record(header, header.first_position + len(file), sequence, samples.CHANGES, cipher)
        file += b"".join(parts)
    return file


def files() -> dict[str, bytes]:
    """The golden files by name, as this code writes them."""
    found = {
        "manifest.json": encode_manifest(samples.manifest()),
        "mark.json": encode_mark(samples.MARK),
        "entry.json": encode_entry(samples.ENTRY),
        "journal-plain": journal_file(False),
        "journal-encrypted": journal_file(True),
    }
    for name, sealer in samples.SEALERS.items():
        found[f"segment-{name}"] = samples.segment(sealer)
    for name, page in PAGES.items():
        found[f"{name}-plain"] = samples.SEALERS["plain"].seal(name, page)
        found[f"{name}-encrypted"] = samples.SEALERS["encrypted"].seal(name, page)
    return found


if __name__ == "__main__":
    for name, data in files().items():
        (DATA / name).write_bytes(data)
