"""Volumes for tests: an object store in memory, journals in a temporary directory, real threads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from g2disk.clock import Clock, SystemClock
from g2disk.objects.memory import MemoryObjects
from g2disk.objects.store import ObjectStore
from g2disk.threads import Crew, Runner
from g2disk.units import KIB, MIB
from g2disk.volume.cache.memory import MemoryCache
from g2disk.volume.creating import Form, create_volume
from g2disk.volume.format.compression import Compression
from g2disk.volume.format.keys import Secret, unwrap
from g2disk.volume.journal.files import DirectoryFiles
from g2disk.volume.resources import Resources
from g2disk.volume.settings import Settings
from g2disk.volume.volume import Volume

VOLUME = "0123456789abcdef" * 2
SECRET = Secret("raw", bytes(range(32)))
SMALL = Settings(segment_bytes=256 * KIB, journal_bytes=4 * MIB, checkpoint_segments=8, upload_delay=0.05, gc_ratio=0.0)
"""Everything happens early and often."""


@dataclass
class Site:
    """A host and a store; `open` as often as you like."""

    directory: Path
    runner: Runner
    objects: ObjectStore = field(default_factory=MemoryObjects)
    clock: Clock = field(default_factory=SystemClock)
    random: Random = field(default_factory=lambda: Random(1))
    settings: Settings = SMALL
    key: bytes | None = None

    def resources(self, journal: str = "journal") -> Resources:
        """Empty: without a journal."""
        files = DirectoryFiles(self.directory / journal, self.runner) if journal else None
        return Resources(self.objects, files, MemoryCache(8 * MIB), self.runner, self.clock, self.random)

    async def create(self, size: int, form: Form | None = None) -> None:
        manifest = await create_volume(VOLUME, size, form or Form(), self.resources(""), SECRET)
        self.key = unwrap(manifest.encryption, SECRET) if manifest.encryption is not None else None

    async def open(self, journal: str = "journal") -> Volume:
        return await Volume.open(VOLUME, self.resources(journal), self.settings, self.key)

    @asynccontextmanager
    async def opened(self, journal: str = "journal") -> AsyncIterator[Volume]:
        volume = await self.open(journal)
        try:
            yield volume
        finally:
            await volume.close()


async def kill(volume: Volume) -> None:
    """As a crash of the process would end it: nothing is flushed or put any more."""
    await volume._stop()


FORMS = [
    Form(),
    Form(compression=Compression.LZ4),
    Form(compression=Compression.ZSTD, block_size=16384),
    Form(encrypt=True),
    Form(encrypt=True, compression=Compression.ZSTD),
]


@asynccontextmanager
async def crew() -> AsyncIterator[Crew]:
    made = Crew(4, "test")
    try:
        yield made
    finally:
        made.stop()
