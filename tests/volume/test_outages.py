"""The object store goes away, and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from g2disk.clock import SystemClock
from g2disk.disk import Buffer
from g2disk.errors import Denied, DiskError, Unavailable
from g2disk.objects.layers.wrapper import Wrapper
from g2disk.objects.memory import MemoryObjects
from g2disk.objects.store import ObjectEntry
from g2disk.units import KIB, MIB
from g2disk.volume.volume import Volume
from tests.volume.harness import Site, kill


class FastClock(SystemClock):
    """Sleeps a fiftieth of what is asked."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / 50)


class Outage(Wrapper):
    """A store that fails as long as `error` is set."""

    def __init__(self) -> None:
        super().__init__(MemoryObjects())
        self.error: DiskError | None = None

    def _check(self) -> None:
        if self.error is not None:
            raise type(self.error)(*self.error.args)

    async def put(self, key: str, data: Sequence[Buffer]) -> None:
        self._check()
        await super().put(key, data)

    async def create(self, key: str, data: Sequence[Buffer]) -> None:
        self._check()
        await super().create(key, data)

    async def get(self, key: str) -> Buffer:
        self._check()
        return await super().get(key)

    async def get_range(self, key: str, offset: int, length: int) -> Buffer:
        self._check()
        return await super().get_range(key, offset, length)

    async def list(self, prefix: str, after: str = "") -> list[ObjectEntry]:
        self._check()
        return await super().list(prefix, after)


@pytest.fixture
def outage(site: Site) -> Outage:
    site.objects = outage = Outage()
    site.clock = FastClock()
    return outage


async def fill(volume: Volume, writes: int) -> None:
    for number in range(writes):
        await volume.write(number * 64 * KIB, bytes([number % 251 + 1]) * 64 * KIB)


async def full(site: Site, volume: Volume) -> None:
    """Return when a writer gets no further."""
    before = -1
    while volume.journal.last_sequence != before or volume.journal.room() > 128 * KIB:
        before = volume.journal.last_sequence
        await site.clock.sleep(10)


async def test_writes_go_on_while_the_journal_has_room(site: Site, outage: Outage) -> None:
    """A flush succeeds, too, and what was written is read back."""
    await site.create(64 * MIB)
    async with site.opened() as volume:
        outage.error = Unavailable("the store is away")
        await fill(volume, 24)
        await volume.flush()
        assert bytes(await volume.read(64 * KIB, 64 * KIB)) == b"\2" * 64 * KIB
        while volume.state().trouble_cause != "the store is away":
            await site.clock.sleep(1)
        outage.error = None
        await volume.drain()
        assert volume.state().trouble_cause == ""


@pytest.mark.parametrize("error", [Unavailable("away"), Denied("the token expired")], ids=str)
async def test_writes_wait_when_the_journal_is_full_and_go_on_by_themselves(
    site: Site, outage: Outage, error: DiskError
) -> None:
    """Nobody gets an error, the journal keeps to its limit, and everything is there in the end."""
    await site.create(64 * MIB)
    async with site.opened() as volume:
        outage.error = error
        writing = asyncio.create_task(fill(volume, 160))  # 10 MiB, into a journal of 4
        await full(site, volume)
        assert not writing.done()
        assert volume.journal.used <= site.settings.journal_bytes
        assert volume.state().trouble_cause == str(error)
        outage.error = None
        await writing
        for number in range(160):
            assert bytes(await volume.read(number * 64 * KIB, 64 * KIB)) == bytes([number % 251 + 1]) * 64 * KIB


async def test_a_crash_in_an_outage_loses_nothing_that_was_flushed(site: Site, outage: Outage) -> None:
    """It is in the journal, and goes to the store when that is back."""
    await site.create(64 * MIB)
    volume = await site.open()
    outage.error = Unavailable("away")
    await fill(volume, 20)
    await volume.flush()
    await kill(volume)
    outage.error = None
    async with site.opened() as volume:
        assert bytes(await volume.read(19 * 64 * KIB, 64 * KIB)) == b"\24" * 64 * KIB
        await volume.drain()
    async with site.opened("elsewhere") as volume:
        assert bytes(await volume.read(19 * 64 * KIB, 64 * KIB)) == b"\24" * 64 * KIB


async def test_closing_in_an_outage_does_not_wait_for_the_store(site: Site, outage: Outage) -> None:
    """What was written stays in the journal."""
    await site.create(64 * MIB)
    volume = await site.open()
    outage.error = Unavailable("away")
    await fill(volume, 8)
    while not volume.state().trouble_cause:
        await site.clock.sleep(1)
    async with asyncio.timeout(5):
        await volume.close()
    outage.error = None
    async with site.opened() as volume:
        assert bytes(await volume.read(7 * 64 * KIB, 64 * KIB)) == b"\10" * 64 * KIB


async def test_a_cancelled_write_that_waits_for_room_never_comes(site: Site, outage: Outage) -> None:
    """It is taken back as a whole."""
    await site.create(64 * MIB)
    async with site.opened() as volume:
        outage.error = Unavailable("away")
        writing = asyncio.create_task(fill(volume, 160))
        await full(site, volume)
        late = asyncio.create_task(volume.write(60 * MIB, b"late" * KIB))
        await site.clock.sleep(1)
        late.cancel()
        await asyncio.wait((late,))
        assert late.cancelled()
        outage.error = None
        await writing
        assert bytes(await volume.read(60 * MIB, 4 * KIB)) == bytes(4 * KIB)
