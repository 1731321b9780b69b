"""A journal with much that the store does not have, and how long the next opening takes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from bench.volumes.site import CLOCK, Site, site
from g2disk.disk import Buffer
from g2disk.objects.layers.wrapper import Wrapper
from g2disk.request import WRITE, Request
from g2disk.units import GIB, KIB, MIB
from g2disk.volume.settings import Settings

_SETTINGS = Settings(journal_bytes=4 * GIB, gc_ratio=0, scrub=False)
_BATCH = 32


class _Away(Wrapper):
    """A store that takes no segments."""

    async def put(self, key: str, data: Sequence[Buffer]) -> None:
        if "/segments/" in key:
            await asyncio.Event().wait()
        await super().put(key, data)


async def fill_blocks(directory: Path, share: float) -> dict[str, float]:
    """1 GiB of 4 KiB writes at random, flushed, and the process is killed."""
    return await _fill(directory, share, 4 * KIB)


async def fill_pieces(directory: Path, share: float) -> dict[str, float]:
    """1 GiB of 1 MiB writes, likewise."""
    return await _fill(directory, share, MIB)


async def recover(directory: Path, share: float) -> dict[str, float]:
    """In a process of its own: seconds a GiB of journal until the disk is open, and until all is in the store."""
    size = _size(share)
    async with site(f"objects:{directory}/store", directory) as here:
        begin = CLOCK.now()
        async with here.opened(_SETTINGS) as volume:
            opened = CLOCK.now() - begin
            assert volume.state().unstored_bytes == size
            await volume.drain()
            stored = CLOCK.now() - begin
    return {"open": opened * GIB / size, "stored": stored * GIB / size}


async def _fill(directory: Path, share: float, length: int) -> dict[str, float]:
    size = _size(share)
    async with site(f"objects:{directory}/store", directory) as here:
        await here.create(2 * GIB)
        away = Site(_Away(here.objects), directory, here.crew, here.random)
        async with away.opened(_SETTINGS) as volume:
            places, data = volume.size // length, here.random.randbytes(length)
            for _ in range(size // length // _BATCH):
                batch = [
                    Request(WRITE, 0, here.random.randrange(places) * length, length, data=data) for _ in range(_BATCH)
                ]
                for request in volume.submit(batch, lambda _: None):
                    await volume.write(request.offset, data)
            await volume.flush()
            os._exit(0)


def _size(share: float) -> int:
    return max(round(32 * share), 1) * 32 * MIB
