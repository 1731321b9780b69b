"""4 KiB random writes with a flush after every 32, against what the journal's device can do at all."""

from __future__ import annotations

import os
import statistics
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

from bench.volumes.site import BLOCK, CLOCK, Site, in_memory, seeded, site
from g2disk.request import WRITE, Request
from g2disk.units import GIB, MIB
from g2disk.volume.settings import Settings
from g2disk.volume.volume import Volume

_BATCH = 32
_FILE = 64 * MIB
_JOURNAL = 256 * MIB
_SLICES = 6
"""Of each of the two, in turns."""


async def measure(directory: Path, share: float) -> dict[str, float]:
    """Writes a second, and the middle of the seconds for 32: of a bare loop of 32 pwrites and one fdatasync on a file
    that was written before, and of a volume's 32 writes in one batch and one flush.  The journal is on the device of
    the file, the store is not; all of the journal's files were written to before, as they are after a while.
    """
    syncs = max(round(150 * share), 2)
    data = seeded(6).randbytes(BLOCK)
    bare: list[float] = []
    ours: list[float] = []
    with (directory / "bare").open("w+b", buffering=0) as file:
        file.write(bytes(_FILE))
        os.fsync(file)
        with in_memory(directory) as elsewhere:
            async with site(f"objects:{elsewhere}/store", directory) as here, _opened(here, share) as volume:
                for number in range(_SLICES):
                    bare += _write_bare(file.fileno(), data, syncs, number * syncs)
                    ours += await _write_volume(volume, data, syncs, here.random)
    writes = syncs * _SLICES * _BATCH
    middles = {"bare-middle": statistics.median(bare), "volume-middle": statistics.median(ours)}
    return {"bare": writes / sum(bare), "volume": writes / sum(ours)} | middles


@asynccontextmanager
async def _opened(here: Site, share: float) -> AsyncIterator[Volume]:
    await here.create(GIB)
    async with here.opened(Settings(journal_bytes=_JOURNAL)) as volume:
        for offset in range(0, round(1.5 * _JOURNAL * share) // MIB * MIB, MIB):
            await volume.write(offset, here.random.randbytes(MIB))
        await volume.drain()
        yield volume


def _write_bare(file: int, data: bytes, syncs: int, first: int) -> list[float]:
    spent = []
    for sync in range(first, first + syncs):
        begin = CLOCK.now()
        for number in range(_BATCH):
            os.pwrite(file, data, (sync * _BATCH + number) * BLOCK % _FILE)
        os.fdatasync(file)
        spent.append(CLOCK.now() - begin)
    return spent


async def _write_volume(volume: Volume, data: bytes, syncs: int, random: Random) -> list[float]:
    places = volume.size // BLOCK
    spent = []
    for _ in range(syncs):
        batch = [Request(WRITE, 0, random.randrange(places) * BLOCK, BLOCK, data=data) for _ in range(_BATCH)]
        begin = CLOCK.now()
        for request in volume.submit(batch, _check):
            await volume.write(request.offset, data)
        await volume.flush()
        spent.append(CLOCK.now() - begin)
    return spent


def _check(requests: list[Request]) -> None:
    for request in requests:
        if request.error is not None:
            raise request.error
