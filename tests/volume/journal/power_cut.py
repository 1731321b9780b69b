"""`SimulatedDisk`, the files of a journal on a disk that loses, tears and reorders what was not synced."""

import random
from collections.abc import Generator, Sequence

from g2disk.disk import Buffer
from g2disk.errors import NotFound, OutOfSpace, Unavailable

SECTOR = 512


class PowerCut(Exception):
    """The moment of the crash; nothing that happens afterwards has any effect."""


class _Turn:
    def __await__(self) -> Generator[None, None, None]:
        yield


async def turn() -> None:
    """Let the event loop go round once."""
    await _Turn()


class SimulatedDisk:
    """Holds what is durable and what is only in memory; `files` gives the view of one process."""

    def __init__(self, seed: int, crash_in: int, *, write_failures: float = 0.0, sync_failures: float = 0.0) -> None:
        self.rng = random.Random(seed)
        self.durable: dict[str, bytearray] = {}
        self.pending: dict[str, list[tuple[int, int, bytes]]] = {}
        """Of each write its number, position and data."""
        self.writes = 0
        self.crash_in = crash_in
        self.write_failures = write_failures
        self.sync_failures = sync_failures
        self.refusals: list[bool] = []
        """Whether the next writes are refused; behind these it is left to chance."""
        self.space = 1 << 60
        self.dead = False

    def files(self) -> "SimulatedFiles":
        """For a process that starts now."""
        return SimulatedFiles(self)

    def step(self) -> None:
        """Count down to the crash."""
        self.crash_in -= 1
        if self.dead or self.crash_in <= 0:
            self.dead = True
            raise PowerCut

    def fail_sometimes(self) -> None:
        """Refuse some writes."""
        if self.refusals.pop(0) if self.refusals else self.rng.random() < self.write_failures:
            raise OutOfSpace("the disk is full")

    def memory(self, name: str) -> bytearray:
        """A file as processes see it."""
        content = bytearray(self.durable[name])
        for _, position, data in self.pending[name]:
            content[position : position + len(data)] = data
        return content

    def cut_power(self) -> None:
        """Lose what was not synced: each sector of each write by itself, in an order that nobody knows."""
        for name, writes in self.pending.items():
            kept = self.rng.choice((0.0, 0.5, 0.95, 1.0))
            for _, position, data in writes:
                at = position
                while at < position + len(data):
                    end = min((at // SECTOR + 1) * SECTOR, position + len(data))
                    if self.rng.random() < kept:
                        self.durable[name][at:end] = data[at - position : end - position]
                    at = end
            writes.clear()


class SimulatedFiles:
    """`Files` of one process; after the crash every call raises `PowerCut`."""

    def __init__(self, disk: SimulatedDisk) -> None:
        self.disk = disk

    def names(self) -> list[str]:
        return list(self.disk.durable)

    async def open(self, name: str, create_size: int = 0) -> "SimulatedFile":
        disk = self.disk
        if create_size:
            if disk.space < create_size:
                raise OutOfSpace("the disk is full")
            disk.space -= create_size
            for size in (0, 512, create_size // 2, create_size):
                await turn()
                disk.step()
                disk.durable[name], disk.pending[name] = bytearray(size), []
        elif name not in disk.durable:
            raise NotFound(name)
        file = SimulatedFile(disk, name)
        await file.sync()
        return file

    async def remove(self, name: str) -> None:
        await turn()
        self.disk.step()
        self.disk.space += len(self.disk.durable.pop(name, b""))
        self.disk.pending.pop(name, None)

    def close(self) -> None:
        pass


class SimulatedFile:
    """`File`."""

    def __init__(self, disk: SimulatedDisk, name: str) -> None:
        self._disk = disk
        self._name = name
        self.size = len(disk.durable[name])
        self._failed = False

    def write(self, position: int, buffers: Sequence[Buffer]) -> None:
        disk, data = self._disk, b"".join(buffers)
        if disk.dead:
            raise PowerCut
        assert position + len(data) <= self.size
        disk.writes += 1
        try:
            disk.step()
            disk.fail_sometimes()
        except (PowerCut, OutOfSpace):
            data = data[: disk.rng.randrange(len(data) + 1)]
            raise
        finally:
            if self._name in disk.pending:
                disk.pending[self._name].append((disk.writes, position, data))

    def read(self, position: int, length: int) -> Buffer:
        return bytes(self._disk.memory(self._name)[position : position + length])

    async def sync(self) -> None:
        disk = self._disk
        if self._name not in disk.pending:
            return
        covered = disk.writes
        for _ in range(disk.rng.randrange(3)):
            await turn()
        disk.step()
        if self._failed or disk.rng.random() < disk.sync_failures:
            self._failed = True
            disk.pending.get(self._name, []).clear()  # the kernel drops what it could not write
            raise Unavailable("the disk failed")
        writes = disk.pending.get(self._name, [])
        for _, position, data in [write for write in writes if write[0] <= covered]:
            disk.durable[self._name][position : position + len(data)] = data
        writes[:] = [write for write in writes if write[0] > covered]

    def close(self) -> None:
        pass
