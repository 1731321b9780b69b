"""Blobs: small things, compressed and encrypted; and compression."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from g2disk.errors import Corrupt
from g2disk.volume.format.checksum import crc32c
from g2disk.volume.format.compression import Compression, compress, decompress
from g2disk.volume.format.sealing import Sealer
from tests.volume.format import samples
from tests.volume.format.damage import cut, flipped, unnoticed

CLEAR, SEALED = Sealer(), Sealer(key=samples.KEY)
both = pytest.mark.parametrize("sealer", [CLEAR, SEALED], ids=["clear", "encrypted"])
plains = st.binary(max_size=300) | st.binary(max_size=20).map(lambda data: data * 100)


@both
@given(context=st.text(st.characters(codec="utf-8")), plain=plains)
def test_a_blob_opens_to_what_was_sealed(sealer: Sealer, context: str, plain: bytes) -> None:
    """Whatever it holds."""
    assert plain == sealer.open(context, sealer.seal(context, plain))


@both
def test_a_blob_opens_only_where_it_belongs(sealer: Sealer) -> None:
    """A page that is read in another one's place is noticed, and the error names the place."""
    with pytest.raises(Corrupt, match=r"^there: "):
        sealer.open("there", sealer.seal("here", b"page"))


@both
def test_other_bytes_are_corrupt(sealer: Sealer) -> None:
    """Each flip, each cut, and bytes behind the end."""
    blob = sealer.seal("page", samples.block(1) + samples.noise(1)[:100])

    assert [] == unnoticed(flipped(blob), lambda data: sealer.open("page", data))
    assert [] == unnoticed(cut(blob), lambda data: sealer.open("page", data))
    assert [] == unnoticed(iter([blob + b"\0"]), lambda data: sealer.open("page", data))


@both
@given(rest=st.binary(max_size=60))
def test_hostile_bytes_with_the_right_checksum_are_corrupt(sealer: Sealer, rest: bytes) -> None:
    """Lengths that are made up make no room: nothing but Corrupt is raised."""
    for front in (b"", b"\1\0\0\0", b"\1\2\0\0\xff\xff\xff\x3f", b"\1\1\0\0\xff\xff\0\0", b"\1\2\1\0\x10\0\0\0"):
        body = front + rest
        blob = b"g2vB" + crc32c(body, crc32c(b"page")).to_bytes(4, "little") + body
        try:
            plain = sealer.open("page", blob)
        except Corrupt:
            continue
        assert not sealer.encrypted
        assert len(plain) < 100


def test_nothing_of_the_content_shows() -> None:
    """With a key; without one a page that does not compress stands there as it is."""
    secret = samples.noise(5)

    assert secret in CLEAR.seal("page", secret)
    assert secret[:16] not in SEALED.seal("page", secret)


def test_the_same_content_gives_the_same_blob() -> None:
    """So a put can be repeated."""
    assert SEALED.seal("page", b"content") == SEALED.seal("page", b"content")


def test_other_content_under_the_same_name_gets_another_nonce() -> None:
    """A checkpoint that failed is repeated with the same numbers; a bucket may be restored from a copy."""
    nonces = {SEALED.seal(context, plain)[16:28] for context in ("a", "b") for plain in (b"content", b"another")}

    assert 4 == len(nonces)


def test_a_blob_of_another_volume_does_not_open() -> None:
    """With another key, with none, or without encryption where there should be some."""
    for sealer, reader in ((SEALED, CLEAR), (CLEAR, SEALED), (SEALED, Sealer(key=bytes(32)))):
        with pytest.raises(Corrupt):
            reader.open("page", sealer.seal("page", b"content"))


@pytest.mark.parametrize("compression", Compression)
@given(plain=plains)
def test_what_was_compressed_decompresses(compression: Compression, plain: bytes) -> None:
    """And is never longer than it was."""
    stored = compress(compression, plain)

    assert len(stored) <= len(plain)
    assert plain == decompress(compression, stored, len(plain))


@pytest.mark.parametrize("compression", Compression)
@given(stored=st.binary(max_size=80), length=st.integers(0, 70000))
def test_arbitrary_bytes_decompress_to_the_length_or_are_corrupt(
    compression: Compression, stored: bytes, length: int
) -> None:
    """No other exception, whatever they are."""
    try:
        plain = decompress(compression, stored, length)
    except Corrupt:
        return
    assert length == len(plain)


def test_a_bomb_makes_no_room() -> None:
    """A frame that claims a terabyte is refused by its claim."""
    bomb = bytes.fromhex("28b52ffd" + "c0" + "00") + (1 << 40).to_bytes(8, "little") + b"\x01\0\0"

    with pytest.raises(Corrupt, match=f"claims to have {1 << 40} bytes"):
        decompress(Compression.ZSTD, bomb, 65536)
