"""The files of a journal: a header, then records of changes, each found by its position.

A position counts the bytes of the whole journal, over all its files, for ever: byte `offset` of a file is at the file's
`first_position` + `offset`.  Source: docs/formats/journal.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from struct import Struct
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from g2disk.errors import Corrupt, Unsupported
from g2disk.volume.format.checksum import Buffer, crc32c
from g2disk.volume.format.keys import derive
from g2disk.volume.format.locations import BLOCK_LIMIT

WRITE: Final = 1
"""Kind of a change: blocks got other data."""
ZERO: Final = 2
"""Kind of a change: blocks became zeroes."""
HEADER_SPACE = 4096
"""Bytes in front of a file's first record."""
FILE_HEADER_LENGTH = 512
"""Bytes of a file's header: one sector, which disks do not tear."""
RECORD_HEADER_LENGTH = 48
"""Bytes; `record_length` needs them."""
ALIGNMENT = 16
"""Records and payloads begin at multiples of this, an AES block."""
LARGEST_RECORD = 8 << 20
"""Bytes."""
SALT_LENGTH = 16
"""Random bytes in a file's header."""

_FILE_MAGIC, _RECORD_MAGIC, _VERSION = b"g2vJ", b"g2vE", 1
_CHECKSUM = Struct("<4sI")
_FILE = Struct(f"<IIQQQQ16s16s{SALT_LENGTH}sIB")
"""Version, epoch, number, first position, first sequence, previous end, journal, volume, salt, block size, whether
encrypted."""
_RECORD = Struct("<IIQQQ8x")
"""Epoch, number of changes, first sequence, position, length."""
_ROW_LENGTH = 17
_PADDING = bytes(ALIGNMENT)

Change = tuple[int, int, int, Buffer | None]
"""Kind, first block, count of blocks, and the data of a WRITE."""
Placed = tuple[int, int, int, int, int]
"""A change that was read: sequence, kind, first block, count of blocks, position."""


@dataclass(frozen=True, slots=True)
class FileHeader:
    """What one file of a journal holds, written each time that the file is used anew."""

    journal: str
    """Identity of the journal, 32 hexadecimal digits."""
    volume: str
    """Identity of the volume, likewise."""
    epoch: int
    """Of all records in the file."""
    number: int
    """Of the file, counting up."""
    first_position: int
    """The position of the file's first byte, a multiple of ALIGNMENT."""
    first_sequence: int
    """Of the first change in the file."""
    previous_end: int
    """Where the records of the file before this one end: what is at this position or behind it there does not count."""
    block_size: int
    salt: bytes = field(repr=False)
    """Random, new each time: records of an earlier use of the same file do not fit it."""
    encrypted: bool = False

    @property
    def seed(self) -> int:
        """What the checksums of the file's records begin with."""
        return crc32c(self.salt)


