"""Sizes and names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from g2disk.errors import Invalid
from g2disk.units import MAXIMUM_DISK_SIZE, check_disk_name, check_disk_size, format_size, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512", 512),
        ("0", 0),
        ("5MiB", 5 << 20),
        ("5mib", 5 << 20),
        ("10G", 10 << 30),
        ("10 GB", 10 << 30),
        ("1EiB", 1 << 60),
        ("1.5TiB", 3 << 39),
        ("0.5KiB", 512),
        (" 4096B ", 4096),
        ("8EiB", MAXIMUM_DISK_SIZE),
        ("8.0E", MAXIMUM_DISK_SIZE),
        ("9223372036854775807", (1 << 63) - 1),
    ],
)
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    """Bytes or a unit, powers of 1024; 8EiB is the largest disk."""
    assert size == parse_size(text)


@pytest.mark.parametrize(
    "text", ["", "-5MiB", "5 M i B", "MiB", "1e9", "0x10", "5XiB", "1.1B", "1..5G", "٣", "5MiBs", "nan", "9" * 5000]
)
def test_what_is_no_size_is_invalid(text: str) -> None:
    """Anything else is Invalid."""
    with pytest.raises(Invalid):
        parse_size(text)


@given(st.integers(0, MAXIMUM_DISK_SIZE))
def test_a_formatted_size_is_close_to_the_size(size: int) -> None:
    """What is shown reads back within half a percent, and exactly where it is short."""
    shown = format_size(size)
    back = MAXIMUM_DISK_SIZE if shown == "8EiB-4KiB" else float(shown[:-3] or 0) if shown.endswith("iB") else None
    if back is not None and shown != "8EiB-4KiB":
        back *= 1 << (10 * "BKMGTPE".index(shown[-3]))

    assert (size if shown.endswith("B") and not shown.endswith("iB") else back) == pytest.approx(size, rel=0.005)


@pytest.mark.parametrize("size", [512, 5 << 20, MAXIMUM_DISK_SIZE])
def test_sizes_that_a_disk_can_have(size: int) -> None:
    """Multiples of 512 up to the largest."""
    assert size == check_disk_size(size)


@pytest.mark.parametrize("size", [0, -512, 1, 511, 513, 1000, MAXIMUM_DISK_SIZE + 512, 1 << 63, 1 << 64])
def test_sizes_that_no_disk_can_have(size: int) -> None:
    """Zero, negative, not a multiple of 512, too large: Invalid, with what is possible."""
    with pytest.raises(Invalid, match=r"smallest|largest|multiple"):
        check_disk_size(size)


@pytest.mark.parametrize("name", ["a", "default", "db-1.data_x", "0", "x" * 128])
def test_names_that_a_disk_can_have(name: str) -> None:
    """Letters, digits, dots, underscores and dashes."""
    assert name == check_disk_name(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".hidden", "-x", "a/b", "/", "../x", "a\n", "a\x00b", "a b", "ä", "x" * 129, "x" * 300, "a@b"],
)
def test_names_that_no_disk_can_have(name: str) -> None:
    """Slashes, leading dots, control characters, too long: Invalid, with what is possible."""
    with pytest.raises(Invalid, match="cannot be a disk's name"):
        check_disk_name(name)
