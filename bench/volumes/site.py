"""A volume and all that it works with, in this process."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from random import Random

from g2disk.clock import SystemClock
from g2disk.objects.opening import open_object_store
from g2disk.objects.store import ObjectStore
from g2disk.threads import Crew
from g2disk.units import KIB, MIB
from g2disk.volume.cache.memory import MemoryCache
from g2disk.volume.creating import Form, create_volume
from g2disk.volume.format.manifest import Manifest
from g2disk.volume.journal.files import DirectoryFiles
from g2disk.volume.resources import Resources
from g2disk.volume.settings import Settings
from g2disk.volume.volume import Volume

BLOCK = 4 * KIB
VOLUME = "0123456789abcdef" * 2
CLOCK = SystemClock()
_MEMORY = "/dev/shm"  # noqa: S108 - a tmpfs, which Linux has there


class Site:
    """A host with journals in a directory, and an object store."""

    def __init__(self, objects: ObjectStore, journals: Path, crew: Crew, random: Random) -> None:
        self.objects = objects
        self.random = random
        self._journals = journals
        self.crew = crew

    async def create(self, size: int, form: Form | None = None) -> Manifest:
        """Make the volume."""
        return await create_volume(VOLUME, size, form or Form(), self.resources(""))

    @asynccontextmanager
    async def opened(self, settings: Settings | None = None, volume: str = VOLUME) -> AsyncIterator[Volume]:
        """The volume, open for writing, its read cache empty."""
        opened = await Volume.open(volume, self.resources(f"journal-{volume}"), settings or Settings(), None)
        try:
            yield opened
        finally:
            await opened.close()

    def resources(self, journal: str) -> Resources:
        """What a volume works with; with an empty name it has no journal."""
        files = DirectoryFiles(self._journals / journal, self.crew) if journal else None
        return Resources(self.objects, files, MemoryCache(128 * MIB), self.crew, CLOCK, self.random)

    async def map_bytes(self, volume: str = VOLUME) -> int:
        """Bytes of the map that the store holds."""
        return sum(entry.size for entry in await self.objects.list(f"volumes/{volume}/maps/"))


@asynccontextmanager
async def site(url: str, journals: Path) -> AsyncIterator[Site]:
    """The store at `url`, and a place for journals."""
    objects = await open_object_store(url)
    crew = Crew(16, "bench")
    try:
        yield Site(objects, journals, crew, seeded(5))
    finally:
        crew.stop()
        await objects.close()


def seeded(seed: int) -> Random:
    """The same numbers each time."""
    return Random(seed)  # noqa: S311 - nobody's secret


@contextmanager
def in_memory(otherwise: Path) -> Iterator[Path]:
    """A directory that is in memory, if there can be one."""
    directory = _MEMORY if os.path.isdir(_MEMORY) else otherwise
    with tempfile.TemporaryDirectory(prefix="g2disk-bench-", dir=directory) as made:
        yield Path(made)


async def in_flight(depth: int, works: Iterable[Awaitable[object]]) -> None:
    """Do works, beginning them in their order, `depth` at a time."""
    waiting: Iterator[Awaitable[object]] = iter(works)

    async def worker() -> None:
        for work in waiting:
            await work

    async with asyncio.TaskGroup() as tasks:
        for _ in range(depth):
            tasks.create_task(worker())