class JournalCipher:
    """AES-256-CTR for one use of one file; every part can be decrypted alone.

    A counter is never used twice: it is the position, positions only grow within a use of a file, and each use has a
    salt of its own, so another key.
    """

    __slots__ = ("_algorithm",)

    def __init__(self, data_key: bytes, file: FileHeader) -> None:
        context = f"g2disk journal {file.journal} {file.epoch:08x} {file.number:016x}"
        self._algorithm = AES(derive(data_key, context.encode(), file.salt))

    def apply(self, position: int, data: Buffer) -> bytes:
        """`data` encrypted, or decrypted; it stands at `position`, a multiple of ALIGNMENT."""
        return self.stream(position).update(data)

    def stream(self, position: int) -> CipherContext:
        """What encrypts or decrypts piece after piece, beginning at `position`."""
        assert position % ALIGNMENT == 0
        counter = (position // ALIGNMENT).to_bytes(16, "big")
        return Cipher(self._algorithm, CTR(counter)).encryptor()


def encode_file_header(header: FileHeader) -> bytes:
    """FILE_HEADER_LENGTH bytes, for the beginning of the file."""
    assert header.first_position % ALIGNMENT == 0
    fields = _FILE.pack(
        *(_VERSION, header.epoch, header.number, header.first_position, header.first_sequence, header.previous_end),
        *(bytes.fromhex(header.journal), bytes.fromhex(header.volume), header.salt),
        *(header.block_size, header.encrypted),
    )
    rest = fields.ljust(FILE_HEADER_LENGTH - _CHECKSUM.size, b"\0")
    return _CHECKSUM.pack(_FILE_MAGIC, crc32c(rest)) + rest


def decode_file_header(data: Buffer) -> FileHeader:
    """The header at the beginning of `data`.  Raises `Corrupt`, `Unsupported`."""
    sector = memoryview(data)[:FILE_HEADER_LENGTH]
    if len(sector) < FILE_HEADER_LENGTH:
        raise Corrupt("a file of the journal is too short for its header")
    magic, checksum = _CHECKSUM.unpack_from(sector)
    if magic != _FILE_MAGIC or checksum != crc32c(sector[_CHECKSUM.size :]):
        raise Corrupt("the header of a journal's file is damaged, or it is no file of a journal")
    found = _FILE.unpack_from(sector, _CHECKSUM.size)
    version, epoch, number, position, sequence, previous_end, journal, volume, salt, block_size, encrypted = found
    if version != _VERSION:
        raise Unsupported(f"the journal has format {version}, this g2disk knows {_VERSION}: use a newer one")
    if position % ALIGNMENT or block_size % 4096 or not block_size:
        raise Corrupt("the header of a journal's file contradicts itself")
    return FileHeader(
        *(journal.hex(), volume.hex(), epoch, number, position, sequence, previous_end, block_size, salt),
        encrypted=bool(encrypted),
    )


def payload_offset(count: int) -> int:
    """Bytes of a record of `count` changes in front of its payloads."""
    return RECORD_HEADER_LENGTH + -(-count * _ROW_LENGTH // ALIGNMENT) * ALIGNMENT


def encode_record(
    file: FileHeader,
    position: int,
    first_sequence: int,
    changes: Sequence[Change],
    cipher: JournalCipher | None = None,
) -> tuple[list[Buffer], list[int]]:
    """A record that stands at `position`, as parts to be joined, and the position of each change.

    Without `cipher` the data of the changes is passed through, not copied.  The next record stands behind the parts.
    A ZERO takes ALIGNMENT bytes, so that positions grow from each change to the next.
    """
    count = len(changes)
    kinds, blocks, counts, datas = zip(*changes, strict=True)
    payloads: list[Buffer] = [_PADDING if data is None else data for data in datas]
    start = position + payload_offset(count)
    positions, end = [], start
    for payload in payloads:
        positions.append(end)
        end += len(payload)
    assert end - position <= LARGEST_RECORD
    assert end - start == sum(
        [number * file.block_size if kind == WRITE else ALIGNMENT for kind, number in zip(kinds, counts, strict=True)]
    )
    table = _table(count).pack(*blocks, *counts, *kinds)
    if cipher is not None:
        stream = cipher.stream(position + RECORD_HEADER_LENGTH)
        table = stream.update(table)
        payloads = [stream.update(data) for data in payloads]
    rest = _RECORD.pack(file.epoch, count, first_sequence, position, end - position) + table
    checksum = crc32c(rest, file.seed)
    for data in payloads:
        checksum = crc32c(data, checksum)
    return [_CHECKSUM.pack(_RECORD_MAGIC, checksum) + rest, *payloads], positions


def record_length(head: Buffer, file: FileHeader, position: int, sequence: int) -> int:
    """Bytes of the record whose first RECORD_HEADER_LENGTH bytes are `head`.

    Raises `Corrupt` where no record for that place and that first sequence number begins there: the journal ends.
    """
    if len(head) < RECORD_HEADER_LENGTH:
        raise Corrupt("the file ends")
    epoch, count, first, at, length = _RECORD.unpack_from(head, _CHECKSUM.size)
    if (_CHECKSUM.unpack_from(head)[0], epoch, first, at) != (_RECORD_MAGIC, file.epoch, sequence, position):
        raise Corrupt(f"no record {sequence} at {position}")
    if not count or not payload_offset(count) + count * ALIGNMENT <= length <= LARGEST_RECORD or length % ALIGNMENT:
        raise Corrupt(f"the record at {position} contradicts itself")
    return int(length)


def decode_record(
    record: Buffer, file: FileHeader, position: int, sequence: int, cipher: JournalCipher | None = None
) -> list[Placed]:
    """The changes of the record that `record` holds from its beginning to its end.

    Raises `Corrupt` where it is not as it was written.  The data is where the changes' positions say.
    """
    view = memoryview(record)
    if len(view) != record_length(view, file, position, sequence):
        raise Corrupt(f"the record at {position} is cut off")
    if _CHECKSUM.unpack_from(view)[1] != crc32c(view[_CHECKSUM.size :], file.seed):
        raise Corrupt(f"the checksum of the record at {position} does not fit")
    count = _RECORD.unpack_from(view, _CHECKSUM.size)[1]
    table: Buffer = view[RECORD_HEADER_LENGTH : payload_offset(count)]
    if cipher is not None:
        table = cipher.apply(position + RECORD_HEADER_LENGTH, table)
    placed = _place(table, count, sequence, position + payload_offset(count), file.block_size)
    if placed is None or placed[1] != position + len(view):
        raise Corrupt(f"the table of the record at {position} does not fit its length")
    return placed[0]


def _place(table: Buffer, count: int, sequence: int, start: int, block_size: int) -> tuple[list[Placed], int] | None:
    """The changes, and where the last one's data ends; None where one cannot be."""
    columns = _table(count).unpack(table)
    placed, at = [], start
    rows = zip(columns[:count], columns[count : 2 * count], columns[2 * count :], strict=True)
    for number, (block, blocks, kind) in enumerate(rows, sequence):
        if kind not in (WRITE, ZERO) or not blocks or block + blocks > BLOCK_LIMIT:
            return None
        placed.append((number, kind, block, blocks, at))
        at += blocks * block_size if kind == WRITE else ALIGNMENT
    return placed, at


@lru_cache(maxsize=256)
def _table(count: int) -> Struct:
    """First blocks, counts, kinds; padded to ALIGNMENT."""
    padding = payload_offset(count) - RECORD_HEADER_LENGTH - count * _ROW_LENGTH
    return Struct(f"<{count}Q{count}Q{count}B{padding}x")
