"""Machines, and the server processes on them that have a volume open."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from g2disk.errors import DiskError, Internal
from g2disk.units import MIB
from g2disk.volume.cache.memory import MemoryCache
from g2disk.volume.resources import Resources
from g2disk.volume.settings import Settings
from g2disk.volume.volume import Volume
from tests.simulation.loop import Process, VirtualLoop
from tests.volume_simulation.bucket import Bucket, Connection
from tests.volume_simulation.drive import Drive, DriveFiles
from tests.volume_simulation.machine import VirtualClock, Worker

T = TypeVar("T")


class Dead(Exception):
    """The process died before it answered."""


@dataclass(slots=True)
class World:
    """What all processes share."""

    loop: VirtualLoop
    bucket: Bucket
    settings: Settings
    slowest: float
    """Seconds that work in threads and syncs take, at most."""
    seed: int
    key: bytes | None = None
    """Of an encrypted volume."""

    def random(self, name: str) -> Random:
        """Randomness of its own for everybody."""
        return Random(f"{self.seed} {name}")


class Host:
    """A machine with a disk."""

    def __init__(self, world: World, number: int) -> None:
        self.name = f"host {number}"
        self.drive = Drive(world.loop, world.random(self.name), world.slowest)
        self.servers: list[Server] = []

    def cut_power(self) -> None:
        """Everything on it dies, and unsynced data may be lost."""
        for server in self.servers:
            server.kill()
        self.drive.cut_power()


@dataclass
class Server:
    """A process that opens a volume, and does with it what it is asked, until it is killed."""

    world: World
    host: Host
    name: str
    process: Process = field(init=False)
    volume: Volume | None = None
    _pending: set[asyncio.Future[Any]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.process = Process(self.name)
        self.host.servers.append(self)

    @property
    def alive(self) -> bool:
        """Not killed."""
        return self.process.alive

    def resources(self, directory: str) -> Resources:
        """The parts for a volume whose journal is in that directory.  Raises `Busy`."""
        world = self.world
        return Resources(
            objects=Connection(world.bucket),
            files=DriveFiles(self.host.drive, directory, self.process),
            cache=MemoryCache(MIB),
            runner=Worker(world.loop, world.random(f"{self.name} threads"), world.slowest),
            clock=VirtualClock(world.loop),
            random=world.random(self.name),
        )

    async def open(self, volume: str) -> None:
        """Open the volume for writing.  Raises what `Volume.open` does, and `Dead`."""

        async def work() -> None:
            self.volume = await Volume.open(volume, self.resources(volume), self.world.settings, self.world.key)

        await self.run(work)

    async def do(self, work: Callable[[Volume], Coroutine[Any, Any, T]]) -> T:
        """What `work` with the open volume comes to, done by this process.  Raises its `DiskError`s, and `Dead`."""
        assert self.volume is not None
        volume = self.volume
        return await self.run(lambda: work(volume))

    async def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What `work` comes to, done by this process.  Raises its `DiskError`s, and `Dead`."""
        if not self.alive:
            raise Dead
        answer: asyncio.Future[T] = self.world.loop.create_future()
        self._pending.add(answer)

        async def done() -> None:
            try:
                result = await work()
            except DiskError as error:
                if not answer.done():
                    answer.set_exception(error)
            else:
                if not answer.done():
                    answer.set_result(result)

        task = self.world.loop.create_task(done(), context=self.process.context.copy())
        task.add_done_callback(lambda task: self._bug(task, answer))
        try:
            return await answer
        finally:
            self._pending.discard(answer)

    def kill(self) -> None:
        """As SIGKILL does."""
        if not self.alive:
            return
        self.process.kill()
        self.host.servers.remove(self)
        for answer in self._pending:
            if not answer.done():
                answer.set_exception(Dead())

    async def close(self) -> None:
        """Close the volume, and end.  Raises as `do`."""
        try:
            await self.do(lambda volume: volume.close())
        finally:
            self.kill()

    def _bug(self, task: asyncio.Task[None], answer: asyncio.Future[Any]) -> None:
        """What is no `DiskError` is a bug."""
        if answer.done():
            return
        error = None if task.cancelled() else task.exception()
        if error is None:
            answer.set_exception(Internal("the call was cancelled"))
            return
        place = traceback.extract_tb(error.__traceback__)[-1]
        bug = Internal(f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})")
        bug.__cause__ = error
        answer.set_exception(bug)
