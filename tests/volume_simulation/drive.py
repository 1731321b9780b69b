"""The disk of a machine, where journals are: files whose writes go to a page cache, of which a power cut takes what was
not synced, sector by sector.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from g2disk.disk import Buffer
from g2disk.errors import Busy, NotFound, OutOfSpace, Unavailable
from g2disk.volume.journal.files import File, Files
from tests.simulation.loop import Process, VirtualLoop
from tests.volume_simulation.machine import uncancelled

SECTOR = 512


class Content:
    """One file's bytes."""

    def __init__(self, size: int) -> None:
        self.cached = bytearray(size)
        """What programs see."""
        self.durable = bytearray(size)
        self.dirty: dict[int, list[tuple[int, bytes]]] = {}
        """By sector: what was written to it since it was written to the medium for sure, oldest first, with the number
        of the write; the medium may hold any of these, or what `durable` says."""
        self.writes = 0

    def write(self, position: int, data: bytes) -> None:
        """Into the page cache."""
        end = position + len(data)
        self.cached.extend(bytes(max(0, end - len(self.cached))))
        self.cached[position:end] = data
        self.writes += 1
        for sector in range(position // SECTOR, -(-end // SECTOR)):
            held = bytes(self.cached[sector * SECTOR : (sector + 1) * SECTOR])
            self.dirty.setdefault(sector, []).append((self.writes, held))

    def cut(self, rng: Random) -> None:
        """The power is gone: each sector holds something of what was written to it lately, or nothing of it."""
        kept = rng.choice((0.0, 0.2, 0.8))
        for sector, versions in self.dirty.items():
            if rng.random() < kept:
                self._keep(sector, rng.choice(versions)[1])
        self.dirty.clear()
        self.cached = bytearray(self.durable)

    def clean(self, last: int, done: bool) -> None:
        """The writes up to the one with that number are no longer dirty; whether they are on the medium."""
        for sector, versions in list(self.dirty.items()):
            older = [held for number, held in versions if number <= last]
            if older and done:
                self._keep(sector, older[-1])
            del versions[: len(older)]
            if not versions:
                del self.dirty[sector]

    def _keep(self, sector: int, data: bytes) -> None:
        start = sector * SECTOR
        self.durable.extend(bytes(max(0, start + len(data) - len(self.durable))))
        self.durable[start : start + len(data)] = data


class Drive:
    """The disk of one machine.  Its directories are names in front of the files' names."""

    def __init__(self, loop: VirtualLoop, rng: Random, slowest: float) -> None:
        self.loop = loop
        self.rng = rng
        self.slowest = slowest
        """Seconds that an fdatasync takes, at most."""
        self.full = False
        """No file can be made."""
        self.failing_syncs = 0.0
        """The part of them that fail."""
        self.failed = False
        """One of them has."""
        self.contents: dict[str, Content] = {}
        self.removed: dict[str, Content] = {}
        """What a power cut may bring back."""
        self.holders: dict[str, Process] = {}
        """Who has locked each directory."""

    def cut_power(self) -> None:
        """All that was not synced may be gone.  Every process of the machine is dead."""
        back = {name: content for name, content in self.removed.items() if self.rng.random() < 0.3}
        self.contents = {**back, **self.contents}
        self.removed.clear()
        for content in self.contents.values():
            content.cut(self.rng)

    def wipe(self, directory: str) -> None:
        """A person has moved the directory away."""
        for name in [name for name in self.contents if name.startswith(f"{directory}/")]:
            del self.contents[name]
        self.removed.clear()


class DriveFiles(Files):
    """One directory, for one process.  Raises `Busy` where another one that lives has it."""

    def __init__(self, drive: Drive, directory: str, process: Process) -> None:
        holder = drive.holders.get(directory)
        if holder is not None and holder.alive and holder is not process:
            raise Busy(f"{holder.name} has the directory")
        drive.holders[directory] = process
        self._drive = drive
        self._prefix = f"{directory}/"

    def names(self) -> list[str]:
        return sorted(name.removeprefix(self._prefix) for name in self._drive.contents if name.startswith(self._prefix))

    async def open(self, name: str, create_size: int = 0) -> File:
        drive, path = self._drive, self._prefix + name
        await self._wait()
        if path not in drive.contents:
            if not create_size:
                raise NotFound(f"there is no file {name}")
            if drive.full:
                raise OutOfSpace("the simulated disk is full")
            drive.removed.pop(path, None)
            drive.contents[path] = Content(create_size)
        content = drive.contents[path]
        content.clean(content.writes, done=True)
        content.cached = bytearray(content.durable)  # after a failed sync, pages that are called clean are not
        return DriveFile(drive, content)

    async def remove(self, name: str) -> None:
        await self._wait()
        if (content := self._drive.contents.pop(self._prefix + name, None)) is not None:
            self._drive.removed[self._prefix + name] = content

    def close(self) -> None:
        """Unlock the directory."""
        self._drive.holders.pop(self._prefix.removesuffix("/"), None)

    async def _wait(self) -> None:
        await self._drive.loop.sleep(self._drive.slowest * self._drive.rng.random())


class DriveFile(File):
    """One open file."""

    def __init__(self, drive: Drive, content: Content) -> None:
        self._drive = drive
        self._content = content
        self._failed: Unavailable | None = None

    @property
    def size(self) -> int:
        return len(self._content.cached)

    def write(self, position: int, buffers: Sequence[Buffer]) -> None:
        self._content.write(position, b"".join(buffers))

    def read(self, position: int, length: int) -> Buffer:
        return bytes(self._content.cached[position : position + length])

    async def sync(self) -> None:
        await uncancelled(self._drive.loop.create_task(self._sync()))

    def close(self) -> None:
        """Nothing is to be let go of."""

    async def _sync(self) -> None:
        drive, content = self._drive, self._content
        begun = content.writes
        await drive.loop.sleep(drive.slowest * drive.rng.random())
        if drive.rng.random() < drive.failing_syncs:
            content.clean(begun, done=False)
            drive.failed = True
            self._failed = Unavailable("the simulated disk failed")
        if self._failed is not None:
            raise self._failed
        content.clean(begun, done=True)
        await drive.loop.sleep(drive.slowest * drive.rng.random())
