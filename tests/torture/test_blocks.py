"""Blocks that say themselves what they are."""

from __future__ import annotations

import pytest

from g2disk.torture.blocks import BLOCK, STAMP, ZEROES, Blocks

RUN = Blocks(run=7)


@pytest.mark.parametrize("size", [512, 4096, 65536])
@pytest.mark.parametrize("version", [1, 2**32 - 1])
def test_a_block_is_recognised(size: int, version: int) -> None:
    """A whole block gives the version that it was made with, at any size and place."""
    blocks = Blocks(run=2**64 - 1, size=size)
    for block in (0, 3, 2**40):
        content = blocks.content(block, version, writer=5)

        assert size == len(content)
        assert version == blocks.version_of(block, content)
        assert f"version {version}" == blocks.describe(block, content)


def test_zeroes_are_a_version() -> None:
    """A block of zeroes is recognised as such."""
    assert ZEROES == RUN.version_of(3, RUN.content(3, ZEROES))
    assert "zeroes" == RUN.describe(3, bytes(BLOCK))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (RUN.content(4, 9), "version 9 of byte"),
        (Blocks(run=8).content(3, 9), "data of another run"),
        (b"\xff" * BLOCK, "foreign bytes"),
        (RUN.content(3, 9)[:256] + RUN.content(3, 8)[256:], "torn: 8/16 version 9, 8/16 version 8"),
        (RUN.content(3, 9)[:-1] + b"?", "torn: 15/16 version 9, 1/16 foreign bytes"),
        (RUN.content(3, 9)[:480] + bytes(32), "torn: 15/16 version 9, 1/16 zeroes"),
    ],
)
def test_anything_else_is_named(data: bytes, says: str) -> None:
    """Another place's, another run's, torn and foreign bytes are told apart, and are no version."""
    assert RUN.version_of(3, data) is None
    assert says in RUN.describe(3, data)


def test_one_wrong_bit_is_noticed() -> None:
    """A block with any bit flipped is no version any more."""
    good = RUN.content(3, 9)
    for bit in range(0, 8 * BLOCK, 37):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8

        assert RUN.version_of(3, bytes(bad)) is None


def test_every_piece_of_a_block_says_where_it_belongs() -> None:
    """A block whose pieces have changed places is no version."""
    good = RUN.content(3, 9)

    assert RUN.version_of(3, good[STAMP : 2 * STAMP] + good[:STAMP] + good[2 * STAMP :]) is None
