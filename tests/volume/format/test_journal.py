"""The journal's files: headers, records, and what no longer counts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from g2disk.errors import Corrupt, Unsupported
from g2disk.volume.format.checksum import crc32c
from g2disk.volume.format.journal import (
    ALIGNMENT,
    FILE_HEADER_LENGTH,
    RECORD_HEADER_LENGTH,
    WRITE,
    ZERO,
    Change,
    FileHeader,
    JournalCipher,
    Placed,
    decode_file_header,
    decode_record,
    encode_file_header,
    encode_record,
    payload_offset,
    record_length,
)
from tests.volume.format import samples
from tests.volume.format.damage import cut, flipped, unnoticed

FILE = samples.JOURNAL
CIPHER = JournalCipher(samples.KEY, replace(FILE, encrypted=True))
POSITION = FILE.first_position + 4096
SMALL: list[Change] = [(ZERO, 5, 6, None), (WRITE, 1, 1, b"\xa5" * 4096)]
both = pytest.mark.parametrize("cipher", [None, CIPHER], ids=["clear", "encrypted"])

u64s = st.integers(0, (1 << 64) - 1)
identities = st.binary(min_size=16, max_size=16).map(bytes.hex)
headers = st.builds(
    FileHeader,
    journal=identities,
    volume=identities,
    epoch=st.integers(0, (1 << 32) - 1),
    number=u64s,
    first_position=st.integers(0, (1 << 59) - 1).map(lambda number: number * ALIGNMENT),
    first_sequence=u64s,
    previous_end=u64s,
    block_size=st.sampled_from([4096, 8192, 65536]),
    salt=st.binary(min_size=16, max_size=16),
    encrypted=st.booleans(),
)


@st.composite
def changes(draw: st.DrawFn, block_size: int) -> list[Change]:
    found: list[Change] = []
    for number in range(draw(st.integers(1, 6))):
        block, count = draw(st.integers(0, 1 << 50)), draw(st.integers(1, 3))
        if draw(st.booleans()):
            found.append((WRITE, block, count, samples.noise(number, block_size) * count))
        else:
            found.append((ZERO, block, draw(st.integers(1, 1 << 51)), None))
    return found


def record(cipher: JournalCipher | None, sequence: int = 1, position: int = POSITION, file: FileHeader = FILE) -> bytes:
    return b"".join(encode_record(file, position, sequence, SMALL, cipher)[0])


@given(headers)
def test_a_file_s_header_is_read_as_it_was_written(header: FileHeader) -> None:
    """All its fields, in one sector."""
    encoded = encode_file_header(header)

    assert header == decode_file_header(encoded + b"what follows")
    assert FILE_HEADER_LENGTH == len(encoded) == 512


def test_other_bytes_are_no_header() -> None:
    """Each flip, each cut, and a file that was never written to."""
    encoded = encode_file_header(FILE)

    assert [] == unnoticed(flipped(encoded), decode_file_header)
    assert [] == unnoticed(cut(encoded), decode_file_header)
    with pytest.raises(Corrupt):
        decode_file_header(bytes(4096))


def test_a_newer_format_is_unsupported() -> None:
    """It is not damage."""
    rest = b"\2" + encode_file_header(FILE)[9:]

    with pytest.raises(Unsupported):
        decode_file_header(b"g2vJ" + crc32c(rest).to_bytes(4, "little") + rest)


@both
@given(data=st.data(), sequence=st.integers(1, 1 << 62), block_size=st.sampled_from([4096, 16384]))
def test_a_record_is_read_as_it_was_written(
    cipher: JournalCipher | None, data: st.DataObject, sequence: int, block_size: int
) -> None:
    """Every change has its number, and its data stands at its position; the length is told by the first bytes."""
    file = replace(FILE, block_size=block_size)
    written = data.draw(changes(block_size))
    parts, positions = encode_record(file, POSITION, sequence, written, cipher)
    stored = b"".join(parts)
    found: list[Placed] = decode_record(stored, file, POSITION, sequence, cipher)

    assert len(stored) == record_length(stored[:RECORD_HEADER_LENGTH], file, POSITION, sequence)
    assert list(range(sequence, sequence + len(written))) == [number for number, *_ in found]
    assert [change[:3] for change in written] == [placed[1:4] for placed in found]
    assert positions == [placed[4] for placed in found]
    for (kind, _, count, plain), position in zip(written, positions, strict=True):
        if kind == WRITE:
            piece = stored[position - POSITION :][: count * block_size]
            assert plain == (cipher.apply(position, piece) if cipher else piece)


def test_positions_grow_from_each_change_to_the_next_and_are_aligned() -> None:
    """Zeroes have positions of their own, so that two of one block can be told apart."""
    written: list[Change] = [(ZERO, 1, 1, None), (ZERO, 1, 1, None), SMALL[1], (ZERO, 1, 1, None)]
    parts, positions = encode_record(FILE, POSITION, 1, written)
    after = POSITION + sum(map(len, parts))

    assert sorted(set(positions)) == positions
    assert POSITION + payload_offset(4) == positions[0]
    assert [0] * 5 == [position % ALIGNMENT for position in (*positions, after)]
    assert positions[-1] < after


def test_data_is_not_copied() -> None:
    """Without encryption the parts hold the very buffers."""
    data = bytearray(4096)

    assert data is encode_record(FILE, POSITION, 1, [(WRITE, 1, 1, data)])[0][1]


@both
def test_other_bytes_are_no_record(cipher: JournalCipher | None) -> None:
    """Each flip, and a record that was torn anywhere."""
    stored = record(cipher)

    def read(data: bytes) -> object:
        length = record_length(data[:RECORD_HEADER_LENGTH], FILE, POSITION, 1)
        return decode_record(data[:length], FILE, POSITION, 1, cipher)

    assert [] == unnoticed(flipped(stored), read)
    assert [] == unnoticed(cut(stored), read)
    assert [] == unnoticed((stored[:at] + bytes(len(stored) - at) for at in range(len(stored) - 1)), read)
    assert 2 == len(decode_record(stored, FILE, POSITION, 1, cipher))


@pytest.mark.parametrize(
    "stale",
    [
        record(None, sequence=2),
        record(None, sequence=0),
        record(None, position=POSITION + ALIGNMENT),
        record(None, file=replace(FILE, epoch=FILE.epoch - 1)),
        record(None, file=replace(FILE, salt=bytes(16))),
    ],
    ids=["later", "earlier", "elsewhere", "of another epoch", "of an earlier use of the file"],
)
def test_a_record_that_does_not_follow_ends_the_journal(stale: bytes) -> None:
    """What an earlier use of the file left behind never counts, not even with the same place and numbers."""
    with pytest.raises(Corrupt):
        decode_record(stale, FILE, POSITION, 1)


@given(st.binary(max_size=80), st.integers(0, 0xFFFFFFFF), st.integers(0, 1 << 63))
def test_a_record_that_lies_is_corrupt(rest: bytes, count: int, length: int) -> None:
    """Behind a checksum that fits, counts and lengths are checked before anything is made of them."""
    fields = FILE.epoch.to_bytes(4, "little") + count.to_bytes(4, "little") + (1).to_bytes(8, "little")
    for said in (length, 48 + len(rest)):
        body = fields + POSITION.to_bytes(8, "little") + said.to_bytes(8, "little") + bytes(8) + rest
        stored = b"g2vE" + crc32c(body, FILE.seed).to_bytes(4, "little") + body
        with pytest.raises(Corrupt):
            decode_record(stored, FILE, POSITION, 1)


@pytest.mark.parametrize(
    "wrong", [(3, 1, 1, None), (ZERO, 1, 0, None), (ZERO, 1 << 52, 1, None), (ZERO, 1, 1 << 52, None)]
)
def test_a_change_that_cannot_be_is_corrupt(wrong: Change) -> None:
    """Another kind, no blocks, blocks beyond all disks."""
    stored = b"".join(encode_record(FILE, POSITION, 1, [wrong])[0])

    with pytest.raises(Corrupt, match="table"):
        decode_record(stored, FILE, POSITION, 1)


def test_a_record_whose_table_says_another_length_is_corrupt() -> None:
    """Data of which no change tells, or a change whose data is missing, means that nothing there can be trusted."""
    stored = record(None)
    for length in (len(stored) - 16, len(stored) + 4096):
        body = bytearray(stored[8:].ljust(length - 8, b"\0")[: length - 8])
        body[24:32] = length.to_bytes(8, "little")
        with pytest.raises(Corrupt, match="table"):
            decode_record(b"g2vE" + crc32c(body, FILE.seed).to_bytes(4, "little") + body, FILE, POSITION, 1)


def test_an_encrypted_record_shows_neither_content_nor_block_numbers() -> None:
    """Table and data are encrypted, each at its own place."""
    secret: list[Change] = [(WRITE, 0x123456789ABC, 2, samples.noise(1) * 2)]
    telling = [(0x123456789ABC).to_bytes(8, "little"), samples.noise(1)[:16]]
    clear = b"".join(encode_record(FILE, POSITION, 1, secret)[0])
    stored = b"".join(encode_record(FILE, POSITION, 1, secret, CIPHER)[0])

    assert all(piece in clear for piece in telling)
    assert not any(piece in stored for piece in telling)
    assert stored[-8192:-4096] != stored[-4096:]


def test_any_block_is_decrypted_alone() -> None:
    """The counter follows from the position."""
    plain = samples.noise(1) + samples.noise(2)
    sealed = CIPHER.apply(1600, plain)

    assert plain[4096:] == CIPHER.apply(1600 + 4096, sealed[4096:])


def test_each_use_of_a_file_has_its_own_key() -> None:
    """Another salt, journal, epoch or file: the same bytes at the same position come out otherwise."""
    uses = [
        FILE,
        replace(FILE, salt=bytes(16)),
        replace(FILE, journal="b" * 32),
        replace(FILE, epoch=7),
        replace(FILE, number=10),
    ]

    assert len(uses) == len({JournalCipher(samples.KEY, use).apply(0, bytes(32)) for use in uses})
