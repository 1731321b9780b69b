"""Both ends of a Session in one event loop, and a disk that does what the test says, when it says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from g2disk.disk import Buffer, Disk, Done
from g2disk.errors import DiskError
from g2disk.remote.disk import RemoteDisk
from g2disk.request import READ, Request
from g2disk.servers.exports import Exports
from g2disk.servers.grpc.session_service import Sessions, session_service
from g2disk.servers.grpc.session_shared import Limits
from g2disk.stores.memory import MemoryDisk, MemoryStore
from g2disk.stores.store import DiskEntry, Store
from tests.support.streams import Streams

SIZE = 1 << 24


class HeldDisk(MemoryDisk):
    """A memory disk whose requests wait at its gates, where a test has shut them."""

    def __init__(self, size: int = SIZE) -> None:
        super().__init__(size)
        self.held: set[int] = set()
        """Operations that wait."""
        self.batches: list[list[Request]] = []
        """What `submit` was given."""
        self._shut: list[tuple[Request, Done]] = []
        self._arrived = asyncio.Event()

    def submit(self, requests: list[Request], done: Done) -> list[Request]:
        self.batches.append(list(requests))
        waiting = [request for request in requests if request.operation in self.held]
        self._shut += [(request, done) for request in waiting]
        free = [request for request in requests if request.operation not in self.held]
        if waiting:
            self._arrived.set()
        return super().submit(free, done) if free else []

    def hold(self) -> None:
        """Let reads wait."""
        self.held = {READ}

    async def begun(self, count: int = 1) -> None:
        """Return when `count` requests wait."""
        while len(self._shut) < count:
            self._arrived.clear()
            await self._arrived.wait()

    def let_go(self, error: DiskError | None = None) -> None:
        """Do what waits, or let it fail."""
        self.held.clear()
        shut, self._shut = self._shut, []
        for request, done in shut:
            if error is None:
                super().submit([request], done)
            else:
                request.error = error
                done([request])


class TaskDisk(HeldDisk):
    """The same bytes by coroutines, a task for each request."""

    def __init__(self, size: int = SIZE) -> None:
        super().__init__(size)
        self._gate = asyncio.Event()
        self._gate.set()

    def submit(self, requests: list[Request], done: Done) -> list[Request]:
        self.batches.append(list(requests))
        return requests

    async def read(self, offset: int, length: int) -> Buffer:
        self._arrived.set()
        await self._gate.wait()
        return await super().read(offset, length)

    def hold(self) -> None:
        self._gate.clear()

    async def begun(self, count: int = 1) -> None:
        await self._arrived.wait()

    def let_go(self, error: DiskError | None = None) -> None:
        self._gate.set()


class OneDisk(Store):
    """A store with one disk, which the test can exchange."""

    url = "test:"

    def __init__(self, disk: Disk) -> None:
        self.disk = disk

    async def list(self) -> list[DiskEntry]:
        return [DiskEntry("default", self.disk.info().size)]

    async def open(self, name: str) -> Disk:
        return self.disk


class Server:
    """What serves a store, and how clients reach it."""

    def __init__(self, exports: Exports, sessions: Sessions) -> None:
        self.exports = exports
        self.sessions = sessions
        self.streams = Streams(sessions.open)


@asynccontextmanager
async def server_of(what: Disk | Store | None = None, limits: Limits | None = None) -> AsyncIterator[Server]:
    """A server of this disk or store, or of a memory store with one disk."""
    if what is None:
        what = MemoryStore()
        await what.create("default", SIZE)
    store = what if isinstance(what, Store) else OneDisk(what)
    exports = Exports(store)
    async with session_service(exports, limits) as sessions:
        yield Server(exports, sessions)


async def remote(server: Server, streams: Streams | None = None) -> RemoteDisk:
    """A client of it."""
    return await RemoteDisk.open(streams or server.streams, "")


async def submitted(disk: Disk, requests: list[Request]) -> list[Request]:
    """Submit these, all of which the disk takes; return them in the order in which they were done."""
    finished: list[Request] = []
    all_done = asyncio.Event()

    def done(some: list[Request]) -> None:
        finished.extend(some)
        if len(finished) == len(requests):
            all_done.set()

    assert disk.submit(requests, done) == []
    await all_done.wait()
    return finished


async def turns(count: int) -> None:
    """Let the event loop go round this many times."""
    loop = asyncio.get_running_loop()
    for _ in range(count):
        turn: asyncio.Future[None] = loop.create_future()
        loop.call_soon(turn.set_result, None)
        await turn


async def until(condition: Callable[[], bool]) -> None:
    """Return when the condition holds; the event loop runs meanwhile."""
    while not condition():
        await turns(1)
