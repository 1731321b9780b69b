"""`Mark`, a small file that says where a journal begins: what is in front of it was released.

It is moved, durably, before anything of what was released is written over.  So after a power cut each file with a
number from the mark's on is as it was left, and where the first one is missing, it is known that it is missing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from g2disk.errors import Corrupt, DiskError
from g2disk.volume.format.journal import (
    FILE_HEADER_LENGTH,
    HEADER_SPACE,
    FileHeader,
    decode_file_header,
    encode_file_header,
)
from g2disk.volume.journal.files import File, Files

MARK_NAME = "journal-begins"
RESTORE = "restore the journal's directory, or move it away to go on with what the store has"
"""What to do about damage."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where a journal begins."""

    number: int = 0
    """Of the first file that counts; it need not be there yet."""
    position: int = 0
    """Where the records in front of that file end."""
    epoch: int = 0
    """Of that file, or an earlier one."""


class Mark:
    """The open file; its format is that of a file's header, whose file is the first and has no records."""

    def __init__(self, file: File, header: FileHeader | None) -> None:
        self._file = file
        self.header = header
        """None until the mark is written for the first time."""

    @classmethod
    async def open(cls, files: Files) -> Mark:
        """The mark, made where it is missing.  Raises `Corrupt`, `OutOfSpace`, `Unavailable`."""
        present = MARK_NAME in files.names()
        file = await files.open(MARK_NAME, 0 if present else HEADER_SPACE)
        sector = bytes(file.read(0, FILE_HEADER_LENGTH))
        try:
            return cls(file, decode_file_header(sector) if any(sector) else None)
        except DiskError as error:
            file.close()
            raise type(error)(f"{MARK_NAME} of the journal: {error}; {RESTORE}") from error

    @property
    def beginning(self) -> Beginning:
        """Where the journal begins."""
        header = self.header
        return Beginning(header.number, header.first_position, header.epoch) if header is not None else Beginning()

    async def write(self, header: FileHeader) -> None:
        """Put this in; durable when it returns."""
        self._file.write(0, (encode_file_header(header),))
        await self._file.sync()
        self.header = header

    async def move(self, to: Beginning) -> None:
        """Let the journal begin there; durable when it returns."""
        assert self.header is not None
        if to != self.beginning:
            at = to.position
            header = replace(self.header, number=to.number, epoch=to.epoch, first_position=at, previous_end=at)
            await self.write(header)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def missing(what: str) -> Corrupt:
    """The error for a journal that is not whole."""
    return Corrupt(f"the journal is damaged: {what}; {RESTORE}")
