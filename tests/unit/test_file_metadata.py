"""The format of disk.json."""

from __future__ import annotations

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from g2disk.errors import Corrupt
from g2disk.stores.file.metadata import Metadata, decode, encode, instance
from g2disk.units import MAXIMUM_DISK_SIZE

GOLDEN = """{
  "format": 1,
  "name": "a",
  "size": 1048576,
  "identity": "8f14e45f",
  "description": "for ⌘",
  "losses": 2
}
""".encode()
METADATA = Metadata(name="a", size=1 << 20, identity="8f14e45f", description="for ⌘", losses=2)


def test_the_format_is_what_it_was() -> None:
    """What was written once is written and read the same way for ever."""
    assert encode(METADATA) == GOLDEN
    assert decode(GOLDEN, "x") == METADATA


@given(
    some.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", fullmatch=True),
    some.integers(1, MAXIMUM_DISK_SIZE // 512),
    some.text(min_size=1),
    some.text(),
    some.integers(0, 1 << 62),
)
def test_what_is_encoded_is_decoded(name: str, sectors: int, identity: str, description: str, losses: int) -> None:
    """Every description survives being written and read."""
    metadata = Metadata(name=name, size=sectors * 512, identity=identity, description=description, losses=losses)
    assert decode(encode(metadata), "x") == metadata


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"\xff\xfe",
        GOLDEN[:-20],
        GOLDEN.replace(b'"format": 1', b'"format": 2'),
        GOLDEN.replace(b'"format": 1', b'"format": "1"'),
        GOLDEN.replace(b'"name": "a"', b'"name": "../a"'),
        GOLDEN.replace(b'"name": "a",', b""),
        GOLDEN.replace(b"1048576", b"1048577"),
        GOLDEN.replace(b"1048576", b"0"),
        GOLDEN.replace(b"1048576", b"-512"),
        GOLDEN.replace(b"1048576", b"1e6"),
        GOLDEN.replace(b"1048576", b"99999999999999999999999"),
        GOLDEN.replace(b"8f14e45f", b""),
        GOLDEN.replace(b'"losses": 2', b'"losses": -1'),
        GOLDEN.replace(b'"losses": 2', b'"losses": 2, "more": 3'),
        GOLDEN + GOLDEN,
    ],
)
def test_anything_else_is_corrupt(content: bytes) -> None:
    """Any other content raises Corrupt, naming the file."""
    with pytest.raises(Corrupt, match=r"^/store/a/disk\.json "):
        decode(content, "/store/a/disk.json")


@given(some.binary())
def test_noise_is_corrupt(content: bytes) -> None:
    """No bytes raise anything else."""
    with pytest.raises(Corrupt):
        decode(content, "x")


@given(some.integers(0, len(GOLDEN) - 1), some.binary(min_size=1, max_size=1))
def test_one_wrong_byte_raises_nothing_else(at: int, byte: bytes) -> None:
    """A description with one byte changed is another description or Corrupt."""
    with suppress(Corrupt):
        decode(GOLDEN[:at] + byte + GOLDEN[at + 1 :], "x")


def test_the_instance_follows_from_all_that_may_have_lost_writes() -> None:
    """Another boot, file, disk or loss is another instance; the same ones are the same instance."""
    first = instance(METADATA, "boot", 1, 2)
    assert first == instance(METADATA, "boot", 1, 2)
    others = {
        instance(METADATA, "later", 1, 2),
        instance(METADATA, "boot", 2, 2),
        instance(METADATA, "boot", 1, 3),
        instance(msgspec.structs.replace(METADATA, losses=3), "boot", 1, 2),
        instance(msgspec.structs.replace(METADATA, identity="9"), "boot", 1, 2),
    }
    assert len(others | {first}) == 6
