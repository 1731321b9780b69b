"""Segments: what is built is read, at any place, in every compression and encryption."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from g2disk.errors import Corrupt, Unsupported
from g2disk.volume.format.checksum import crc32c
from g2disk.volume.format.compression import Compression
from g2disk.volume.format.sealing import Sealer
from g2disk.volume.format.segment import (
    HEADER_LENGTH,
    SegmentIndex,
    SegmentKind,
    SegmentName,
    build_segment,
    index_length,
    read_blocks,
    stored_range,
)
from tests.volume.format import samples
from tests.volume.format.damage import cut, flipped, unnoticed

every_sealer = pytest.mark.parametrize("sealer", samples.SEALERS.values(), ids=list(samples.SEALERS))
Parts = list[tuple[int, bytes]]


def decoded(data: bytes, sealer: Sealer) -> SegmentIndex:
    return SegmentIndex.decode(data, samples.NAME, sealer)


@st.composite
def contents(draw: st.DrawFn) -> tuple[Parts, list[tuple[int, int]], int]:
    """Extents, zero ranges, block size."""
    block_size = 1 << draw(st.integers(12, 16))
    kinds = st.lists(st.sampled_from([samples.block, samples.noise]), min_size=1, max_size=9)
    extents, at = [], draw(st.integers(0, 1 << 50))
    for number, makers in enumerate(draw(st.lists(kinds, max_size=5))):
        extents.append((at, b"".join(make(number, block_size) for make in makers)))
        at += len(makers) + draw(st.integers(0, 3))
    ranges = st.tuples(st.integers(0, (1 << 52) - 1), st.integers(1, 1 << 51))
    return extents, draw(st.lists(ranges, max_size=4)), block_size


@every_sealer
@given(content=contents(), data=st.data())
def test_what_was_built_is_read(
    sealer: Sealer, content: tuple[Parts, list[tuple[int, int]], int], data: st.DataObject
) -> None:
    """The decoded index says what the built one says, and blocks are read from just the bytes that they need."""
    extents, zeroes, block_size = content
    built, parts = build_segment(samples.NAME, SegmentKind.DATA, (3, 9), extents, zeroes, block_size, sealer)
    stored = b"".join(parts)
    front = stored[: index_length(stored[:HEADER_LENGTH])]
    index = decoded(front, sealer)

    assert (SegmentKind.DATA, 3, 9, block_size) == (
        *(index.kind, index.first_sequence, index.last_sequence),
        index.block_size,
    )
    assert zeroes == list(zip(index.zero_blocks.tolist(), index.zero_counts.tolist(), strict=True))
    assert [(block, len(plain) // block_size) for block, plain in extents] == [
        (extent.block, extent.count) for extent in index.extents()
    ]
    assert built.plain() == index.plain()
    assert len(stored) == index.stored_bytes == built.stored_bytes
    assert len(front) == index.data_offset == built.data_offset
    plain = b"".join(plain for _, plain in extents)
    if plain:
        first = data.draw(st.integers(0, index.block_count - 1))
        count = data.draw(st.integers(1, index.block_count - first))
        offset, length = stored_range(index, first, count)
        expected = plain[first * block_size : (first + count) * block_size]
        assert expected == read_blocks(index, first, count, stored[offset : offset + length], offset)
        assert expected == read_blocks(built, first, count, stored, 0)


def test_each_ordinal_is_of_the_block_that_its_extent_says() -> None:
    """`blocks` and `extents` agree."""
    index = decoded(samples.segment(Sealer()), Sealer())

    assert samples.BLOCKS == index.blocks().tolist()
    assert samples.BLOCKS == [extent.block + step for extent in index.extents() for step in range(extent.count)]
    assert [0, 3, 4] == index.extent_ordinals.tolist()


@every_sealer
def test_every_flipped_or_missing_byte_of_header_and_index_is_corrupt(sealer: Sealer) -> None:
    """Nothing in front of the data may change; the error names the segment."""
    data = samples.segment(sealer)
    front = data[: index_length(data)]

    assert [] == unnoticed(flipped(front), lambda damaged: decoded(damaged, sealer))
    assert [] == unnoticed(cut(front), lambda damaged: decoded(damaged, sealer))
    with pytest.raises(Corrupt, match="segment 1234 of epoch 7"):
        decoded(front[:-1], sealer)


@every_sealer
def test_every_flipped_byte_of_a_block_is_corrupt_and_named(sealer: Sealer) -> None:
    """Also within compressed and encrypted frames."""
    extents = [(77, samples.block(1) + samples.noise(2)[:2048] * 2)]
    built, parts = build_segment(samples.NAME, SegmentKind.DATA, (1, 2), extents, [], samples.BLOCK, sealer)
    data = b"".join(parts)
    stored = data[built.data_offset :]

    def read(damaged: bytes) -> object:
        if read_blocks(built, 0, 2, damaged, built.data_offset) == extents[0][1]:
            raise Corrupt("zstd has some bits that mean nothing")
        return None

    assert [] == unnoticed(flipped(stored), read)
    with pytest.raises(Corrupt, match=r"segment 1234 of epoch 7.* block 7[78] of the disk"):
        read_blocks(built, 0, 2, stored[:-1] + b"\1", built.data_offset)
    for length in range(0, len(stored), 97):
        with pytest.raises(Corrupt, match="ends too early"):
            read_blocks(built, 0, 2, stored[:length], built.data_offset)


def test_damage_elsewhere_does_not_keep_a_block_from_being_read() -> None:
    """Checksums are a block's own."""
    data = bytearray(samples.segment(Sealer()))
    index = decoded(bytes(data), Sealer())
    data[-1] ^= 1

    assert samples.CONTENT[: samples.BLOCK * 23] == read_blocks(index, 0, 23, data, 0)
    with pytest.raises(Corrupt, match="block 59 of the disk"):
        read_blocks(index, 22, 2, data, 0)


