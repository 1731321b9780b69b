"""An 8 EiB disk with data scattered all over it: opening, memory, snapshots and clones."""

from __future__ import annotations

import resource
import statistics
from pathlib import Path

from bench.volumes.site import BLOCK, CLOCK, VOLUME, in_flight, in_memory, seeded, site
from g2disk.units import KIB, MAXIMUM_DISK_SIZE, MIB
from g2disk.volume.creating import Form
from g2disk.volume.format.compression import Compression
from g2disk.volume.settings import Settings
from g2disk.volume.snapshots import clone_snapshot, create_snapshot

_SETTINGS = Settings(scrub=False)
_SAMPLES = 7


async def fill_pieces(directory: Path, share: float) -> dict[str, float]:
    """10 GiB in pieces of 1 MiB."""
    return await _fill(directory, max(round(10240 * share), 16), MIB)


async def fill_blocks(directory: Path, share: float) -> dict[str, float]:
    """1 GiB in pieces of 4 KiB, each in a leaf of the map of its own."""
    return await _fill(directory, max(round(262144 * share), 1024), BLOCK)


async def use(directory: Path, share: float) -> dict[str, float]:
    """In a process of its own, from the checkpoint: seconds to open the disk and to read the first block, bytes of
    memory after that and at the most, and the middle of the seconds that snapshots and clones take.
    """
    places = [int(line) for line in (directory / "places").read_text().split()]
    async with site(f"objects:{directory}/store", directory) as here:
        begin = CLOCK.now()
        async with here.opened(_SETTINGS) as volume:
            opened = CLOCK.now() - begin
            assert any(await volume.read(places[0], BLOCK))
            first = CLOCK.now() - begin - opened
            memory = _peak_memory()
            sample = seeded(8).sample(places, min(len(places), max(round(5000 * share), 16)))
            await in_flight(16, (volume.read(place, BLOCK) for place in sample))
            snapshots, clones = [], []
            for number in range(_SAMPLES):
                await volume.write(places[number], seeded(number).randbytes(BLOCK))
                begin = CLOCK.now()
                await create_snapshot(volume, f"s{number}")
                between = CLOCK.now()
                await clone_snapshot(volume, f"s{number}", f"{number:032x}")
                snapshots.append(between - begin)
                clones.append(CLOCK.now() - between)
            async with here.opened(_SETTINGS, f"{0:032x}") as clone:
                assert any(await clone.read(places[-1], BLOCK))
            return {
                "open": opened,
                "first-read": first,
                "opened-memory": memory,
                "memory": _peak_memory(),
                "snapshot": statistics.median(snapshots),
                "clone": statistics.median(clones),
            }


async def _fill(directory: Path, count: int, length: int) -> dict[str, float]:
    """Data that compresses well, so that the map is what takes time, and a journal in memory where there is a place."""
    random = seeded(9)
    places = sorted({random.randrange(MAXIMUM_DISK_SIZE // MIB) * MIB for _ in range(count)})
    random.shuffle(places)
    (directory / "places").write_text("\n".join(map(str, places)))
    data = b"".join(random.randbytes(64) * 64 for _ in range(length // BLOCK))
    with in_memory(directory) as journals:
        async with site(f"objects:{directory}/store", journals) as here:
            await here.create(MAXIMUM_DISK_SIZE, Form(compression=Compression.LZ4))
            async with here.opened(_SETTINGS) as volume:
                await in_flight(64, (volume.write(place, data) for place in places))
                await volume.drain()
                await volume.checkpoint()
            return {"map": await here.map_bytes(VOLUME) * 1024 * MIB / (count * length), "fill-memory": _peak_memory()}


def _peak_memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB
