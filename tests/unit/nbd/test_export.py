"""What the handshake says of a disk."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from g2disk.disk.info import DiskInfo
from g2disk.errors import KINDS
from g2disk.nbd import constants as nbd
from g2disk.nbd import options
from g2disk.nbd.export import export_of

ALWAYS = {"HAS_FLAGS"}


def flags_of(**capabilities: bool) -> set[str]:
    """The names of the transmission flags of a disk that can only that."""
    info = DiskInfo(size=4096, **({"flush": False, "multi_conn": False} | capabilities))  # type: ignore[arg-type]
    flags = export_of("d", info).flags
    names = {
        "HAS_FLAGS": 0,
        "READ_ONLY": 1,
        "SEND_FLUSH": 2,
        "SEND_FUA": 3,
        "ROTATIONAL": 4,
        "SEND_TRIM": 5,
        "SEND_WRITE_ZEROES": 6,
        "SEND_DF": 7,
        "CAN_MULTI_CONN": 8,
        "SEND_CACHE": 10,
        "SEND_FAST_ZERO": 11,
        "BLOCK_STATUS_PAYLOAD": 12,
    }
    assert flags < 1 << 13
    return {name for name, bit in names.items() if flags >> bit & 1}


@pytest.mark.parametrize(
    ("capabilities", "flags"),
    [
        ({}, set()),
        ({"read_only": True}, {"READ_ONLY"}),
        ({"flush": True}, {"SEND_FLUSH", "SEND_FUA"}),
        ({"rotational": True}, {"ROTATIONAL"}),
        ({"trim": True}, {"SEND_TRIM"}),
        ({"zero": True}, {"SEND_WRITE_ZEROES"}),
        ({"zero": True, "fast_zero": True}, {"SEND_WRITE_ZEROES", "SEND_FAST_ZERO"}),
        ({"fast_zero": True}, set()),
        ({"cache": True}, {"SEND_CACHE"}),
        ({"multi_conn": True}, set()),
        ({"multi_conn": True, "flush": True}, {"SEND_FLUSH", "SEND_FUA", "CAN_MULTI_CONN"}),
        ({"multi_conn": True, "read_only": True}, {"READ_ONLY", "CAN_MULTI_CONN"}),
        ({"read_only": True, "flush": True, "trim": True, "zero": True}, {"READ_ONLY", "SEND_FLUSH"}),
    ],
)
def test_only_what_is_true_is_advertised(capabilities: dict[str, bool], flags: set[str]) -> None:
    """Each capability has its flag; a flush brings FUA, and without it connections that write are not interchangeable;
    a read-only disk offers nothing that would change it.
    """
    assert flags_of(**capabilities) == ALWAYS | flags


@given(st.integers(0, 16), st.integers(0, 1 << 40), st.integers(1, 1 << 40))
def test_block_sizes_keep_the_rules(power: int, preferred: int, maximum: int) -> None:
    """Powers of two, the preferred size at least the minimum and 512, the payload at least the preferred size."""
    info = DiskInfo(size=1 << 40, minimum_block=1 << power, preferred_block=preferred, maximum_request=maximum)
    export = export_of("d", info)

    assert export.minimum_block == 1 << power
    assert export.preferred_block & (export.preferred_block - 1) == 0
    assert max(512, export.minimum_block) <= export.preferred_block <= export.maximum_payload < 1 << 32


def test_ordinary_block_sizes_stay_as_they_are() -> None:
    """What keeps the rules is passed on."""
    info = DiskInfo(1 << 40, description="one", minimum_block=512, preferred_block=65536, maximum_request=1 << 20)
    export = export_of("d", info)

    assert (512, 65536, 1 << 20) == (export.minimum_block, export.preferred_block, export.maximum_payload)
    assert ("d", 1 << 40, "one", False) == (export.name, export.size, export.description, export.base_allocation)


@given(st.text(max_size=3000), st.text(max_size=3000))
def test_any_text_becomes_a_string_of_the_protocol(first: str, second: str) -> None:
    """UTF-8 without NUL, at most 4096 bytes; ordinary text unchanged."""
    raw = options.encode_string(first + "\0\ud800" + second)

    assert options.decode_string(raw) == raw.decode()
    if len(first.encode(errors="replace")) < nbd.MAXIMUM_STRING and "\0" not in first:
        assert raw.startswith(first.encode(errors="replace"))


def test_every_kind_has_an_option_error() -> None:
    """The table knows all kinds, and gives only what the protocol lists."""
    assert set(KINDS) == set(options.OPTION_ERROR)
    assert set(options.OPTION_ERROR.values()) <= {kind for kind in nbd.REPLY_NAMES if kind & nbd.REP_ERROR}
