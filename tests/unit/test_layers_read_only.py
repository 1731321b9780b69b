"""`ReadOnlyDisk`: nothing changes the disk behind it."""

from __future__ import annotations

import pytest
from tests.contract.test_check_disk import opening

from g2disk.disk.layers import ReadOnlyDisk
from g2disk.errors import ReadOnly
from g2disk.stores.memory import MemoryDisk
from g2disk.testing import check_disk
from g2disk.units import MIB


async def test_reads_pass_and_changes_do_not() -> None:
    """What is there can be read; writes, trims and zeroes raise `ReadOnly` and change nothing."""
    inner = MemoryDisk(MIB)
    await inner.write(5, b"hello")
    disk = ReadOnlyDisk(inner)

    for change in (disk.write(5, b"HELLO"), disk.trim(0, 4096), disk.zero(0, 4096)):
        with pytest.raises(ReadOnly, match="serve it without read-only"):
            await change
    await disk.flush()

    assert bytes(await disk.read(5, 5)) == b"hello"


def test_it_offers_no_changes() -> None:
    """Info says read-only and names no capability to change; all else is the inner disk's."""
    inner = MemoryDisk(MIB).info()
    info = ReadOnlyDisk(MemoryDisk(MIB)).info()

    assert info.read_only
    assert (info.trim, info.zero, info.fast_zero) == (False, False, False)
    assert (info.size, info.extents, info.cache) == (inner.size, inner.extents, inner.cache)


async def test_it_keeps_the_promises() -> None:
    """It passes the contract of a read-only disk."""
    await check_disk(opening(lambda: ReadOnlyDisk(MemoryDisk(6 * MIB))), seed=6)
