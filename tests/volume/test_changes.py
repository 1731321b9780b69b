"""Changes of parts of blocks, beside others."""

from __future__ import annotations

import asyncio

from g2disk.errors import Unavailable
from g2disk.units import MIB
from tests.volume.harness import Site
from tests.volume.test_outages import FastClock, Outage


async def test_a_part_never_takes_back_what_was_written_while_its_block_was_read(site: Site) -> None:
    """The block is read again, and everything that was acknowledged is there in the end."""
    site.objects = outage = Outage()
    site.clock = FastClock()
    await site.create(MIB)
    async with site.opened() as volume:
        await volume.write(0, b"a" * 8192)
    async with site.opened("another host") as volume:
        assert bytes(await volume.read(4096, 1)) == b"a"  # the map is in memory now
        volume.resources.cache.drop(volume.identity, 1)
        outage.error = Unavailable("away")
        part = asyncio.create_task(volume.write(100, b"b" * 100))
        while not volume.state().trouble_cause:
            await site.clock.sleep(1)
        await volume.write(0, b"c" * 4096)
        outage.error = None
        await part
        assert bytes(await volume.read(0, 4096)) == b"c" * 100 + b"b" * 100 + b"c" * 3896


async def test_parts_of_one_block_that_are_written_at_once_are_all_there(site: Site) -> None:
    """However many they are."""
    await site.create(MIB)
    async with site.opened() as volume:
        await asyncio.gather(*(volume.write(n * 64, bytes([n + 1]) * 64) for n in range(64)))
        assert bytes(await volume.read(0, 4096)) == b"".join(bytes([n + 1]) * 64 for n in range(64))
        await asyncio.gather(*(volume.zero(n * 64, 32) for n in range(64)))
        assert bytes(await volume.read(0, 4096)) == b"".join(bytes(32) + bytes([n + 1]) * 32 for n in range(64))
