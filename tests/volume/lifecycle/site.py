"""`Site`, a bucket in memory and a directory for journals, on which volumes are made and opened; and `Patterned`, a
disk whose content is known.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from g2disk.clock import Clock, SystemClock
from g2disk.disk import Disk
from g2disk.objects.memory import MemoryObjects
from g2disk.objects.store import ObjectStore
from g2disk.threads import Inline
from g2disk.units import MIB
from g2disk.volume.cache.memory import MemoryCache
from g2disk.volume.chain import ManifestChain
from g2disk.volume.creating import Form, create_volume
from g2disk.volume.format.manifest import Manifest
from g2disk.volume.fsck.check import Checker
from g2disk.volume.fsck.report import Report
from g2disk.volume.journal.files import DirectoryFiles
from g2disk.volume.resources import Resources
from g2disk.volume.settings import Settings
from g2disk.volume.snapshot_disk import SnapshotDisk, open_snapshot
from g2disk.volume.volume import Volume

BLOCK = 4096

SETTINGS = Settings(
    segment_bytes=16 * BLOCK, upload_delay=0.01, checkpoint_segments=8, journal_bytes=8 * MIB, gc_ratio=0
)
"""Small segments, and no garbage collection but what a test asks for."""


@dataclass
class Site:
    """Volumes get the ids 000…1, 000…2, and so on."""

    directory: Path
    settings: Settings = SETTINGS
    objects: ObjectStore = field(default_factory=MemoryObjects)
    clock: Clock = field(default_factory=SystemClock)
    random: Random = field(default_factory=lambda: Random(7))
    made: int = 0

    def resources(self, volume: str = "") -> Resources:
        runner = Inline()
        files = DirectoryFiles(self.directory / volume, runner) if volume else None
        return Resources(self.objects, files, MemoryCache(4 * MIB), runner, self.clock, self.random)

    def new_id(self) -> str:
        self.made += 1
        return f"{self.made:032x}"

    async def create(self, blocks: int, form: Form | None = None) -> str:
        volume = self.new_id()
        await create_volume(volume, blocks * BLOCK, form or Form(), self.resources())
        return volume

    @asynccontextmanager
    async def open(self, volume: str, **settings: object) -> AsyncIterator[Volume]:
        chosen = replace(self.settings, **settings)  # type: ignore[arg-type]
        opened = await Volume.open(volume, self.resources(volume), chosen, None)
        try:
            yield opened
        finally:
            await opened.close()

    @asynccontextmanager
    async def snapshot(self, volume: str, name: str) -> AsyncIterator[SnapshotDisk]:
        disk = await open_snapshot(await self.manifest(volume), name, self.resources(), self.settings, None)
        try:
            yield disk
        finally:
            await disk.close()

    async def manifest(self, volume: str) -> Manifest:
        return await ManifestChain(self.objects, volume, self.clock, self.random).load()

    async def check(self, volume: str, *, data: bool = True) -> Report:
        report = Report(volume)
        await Checker(self.objects, Inline(), report, None, data).check()
        return report

    async def keys(self, prefix: str) -> list[str]:
        return [entry.key for entry in await self.objects.list(prefix)]


class Patterned:
    """Writes blocks that say what they are, and knows what each block must be."""

    def __init__(self, disk: Disk, seed: int = 1) -> None:
        self.disk = disk
        self.blocks = disk.info().size // BLOCK
        self.random = Random(seed)
        self.model: dict[int, int] = {}
        """What was written to each block last; others are zeroes."""

    async def write(self, block: int, count: int = 1) -> None:
        versions = [self.random.getrandbits(48) for _ in range(count)]
        await self.disk.write(block * BLOCK, b"".join(map(content, versions)))
        self.model.update(zip(range(block, block + count), versions, strict=True))

    async def zero(self, block: int, count: int) -> None:
        await self.disk.zero(block * BLOCK, count * BLOCK)
        for each in range(block, block + count):
            self.model.pop(each, None)

    async def work(self, steps: int, zeroes: float = 0.1) -> None:
        for _ in range(steps):
            block = self.random.randrange(self.blocks)
            count = min(self.random.choice((1, 1, 2, 7)), self.blocks - block)
            if self.random.random() < zeroes:
                await self.zero(block, count)
            else:
                await self.write(block, count)


def content(version: int) -> bytes:
    """The block of that version, which does not compress."""
    return Random(version).randbytes(BLOCK)


async def wrong_blocks(disk: Disk, model: dict[int, int]) -> list[int]:
    """The blocks of a disk that are not as the model says."""
    zeroes = bytes(BLOCK)
    found = []
    for block in range(disk.info().size // BLOCK):
        expected = content(model[block]) if block in model else zeroes
        if bytes(await disk.read(block * BLOCK, BLOCK)) != expected:
            found.append(block)
    return found