def test_a_segment_under_another_name_is_corrupt() -> None:
    """A store that mixes up its keys, or a late put of another epoch, is noticed."""
    data = samples.segment(Sealer())

    for name in (SegmentName(0x1235, 7), SegmentName(0x1234, 8)):
        with pytest.raises(Corrupt, match="it is segment 1234 of epoch 7"):
            SegmentIndex.decode(data, name, Sealer())


def test_a_segment_that_is_not_encrypted_is_refused_with_a_key() -> None:
    """Nobody without the key can put a segment into an encrypted volume; and the other way round."""
    for sealer, reader in (("plain", "encrypted"), ("encrypted", "plain")):
        with pytest.raises(Corrupt, match="not a segment of this volume"):
            decoded(samples.segment(samples.SEALERS[sealer]), samples.SEALERS[reader])
    with pytest.raises(Corrupt, match="does not decrypt"):
        decoded(samples.segment(samples.SEALERS["encrypted"]), Sealer(key=bytes(32)))


def test_compression_is_read_from_the_segment() -> None:
    """A volume's compression may change: its sealer's does not matter to a reader."""
    data = samples.segment(Sealer(Compression.LZ4))
    index = decoded(data, Sealer(Compression.ZSTD))

    assert samples.CONTENT == read_blocks(index, 0, index.block_count, data, 0)


def test_plain_data_is_not_copied() -> None:
    """Neither when a segment is built nor when blocks are read."""
    plain = bytearray(samples.noise(1) + samples.noise(2))
    built, parts = build_segment(
        samples.NAME, SegmentKind.COLLECTED, (0, 0), [(5, memoryview(plain))], [], samples.BLOCK, Sealer()
    )
    stored = bytearray(b"".join(parts))
    found = read_blocks(built, 1, 1, stored, 0)

    assert isinstance(parts[1], memoryview)
    assert parts[1].obj is plain
    assert isinstance(found, memoryview)
    assert found.obj is stored


def test_an_encrypted_segment_shows_neither_content_nor_block_numbers() -> None:
    """Index and frames are encrypted."""
    extents = [(0x123456789ABC, samples.noise(1))]

    def stored(sealer: Sealer) -> bytes:
        _, parts = build_segment(
            samples.NAME, SegmentKind.DATA, (0x5555AAAA1111, 0x5555AAAA1112), extents, [], samples.BLOCK, sealer
        )
        return b"".join(parts)

    telling = [
        samples.noise(1)[:16],
        *(number.to_bytes(8, "little") for number in (0x123456789ABC, 0x5555AAAA1111)),
        crc32c(samples.noise(1)).to_bytes(4, "little"),
    ]
    assert all(secret in stored(Sealer()) for secret in telling)
    assert not any(secret in stored(Sealer(key=samples.KEY)) for secret in telling)


def test_the_same_content_gives_the_same_segment() -> None:
    """So a put can be repeated, also by who builds it again."""
    sealer = samples.SEALERS["encrypted-zstd"]

    assert samples.segment(sealer) == samples.segment(sealer)


def test_other_content_under_the_same_name_is_encrypted_with_another_key() -> None:
    """Names are used once; where they are not after all (a bucket restored from a copy), one segment does not tell
    what the other holds: the difference of their frames is not that of their contents.
    """
    sealer = Sealer(key=samples.KEY)

    def frames(first: bytes) -> bytes:
        extents = [(1, first), (9, samples.noise(3))]
        index, parts = build_segment(samples.NAME, SegmentKind.DATA, (1, 2), extents, [], samples.BLOCK, sealer)
        return b"".join(parts)[index.data_offset :]

    one, other = frames(samples.noise(1)), frames(samples.noise(2))
    assert one[samples.BLOCK :] != other[samples.BLOCK :]
    assert [a ^ b for a, b in zip(one, other, strict=True)][:16] != [
        a ^ b for a, b in zip(samples.noise(1), samples.noise(2), strict=True)
    ][:16]


def refronted(data: bytes, header: bytes, index: bytes) -> bytes:
    """The segment `data` with other fields in its header, another index, and checksums that fit."""
    fields = bytearray(header)
    fields[20:24] = len(index).to_bytes(4, "little")
    fields[24:28] = crc32c(index).to_bytes(4, "little")
    return data[:4] + crc32c(fields).to_bytes(4, "little") + bytes(fields) + index


