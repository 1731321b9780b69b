"""Map pages."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from g2disk.errors import Corrupt, Unsupported
from g2disk.volume.format.manifest import PageReference
from g2disk.volume.format.pages import (
    LEAF_BLOCKS,
    IndexPage,
    References,
    TablePage,
    decode_index,
    decode_leaf,
    decode_root,
    decode_table,
    encode_index,
    encode_leaf,
    encode_root,
    encode_table,
)
from tests.volume.format import samples

u64s = st.integers(0, (1 << 64) - 1)
u32s = st.integers(0, (1 << 32) - 1)
references = st.builds(
    PageReference,
    number=st.integers(1, (1 << 63) - 1),
    epoch=u32s,
    offset=u32s,
    length=st.integers(1, (1 << 32) - 1),
)
PAGES: dict[str, tuple[bytes, Callable[[bytes], object]]] = {
    "leaf": (encode_leaf(77, samples.locations()), lambda data: decode_leaf(data, 77)),
    "index": (encode_index(samples.index_page()), decode_index),
    "root": (encode_root(samples.index_page()), decode_root),
    "table": (encode_table(samples.table_page()), decode_table),
}
every_page = pytest.mark.parametrize(("page", "decode"), PAGES.values(), ids=list(PAGES))


@given(st.integers(0, 1 << 42), st.integers(0, 1 << 32))
def test_a_leaf_is_read_as_it_was_written(leaf: int, seed: int) -> None:
    """Every location, bit by bit."""
    locations = np.random.default_rng(seed).integers(0, 1 << 64, LEAF_BLOCKS, "<u8")

    assert locations.tolist() == decode_leaf(encode_leaf(leaf, locations), leaf).tolist()


@given(st.dictionaries(u64s, references, max_size=20))
def test_index_and_root_are_read_as_they_were_written(rows: dict[int, PageReference]) -> None:
    """Leaf numbers that rise, and a reference each."""
    leaves = sorted(rows)
    page = IndexPage(np.array(leaves, "<u8"), References.of([rows[leaf] for leaf in leaves]))
    for found in (decode_index(encode_index(page)), decode_root(encode_root(page))):
        assert leaves == found.leaves.tolist()
        assert [rows[leaf] for leaf in leaves] == [found.references[row] for row in range(len(found.references))]


@given(st.lists(st.tuples(u64s, u64s, u64s, u64s, u32s, u32s, u32s, st.integers(0, 1)), max_size=20))
def test_the_table_is_read_as_it_was_written(rows: list[tuple[int, ...]]) -> None:
    """All its columns."""
    types = ("<u8", "<u8", "<u8", "<u8", "<u4", "<u4", "<u4", "<u1")
    columns = [np.array([row[at] for row in rows], kind) for at, kind in enumerate(types)]
    found = decode_table(encode_table(TablePage(*columns)))

    for name, column in zip(TablePage.__slots__, columns, strict=True):
        assert column.tolist() == getattr(found, name).tolist()


@every_page
def test_a_page_of_another_length_is_corrupt(page: bytes, decode: Callable[[bytes], object]) -> None:
    """Cut, or with something behind it; pages are checked by the checksum of their blob, but for what is counted."""
    for length in (*range(40), len(page) // 2, len(page) - 1):
        with pytest.raises(Corrupt):
            decode(page[:length])
    with pytest.raises(Corrupt):
        decode(page + b"\0")


def test_a_page_of_another_kind_is_corrupt() -> None:
    """An index page is no root."""
    for name, (page, _) in PAGES.items():
        for other, (_, decode) in PAGES.items():
            if name != other:
                with pytest.raises(Corrupt, match="instead of"):
                    decode(page)


@every_page
def test_a_page_of_a_newer_format_is_unsupported(page: bytes, decode: Callable[[bytes], object]) -> None:
    """It is not damage."""
    with pytest.raises(Unsupported):
        decode(page[:4] + b"\2\0\0\0" + page[8:])


@every_page
def test_a_count_that_lies_makes_no_room(page: bytes, decode: Callable[[bytes], object]) -> None:
    """2^64 - 1 rows in a short page are Corrupt, and so is a leaf of that number."""
    with pytest.raises(Corrupt):
        decode(page[:8] + b"\xff" * 8 + page[16:])


@every_page
@given(data=st.data())
def test_any_bytes_are_a_page_or_an_error_of_ours(
    page: bytes, decode: Callable[[bytes], object], data: st.DataObject
) -> None:
    """No other exception."""
    at = data.draw(st.integers(0, len(page) - 1))
    piece = data.draw(st.binary(max_size=16))
    with suppress(Corrupt, Unsupported):
        decode(page[:at] + piece + page[at + len(piece) :])


def test_leaves_in_the_wrong_order_are_corrupt() -> None:
    """They are searched by halves."""
    page = samples.index_page()
    page.leaves[1] = page.leaves[2]

    with pytest.raises(Corrupt, match="do not rise"):
        decode_index(encode_index(page))


def test_what_was_decoded_cannot_be_written_to() -> None:
    """A page may be shared by those who read."""
    with pytest.raises(ValueError, match="read-only"):
        decode_leaf(PAGES["leaf"][0], 77)[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        decode_table(bytearray(PAGES["table"][0])).live[0] = 1
