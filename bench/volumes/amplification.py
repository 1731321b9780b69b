"""What the store is asked for under 4 KiB random writes: puts, bytes, and bytes of map."""

from __future__ import annotations

from pathlib import Path
from random import Random

from bench.volumes.site import BLOCK, Site, site
from g2disk.request import WRITE, Request
from g2disk.units import GIB, MIB
from g2disk.volume.gc import Collector
from g2disk.volume.settings import Settings
from g2disk.volume.volume import Volume

_BATCH = 64


async def without_collection(directory: Path, share: float) -> dict[str, float]:
    """Default sizes and no garbage collection: MiB written for each put, bytes put for each byte written, and bytes of
    map for each GiB written, at random and in sequence; all is in the store in the end, the map too.
    """
    size = max(round(512 * share), 16) * MIB
    async with site(f"objects:{directory}/store", directory) as here:
        await here.create(GIB)
        async with here.opened(Settings(gc_ratio=0, scrub=False)) as volume:
            before = volume.parts.metered.usage()
            await _write_at_random(volume, size, here.random)
            await volume.drain()
            await volume.checkpoint()
            usage = volume.parts.metered.usage()
            put = usage.bytes_put - before.bytes_put
            found = {
                "mib-per-put": size / MIB / (usage.puts - before.puts),
                "amplification": put / size,
                "map-random": await here.map_bytes() * GIB / size,
            }
            maps = await here.map_bytes()
            await _write_in_sequence(volume, size, here.random)
            await volume.drain()
            await volume.checkpoint()
            return found | {"map-sequential": (await here.map_bytes() - maps) * GIB / size}


async def with_collection(directory: Path, share: float) -> dict[str, float]:
    """A disk of 64 MiB in segments of 1 MiB, wholly written and then overwritten ten times at random, with garbage
    collection after each segment: bytes put for each byte written, and the part of what is stored that is live, at its
    lowest and in the end.
    """
    size = max(round(64 * share), 4) * MIB
    settings = Settings(segment_bytes=MIB, checkpoint_segments=256, gc_ratio=0, scrub=False, upload_delay=1000.0)
    async with site(f"objects:{directory}/store", directory) as here:
        await here.create(size)
        async with here.opened(settings) as volume:
            await _write_in_sequence(volume, size, here.random)
            await volume.drain()
            before = volume.parts.metered.usage().bytes_put
            lowest = await _overwrite(here, volume, 10 * size)
            put = volume.parts.metered.usage().bytes_put - before
            return {"amplification": put / (10 * size), "lowest-live": lowest, "live": volume.state().live_ratio}


async def _overwrite(here: Site, volume: Volume, length: int) -> float:
    """The lowest live ratio, once the first tenth of the writing is done."""
    collector = Collector(volume)
    lowest = 1.0
    for done in range(0, length, volume.settings.segment_bytes):
        await _write_at_random(volume, volume.settings.segment_bytes, here.random)
        await volume.drain()
        await collector.collect(0.5)
        if done >= length // 10:
            lowest = min(lowest, volume.state().live_ratio)
    return lowest


async def _write_at_random(volume: Volume, length: int, random: Random) -> None:
    places = volume.size // BLOCK
    data = memoryview(random.randbytes(BLOCK + 4096))
    for _ in range(length // BLOCK // _BATCH):
        batch = [
            Request(WRITE, 0, random.randrange(places) * BLOCK, BLOCK, data=data[number * 64 :][:BLOCK])
            for number in range(_BATCH)
        ]
        for request in volume.submit(batch, lambda _: None):
            await volume.write(request.offset, request.data)


async def _write_in_sequence(volume: Volume, length: int, random: Random) -> None:
    data = random.randbytes(MIB)
    for offset in range(0, length, MIB):
        await volume.write(offset, data)
