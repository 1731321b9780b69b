"""What is in a journal's files when it is opened."""

from __future__ import annotations

from dataclasses import dataclass, field

from g2disk.errors import Corrupt, DiskError, Invalid
from g2disk.volume.format.journal import FILE_HEADER_LENGTH, FileHeader, decode_file_header
from g2disk.volume.journal.entry import Entry
from g2disk.volume.journal.files import File, Files
from g2disk.volume.journal.mark import RESTORE, Mark, missing
from g2disk.volume.journal.part import Part
from g2disk.volume.journal.supply import is_file_name


@dataclass(slots=True)
class Found:
    """All files, open, and what counts of their contents."""

    mark: Mark
    parts: list[Part] = field(default_factory=list)
    """In the order of their numbers, those included of which nothing counts."""
    spare: list[tuple[str, File]] = field(default_factory=list)
    """Those without a header, or released."""
    entries: list[Entry] = field(default_factory=list)
    """Contiguous in sequence."""
    end: int = 0
    """Where the last entry's record ends."""

    @property
    def newest(self) -> FileHeader | None:
        """The header of the newest file, or else the mark's; None in a new journal."""
        return self.parts[-1].header if self.parts else self.mark.header

    def names(self) -> list[str]:
        """Of all files."""
        return [part.name for part in self.parts] + [name for name, _ in self.spare]

    def close(self) -> None:
        """Close all files."""
        self.mark.close()
        for part in self.parts:
            part.file.close()
        for _, file in self.spare:
            file.close()


async def find(files: Files, volume: str, block_size: int, key: bytes | None) -> Found:
    """Open all files, read them, and make durable what was found.

    It may be in memory only, when the process before this one was killed; what comes after it must not outlive it.
    """
    found = Found(await Mark.open(files))
    try:
        headers = await _open(files, found, key)
        if found.mark.header is not None:
            headers.append(found.mark.header)
        _check_owner(headers, volume, block_size, key)
        await _join(found)
    except BaseException:
        found.close()
        raise
    return found


async def _open(files: Files, found: Found, key: bytes | None) -> list[FileHeader]:
    headers = []
    for name in sorted(filter(is_file_name, files.names())):
        file = await files.open(name)
        sector = bytes(file.read(0, FILE_HEADER_LENGTH))
        if not any(sector):
            found.spare.append((name, file))
            continue
        try:
            header = decode_file_header(sector)
        except DiskError as error:
            file.close()
            raise type(error)(f"{name} of the journal: {error}; {RESTORE}") from error
        headers.append(header)
        if header.number < found.mark.beginning.number:
            found.spare.append((name, file))
        else:
            found.parts.append(Part(name, file, header, key))
    found.parts.sort(key=lambda part: part.header.number)
    if headers and found.mark.header is None:
        raise missing("the file that says where it begins is missing or empty")
    return headers


def _check_owner(headers: list[FileHeader], volume: str, block_size: int, key: bytes | None) -> None:
    for header in headers:
        if header.volume != volume:
            raise Invalid(f"this is the journal of the volume {header.volume}, not of {volume}: give another directory")
        if (header.block_size, header.encrypted) != (block_size, key is not None):
            raise Invalid("the journal does not fit the volume's block size and encryption: give another directory")
        if header.journal != headers[0].journal:
            raise Corrupt("the directory has files of two journals; move those that do not belong there away")


async def _join(found: Found) -> None:
    """Read the parts, one behind the other.  A file counts if what is before it is there up to where the file says that
    it ended.  If not, a power cut took what was never synced, so the rest of that epoch does not count either.  What an
    earlier epoch had was made durable before the next one began: if that is missing, it is damage.
    """
    found.end, epoch = found.mark.beginning.position, found.mark.beginning.epoch
    broken = False
    for number, part in enumerate(found.parts):
        await part.file.sync()  # before it is read; and others have their turn between two files
        header = part.header
        begins = header.epoch > epoch
        if header.epoch < epoch:
            raise missing(f"{part.name} belongs to an earlier epoch than the file before it")
        if header.previous_end > found.end:
            if begins:
                raise missing(f"what came before epoch {header.epoch} ends at {found.end}, not {header.previous_end}")
            broken = True
        epoch = header.epoch
        if broken and not begins:
            part.end = 0
            continue
        broken = False
        _cut(found, number, header.previous_end)
        _take(found, part, begins=begins)


def _take(found: Found, part: Part, *, begins: bool) -> None:
    entries = part.find_entries()
    if entries:
        found.end = part.end
    if found.entries and part.header.first_sequence != found.entries[-1].sequence + 1:
        if not begins:
            raise missing(f"{part.name} does not go on where the file before it ended")
        found.entries.clear()  # others wrote meanwhile, so all of it was in the store when this epoch began
    found.entries += entries


def _cut(found: Found, count: int, end: int) -> None:
    """Leave out of the first `count` parts what was given up because the system refused to write all of it."""
    while found.entries and found.entries[-1].position >= end:
        found.entries.pop()
    found.end = min(found.end, end)
    for part in found.parts[:count]:
        part.end = min(part.end, end)
