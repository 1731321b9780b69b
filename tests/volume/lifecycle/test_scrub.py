"""Scrubbing finds damage that nobody has run into yet."""

from __future__ import annotations

import asyncio
import logging

import pytest

from g2disk.clock import SystemClock
from g2disk.volume.format.names import SegmentName
from g2disk.volume.fsck.scrub import Scrubber
from tests.volume.lifecycle.site import BLOCK, Patterned, Site


async def test_damage_is_found_and_said_once(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Each segment is read in its turn; the damaged one is named in the log, once, and until it is whole again."""
    volume = await site.create(64)
    async with site.open(volume) as disk:
        await Patterned(disk).work(60, zeroes=0)
        await disk.drain()
        numbers = disk.table.segments.number.tolist()
        name = SegmentName(numbers[1], disk.manifest.epoch)
        key = name.key(volume)
        whole = await site.objects.get(key)
        await site.objects.put(key, [bytes(whole)[:-BLOCK], bytes(BLOCK)])
        scrubber = Scrubber(disk)

        with caplog.at_level(logging.ERROR):
            for _ in range(2):
                visited = []
                number = 0
                while number := await scrubber.check_next(number):
                    visited.append(number)
                assert numbers == visited

        assert [name.number] == list(scrubber.damaged)
        assert 1 == len(caplog.records)
        assert key in caplog.text
        await site.objects.put(key, [whole])
        await scrubber.check_next(name.number - 1)
        assert {} == scrubber.damaged


class Hurried(SystemClock):
    """Waits of exactly 100 seconds take no time; after six of them somebody cancels."""

    def __init__(self) -> None:
        self.long: list[float] = []

    async def sleep(self, seconds: float) -> None:
        if seconds != 100.0:  # whoever else waits
            await super().sleep(seconds)
            return
        self.long.append(seconds)
        if len(self.long) == 6:
            raise asyncio.CancelledError


async def test_scrubbing_keeps_its_pace(site: Site) -> None:
    """One segment is read in its share of the period, and no faster."""
    clock = site.clock = Hurried()
    volume = await site.create(64)
    async with site.open(volume) as disk:
        await Patterned(disk).work(60, zeroes=0)
        await disk.drain()
        count = len(disk.table.segments)
        scrubber = Scrubber(disk, period=100.0 * count)

        with pytest.raises(asyncio.CancelledError):
            await scrubber.run()

        assert 6 * [100.0] == clock.long
        assert 5 == scrubber.checked
