"""`Faulty`: faults as planned, and no others."""

from __future__ import annotations

from random import Random

import pytest
from tests.contract.mutants import Blocky, Durable, Medium

from g2disk.disk.layers import Checked, Fault, Faulty, Plan, dice, script
from g2disk.errors import Busy, DiskError, Internal, OutOfSpace, Unavailable
from g2disk.stores.memory import MemoryDisk
from g2disk.testing import ManualClock
from g2disk.units import MIB


def faulty(plan: Plan) -> Faulty:
    return Faulty(MemoryDisk(MIB), plan, ManualClock())


async def test_a_script_is_followed() -> None:
    """Each operation meets its own faults, in order, and none when they are used up."""
    disk = faulty(script({"write": [None, Fault(OutOfSpace)], "read": [Fault(Busy)]}))

    await disk.write(0, b"a")
    with pytest.raises(OutOfSpace, match="0 bytes of it were done"):
        await disk.write(0, b"b")
    with pytest.raises(Busy):
        await disk.read(0, 1)
    assert bytes(await disk.read(0, 1)) == b"a"
    await disk.write(0, b"c")
    assert bytes(await disk.read(0, 1)) == b"c"


@pytest.mark.parametrize(("applied", "done"), [(0.0, 0), (0.5, 4), (0.3, 2), (1.0, 8)])
async def test_a_change_can_be_torn_or_lose_its_answer(applied: float, done: int) -> None:
    """Of a write or zero with an error, the planned part is done, up to all of it."""
    fault = Fault(Unavailable, applied)
    disk = faulty(script({"write": [None, fault], "zero": [fault]}))
    await disk.write(0, b"oooooooooo")

    with pytest.raises(Unavailable, match=f"{done} bytes"):
        await disk.write(1, b"nnnnnnnn")
    assert bytes(await disk.read(0, 10)) == b"o" + b"n" * done + b"o" * (9 - done)
    with pytest.raises(Unavailable, match=f"{done} bytes"):
        await disk.zero(1, 8)
    assert bytes(await disk.read(0, 10)) == b"o" + bytes(done) + b"o" * (9 - done)


async def test_a_torn_write_is_torn_between_blocks() -> None:
    """A disk with large blocks is given whole ones."""
    block = Blocky.minimum_block
    disk = Faulty(Blocky(), script({"write": [Fault(Unavailable, 0.6)]}), ManualClock())

    with pytest.raises(Unavailable, match=f"{block} bytes"):
        await disk.write(0, b"n" * (2 * block))

    assert bytes(await disk.read(0, 2 * block)) == b"n" * block + bytes(block)


async def test_a_flush_is_done_or_not() -> None:
    """A flush whose answer is lost was done; any other failed flush was not."""
    medium = Medium()
    disk = Faulty(Durable(medium), script({"flush": [Fault(Unavailable, 0.5), Fault(Unavailable, 1.0)]}), ManualClock())
    await disk.write(0, b"data")

    with pytest.raises(Unavailable):
        await disk.flush()
    assert medium.stable.get(0, 4) == bytes(4)
    with pytest.raises(Unavailable):
        await disk.flush()
    assert medium.stable.get(0, 4) == b"data"


async def test_a_request_can_be_late() -> None:
    """A fault without an error is only a delay."""
    clock = ManualClock()
    disk = Faulty(MemoryDisk(MIB), script({"cache": [Fault(None, delay=30)]}), clock)

    await clock.run(disk.cache(0, 1))
    await clock.run(disk.cache(0, 1))

    assert clock.now() == 30


async def test_a_read_can_be_short_and_the_border_sees_it() -> None:
    """`missing` makes an incorrect disk, for tests of those who must notice."""
    disk = faulty(script({"read": [Fault(None, missing=3), Fault(None, missing=3)]}))

    assert len(await disk.read(0, 10)) == 7
    with pytest.raises(Internal, match="returned 7 bytes for 10"):
        await Checked(disk).read(0, 10)


async def test_dice_fall_as_seeded() -> None:
    """About the given part of the requests fails, the same ones for the same seed, of the chosen operations only."""

    async def failures(seed: int) -> list[int]:
        disk = faulty(dice(Random(seed), 0.3, [Fault(Unavailable), Fault(Busy)], ["read"]))
        failed = []
        for number in range(200):
            await disk.flush()
            try:
                await disk.read(0, 1)
            except DiskError:
                failed.append(number)
        return failed

    first = await failures(1)

    assert first == await failures(1)
    assert first != await failures(2)
    assert 30 < len(first) < 90
