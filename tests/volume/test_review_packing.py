"""When changes leave the journal."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from g2disk.request import TRIM, Request
from g2disk.units import KIB, MIB
from tests.volume.harness import Site


async def test_very_many_small_changes_are_packed_without_waiting(site: Site) -> None:
    """A segment's worth of them, though they hold no data."""
    site.settings = replace(site.settings, upload_delay=1e6, journal_bytes=64 * MIB)
    await site.create(1024 * MIB)
    async with site.opened() as volume:
        for first in range(0, 20000, 1000):
            trims = [Request(TRIM, 0, each * 8 * KIB, 4 * KIB) for each in range(first, first + 1000)]
            assert not volume.submit(trims, lambda finished: None)
        async with asyncio.timeout(10):
            while volume.uploader.applied_sequence < 16384:
                await site.clock.sleep(0.01)
        assert volume.uploader.applied_sequence < 20000
