"""`Part`, one file of a journal in use: a range of the journal's positions."""

from __future__ import annotations

from collections.abc import Sequence

from g2disk.disk import Buffer
from g2disk.errors import Corrupt
from g2disk.volume.format.journal import (
    HEADER_SPACE,
    FileHeader,
    JournalCipher,
    decode_record,
    encode_file_header,
    encode_record,
    record_length,
)
from g2disk.volume.format.journal import RECORD_HEADER_LENGTH as HEAD
from g2disk.volume.journal.entry import Entry
from g2disk.volume.journal.files import File

_WINDOW = 8 << 20
"""Bytes that are read at once to find records; no less than the largest one."""


class Part:
    """A file with its header."""

    def __init__(self, name: str, file: File, header: FileHeader, key: bytes | None) -> None:
        self.name = name
        self.file = file
        self.header = header
        self.first = header.first_position
        self.limit = self.first + file.size
        """Where the positions of the next file may begin."""
        self.end = self.first + HEADER_SPACE
        """Where the next record goes."""
        self.last = 0
        """Position of the last entry; 0 where there was none."""
        self._cipher = JournalCipher(key, header) if key is not None else None

    @property
    def space(self) -> int:
        """Bytes that records may still take."""
        return self.limit - self.end

    @property
    def empty(self) -> bool:
        """Whether it has no record that counts."""
        return self.end <= self.first + HEADER_SPACE

    def write_header(self) -> None:
        """Put the header in front.  Raises `OutOfSpace`, `Unavailable`."""
        self.file.write(0, (encode_file_header(self.header),))

    def write(self, sequence: int, changes: Sequence[tuple[int, int, int, Buffer | None]]) -> list[Entry]:
        """Add a record.  Raises `OutOfSpace`, `Unavailable`: then `end` is where it was."""
        buffers, positions = encode_record(self.header, self.end, sequence, changes, self._cipher)
        self.file.write(self.end - self.first, buffers)
        for buffer in buffers:
            self.end += len(buffer)
        self.last = positions[-1]
        entries = []
        for (kind, block, count, _), position in zip(changes, positions, strict=True):
            entries.append(Entry(sequence, kind, block, count, position))
            sequence += 1
        return entries

    def read(self, position: int, length: int) -> Buffer:
        """Data, decrypted."""
        data = self.file.read(position - self.first, length)
        return data if self._cipher is None else self._cipher.apply(position, data)

    def find_entries(self) -> list[Entry]:
        """All entries up to the first record that is torn or missing; moves `end` there."""
        entries: list[Entry] = []
        sequence = self.header.first_sequence
        start, window = self.end, memoryview(b"")
        while True:
            offset = self.end - start
            try:
                length = record_length(window[offset:], self.header, self.end, sequence) if len(window) else HEAD
                if offset + length > len(window):
                    start, window = self.end, memoryview(self.file.read(self.end - self.first, _WINDOW))
                    offset, length = 0, record_length(window, self.header, self.end, sequence)
                record = window[offset : offset + length]
                found = decode_record(record, self.header, self.end, sequence, self._cipher)
            except Corrupt:
                return entries
            entries += [Entry(*change) for change in found]
            sequence += len(found)
            self.end += length
            self.last = found[-1][-1]