@given(at=st.integers(0, 1 << 16), value=st.integers(0, 255), length=st.integers(1, 9), data=st.data())
def test_an_index_that_lies_is_corrupt_or_harmless(at: int, value: int, length: int, data: st.DataObject) -> None:
    """Behind checksums that fit, whatever index and header say: Corrupt, or something that can be used."""
    name = data.draw(st.sampled_from(["plain", "zstd"]))
    stored = samples.segment(samples.SEALERS[name])
    end = index_length(stored)
    front = bytearray(stored[8:end])
    at %= len(front)
    front[at : at + length] = bytes([value]) * len(front[at : at + length])
    lying = refronted(stored, bytes(front[: HEADER_LENGTH - 8]), bytes(front[HEADER_LENGTH - 8 :]))
    try:
        index = decoded(lying, samples.SEALERS[name])
        index.blocks()
        read_blocks(index, 0, 1, lying + stored[end:], 0)
    except (Corrupt, Unsupported):
        return


def test_counts_are_checked_before_room_is_made() -> None:
    """An index of four billion blocks in a hundred bytes is Corrupt."""
    stored = samples.segment(Sealer())
    index = bytearray(stored[HEADER_LENGTH : index_length(stored)])
    for at in (16, 20, 24, 28):
        lying = bytearray(index)
        lying[at : at + 4] = b"\xff" * 4
        with pytest.raises(Corrupt, match="length that its counts need"):
            decoded(refronted(stored, stored[8:HEADER_LENGTH], bytes(lying)), Sealer())


def with_number(index: bytes, at: int, value: int, width: int) -> bytes:
    return index[:at] + value.to_bytes(width, "little") + index[at + width :]


def test_ranges_beyond_all_disks_or_of_no_blocks_are_corrupt() -> None:
    """Nobody who adds a range's count to its first block need think of overflows."""
    stored = samples.segment(Sealer())
    index = stored[HEADER_LENGTH : index_length(stored)]
    zero_blocks, zero_counts, extent_blocks, extent_counts = 32, 48, 64, 88
    for lying in (
        with_number(index, zero_blocks, 1 << 52, 8),
        with_number(index, zero_counts, (1 << 52) + 1, 8),
        with_number(index, zero_counts, 0, 8),
        with_number(index, extent_blocks, (1 << 64) - 1, 8),
        with_number(with_number(index, extent_counts, 0, 4), extent_counts + 4, 4, 4),
    ):
        with pytest.raises(Corrupt, match="reaches too far, or is empty"):
            decoded(refronted(stored, stored[8:HEADER_LENGTH], lying), Sealer())


def test_frames_must_fit_the_blocks() -> None:
    """As many as the blocks need, none of them empty or longer than a frame can be."""
    sealer = samples.SEALERS["zstd"]
    stored = samples.segment(sealer)
    index = stored[HEADER_LENGTH : index_length(stored)]
    missing = with_number(index, 28, 1, 4)[:-4]
    for lying, why in (
        (missing, "1 frames instead of 2"),
        (with_number(index, len(index) - 4, 0, 4), "too long, or empty"),
        (with_number(index, len(index) - 4, 65536 + 17, 4), "too long, or empty"),
    ):
        with pytest.raises(Corrupt, match=why):
            decoded(refronted(stored, stored[8:HEADER_LENGTH], lying), sealer)


def test_a_newer_format_is_unsupported() -> None:
    """It is not damage."""
    stored = samples.segment(Sealer())
    newer = refronted(stored, b"\2" + stored[9:HEADER_LENGTH], stored[HEADER_LENGTH : index_length(stored)])

    with pytest.raises(Unsupported, match="format 2"):
        decoded(newer, Sealer())
    with pytest.raises(Unsupported, match="format 2"):
        index_length(newer)


@pytest.mark.parametrize(
    ("kind", "sequences"), [(SegmentKind.DATA, (0, 0)), (SegmentKind.DATA, (5, 4)), (SegmentKind.COLLECTED, (1, 1))]
)
def test_sequence_numbers_must_fit_the_kind(kind: SegmentKind, sequences: tuple[int, int]) -> None:
    """Changes have numbers, collected blocks have none."""
    _, parts = build_segment(samples.NAME, kind, sequences, samples.EXTENTS, [], samples.BLOCK, Sealer())

    with pytest.raises(Corrupt, match="sequence numbers"):
        decoded(b"".join(parts), Sealer())


@every_sealer
def test_a_segment_of_zeroes_alone_has_no_data(sealer: Sealer) -> None:
    """A trim of exbibytes is a few bytes."""
    _, parts = build_segment(samples.NAME, SegmentKind.DATA, (1, 1), [], [(0, 1 << 51)], samples.BLOCK, sealer)
    index = decoded(b"".join(parts), sealer)

    assert (0, [1 << 51]) == (index.block_count, index.zero_counts.tolist())
    assert index.stored_bytes == len(b"".join(parts)) < 200
