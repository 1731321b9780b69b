"""Volumes end, also where the object store does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from g2disk.clock import SystemClock
from g2disk.disk import Buffer
from g2disk.errors import Fenced
from g2disk.objects.layers.wrapper import Wrapper
from g2disk.objects.memory import MemoryObjects
from g2disk.units import KIB, MIB
from tests.volume.harness import Site, kill


class FastClock(SystemClock):
    """Sleeps a fiftieth of what is asked."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / 50)


class Deaf(Wrapper):
    """A store that never answers a put of keys with `word` in them."""

    def __init__(self, word: str) -> None:
        super().__init__(MemoryObjects())
        self.word = word
        self.asked = asyncio.Event()

    async def put(self, key: str, data: Sequence[Buffer]) -> None:
        if self.word and self.word in key:
            self.asked.set()
            await asyncio.Event().wait()
        await super().put(key, data)


async def test_a_volume_ends_while_garbage_collection_waits_for_the_store(site: Site) -> None:
    """What cannot be broken off by itself is broken off then."""
    site.clock, site.objects = FastClock(), (store := Deaf("/maps/"))
    site.settings = replace(site.settings, gc_ratio=0.5, checkpoint_segments=1000)
    await site.create(8 * MIB)
    volume = await site.open()
    await volume.write(0, site.random.randbytes(MIB))
    await volume.drain()
    await volume.write(0, site.random.randbytes(MIB))
    await store.asked.wait()
    async with asyncio.timeout(10):
        await kill(volume)


class Recording(SystemClock):
    """Remembers the longest sleep that was asked for."""

    longest = 0.0

    async def sleep(self, seconds: float) -> None:
        self.longest = max(self.longest, seconds)
        await super().sleep(min(seconds, 0.001))


async def test_writers_are_slowed_down_for_a_moment_at_most(site: Site) -> None:
    """However full the journal is: the store may be back meanwhile, or the volume may have ended."""
    site.clock, site.objects = (clock := Recording()), Deaf("/segments/")
    site.settings = replace(site.settings, journal_bytes=64 * MIB, scrub=False)
    await site.create(64 * MIB)
    volume = await site.open()
    journal = volume.journal
    while journal.limit - journal.used > 4 * MIB:
        await volume.write(0, bytes([1]) * min(MIB, journal.limit - journal.used - 3 * MIB))
    while journal.limit - journal.used > 128 * KIB and journal.room() > 32 * KIB:
        await volume.write(0, bytes([1]) * 16 * KIB)
    assert (journal.limit - journal.used) * 64 < journal.limit
    writer = asyncio.create_task(volume.write(0, bytes([1]) * 4 * MIB))
    while not volume.changes._admission._turn.locked():
        await site.clock.sleep(0)
    volume.health.fail(Fenced("another writer"))
    async with asyncio.timeout(5):
        with pytest.raises(Fenced):
            await writer
    assert clock.longest <= 1
    await kill(volume)
