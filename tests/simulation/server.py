"""A target server that crashes: the real sessions, and a disk with a volatile cache on a medium that stays."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

from g2disk.disk import Buffer, Disk, DiskInfo, Done
from g2disk.errors import DiskError, Unavailable
from g2disk.remote.stream import MessageHandler, MessageStream
from g2disk.request import FLUSH, FUA, READ, TRIM, WRITE, ZERO, Request
from g2disk.servers.exports import Exports
from g2disk.servers.grpc.session import ServerSession
from g2disk.servers.grpc.session_shared import Attempts, Budget, Limits, Shared
from g2disk.stores.store import DiskEntry, Store
from g2disk.units import MIB
from tests.simulation.loop import Process, VirtualLoop
from tests.simulation.network import Network
from tests.simulation.pipe import GRAIN

BLOCK = 512
_CHANGES = (WRITE, TRIM, ZERO)


def block_of(value: int) -> bytes:
    """The content that stands for a value: it in every eight bytes, so that a torn block shows."""
    return value.to_bytes(8, "little") * (BLOCK // 8)


def value_of(block: bytes) -> int:
    """The value of a block; a negative one for what was never written as a block."""
    value = int.from_bytes(block[:8], "little")
    return value if block == block_of(value) else -1


class Medium:
    """What survives a crash."""

    def __init__(self, blocks: int, identity: str) -> None:
        self.identity = identity
        self.blocks = [bytes(BLOCK)] * blocks


class CachedDisk(Disk):
    """Keeps what is written in memory, each block with all that it was since the last flush; losing the cache leaves
    any of these on the medium, for each block by itself.
    """

    minimum_block = BLOCK

    def __init__(self, medium: Medium, instance: str, loop: VirtualLoop, rng: Random, by_tasks: bool) -> None:
        self.medium = medium
        self.trouble: type[DiskError] | None = None
        """What every request fails with for now."""
        self.failing_flushes = 0.0
        """The part of the flushes that lose the cache instead."""
        self.lost: Callable[[], None] = lambda: None
        """Called when the cache was lost."""
        self._size = len(medium.blocks) * BLOCK
        self._instance = instance
        self._losses = 0
        self._loop = loop
        self._rng = rng
        self._by_tasks = by_tasks
        self._slow = rng.choice((0.02, 0.05, 0.3))
        """The part of its steps that takes long."""
        self._cache: list[list[tuple[int, bytes]]] = [[] for _ in medium.blocks]
        """For each block what it was since it was last durable, with the number of the change, the newest last."""
        self._count = 0
        self._unanswered: dict[Request, None] = {}

    def info(self) -> DiskInfo:
        return DiskInfo(
            size=self._size,
            identity=self.medium.identity,
            instance=f"{self._instance}.{self._losses}",
            minimum_block=BLOCK,
            preferred_block=BLOCK,
            maximum_request=MIB,
            trim=True,
            zero=True,
            fast_zero=True,
        )

    def submit(self, requests: list[Request], done: Done) -> list[Request]:
        if self._by_tasks:
            return requests
        for request in requests:
            self._begin(request, done)
        return []

    async def read(self, offset: int, length: int) -> Buffer:
        request = Request(READ, 0, offset, length)
        await self._ask(request)
        data: bytes = request.data
        return data

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        await self._ask(Request(WRITE, FUA if fua else 0, offset, len(data), data=data))

    async def flush(self) -> None:
        await self._ask(Request(FLUSH, 0, 0, 0))

    async def trim(self, offset: int, length: int, fua: bool = False) -> None:
        await self._ask(Request(TRIM, FUA if fua else 0, offset, length))

    async def zero(
        self, offset: int, length: int, fua: bool = False, may_trim: bool = True, fast: bool = False
    ) -> None:
        await self._ask(Request(ZERO, FUA if fua else 0, offset, length))

    def lose(self, worst: bool = False) -> None:
        """Lose the cache: each block becomes any of what it was since it was last durable; with `worst` the oldest."""
        for block, versions in enumerate(self._cache):
            kept = 0 if worst else self._rng.randint(0, len(versions))
            if kept:
                self.medium.blocks[block] = versions[kept - 1][1]
            versions.clear()

    def lose_and_go_on(self) -> None:
        """Lose the cache without a crash.  What is not answered yet is done again: the answer will name the
        new instance.
        """
        self.lose()
        self._losses += 1
        for request in self._unanswered:
            if request.operation in _CHANGES and request.error is None:
                self._change(request)
        self.lost()

    async def _ask(self, request: Request) -> None:
        answered: asyncio.Future[None] = self._loop.create_future()

        def done(_: list[Request]) -> None:
            self._unanswered[request] = None  # until the caller goes on
            answered.set_result(None)

        self._begin(request, done)
        await answered
        self._unanswered.pop(request, None)
        if request.error is not None:
            raise request.error

    def _begin(self, request: Request, done: Done) -> None:
        received = self._count  # what a flush has to cover was done by now
        self._later(lambda: self._perform(request, received, done))

    def _later(self, work: Callable[[], None]) -> None:
        grains = self._rng.randint(0, 4) if self._rng.random() > self._slow else self._rng.randint(5, 1000)
        self._loop.call_later(grains * GRAIN, work)

    def _perform(self, request: Request, received: int, done: Done) -> None:
        if self.trouble is not None and (self.trouble is Unavailable or request.operation in _CHANGES):
            request.error = self.trouble("for a while")
        elif request.operation == READ:
            first = request.offset // BLOCK
            count = request.length // BLOCK
            request.data = b"".join([self._current(block) for block in range(first, first + count)])
        elif request.operation == FLUSH:
            self._flush(request, received)
        elif request.operation in _CHANGES:
            self._change(request)
            self._unanswered[request] = None
        self._later(lambda: self._answer(request, done))

    def _answer(self, request: Request, done: Done) -> None:
        self._unanswered.pop(request, None)
        done([request])

    def _current(self, block: int) -> bytes:
        versions = self._cache[block]
        return versions[-1][1] if versions else self.medium.blocks[block]

    def _change(self, request: Request) -> None:
        data = bytes(request.data) if request.operation == WRITE else bytes(request.length)
        for at in range(0, request.length, BLOCK):
            block, content = (request.offset + at) // BLOCK, data[at : at + BLOCK]
            self._count += 1
            if request.flags & FUA:
                self.medium.blocks[block] = content
                self._cache[block].clear()
            else:
                self._cache[block].append((self._count, content))

    def _flush(self, request: Request, received: int) -> None:
        if self._rng.random() < self.failing_flushes:
            self.lose_and_go_on()
            if self._rng.random() < 0.5:
                request.error = Unavailable("the flush failed")
            return
        for block, versions in enumerate(self._cache):
            while versions and versions[0][0] <= received:
                self.medium.blocks[block] = versions.pop(0)[1]


class _OneDisk(Store):
    """The disk, after some turns of the loop."""

    url = "simulated:"

    def __init__(self, disk: Disk, loop: VirtualLoop, rng: Random) -> None:
        self._disk = disk
        self._loop = loop
        self._rng = rng

    async def list(self) -> list[DiskEntry]:
        await self._loop.sleep(self._rng.randint(0, 2) * GRAIN)
        return [DiskEntry("default", self._disk.info().size)]

    async def open(self, name: str) -> Disk:
        await self._loop.sleep(self._rng.randint(0, 2) * GRAIN)
        return self._disk


class _Silent(ServerSession):
    """Says nothing unasked, as other people's servers: a new instance comes with an answer then."""

    def _tell(self, prefix: bytes) -> None:
        """Nothing."""


class ServerProcess:
    """One life of the server.  An `Acceptor`."""

    def __init__(self, disk: CachedDisk, loop: VirtualLoop, rng: Random, name: str) -> None:
        self.process = Process(name)
        self.disk = disk
        self._loop = loop
        limits = Limits(requests=rng.choice((4, 1024)), data=rng.choice((16 * BLOCK, 64 * MIB)))
        exports = self.process.run(Exports, _OneDisk(disk, loop, rng))
        self._shared = Shared(exports, limits, Attempts(), Budget(limits.all_data), self._spawn)
        self._open: dict[ServerSession, None] = {}
        self._draining = False
        self._kind = rng.choice((ServerSession, _Silent))

    def open(self, stream: MessageStream) -> MessageHandler:
        """The handler of a new stream."""
        session = self._kind(stream, self._shared, self._forget)
        self._open[session] = None
        if self._draining:
            session.drain()
        return session

    def drain(self) -> None:
        """Shut down: finish what is in flight, begin nothing more."""
        self._draining = True
        for session in list(self._open):
            self.process.run(session.drain)

    def _forget(self, session: ServerSession) -> None:
        self._open.pop(session, None)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> object:
        return self._loop.create_task(work)


class Server:
    """The server's machine: one process after the other on one medium, until somebody exchanges it."""

    def __init__(self, network: Network, blocks: int, rng: Random, by_tasks: bool, lost: Callable[[], None]) -> None:
        self.blocks = blocks
        self.medium = Medium(blocks, "disk 0")
        self.exchanged = False
        """Another disk is served now."""
        self.failing_flushes = 0.0
        self.now: ServerProcess | None = None
        self._network = network
        self._rng = rng
        self._by_tasks = by_tasks
        self._lost = lost
        self._lives = 0

    def start(self) -> None:
        """Serve."""
        self._lives += 1
        name = f"server {self._lives}"
        loop = self._network.loop
        disk = CachedDisk(self.medium, name, loop, self._rng, self._by_tasks)
        disk.lost, disk.failing_flushes = self._lost, self.failing_flushes
        self.now = ServerProcess(disk, loop, self._rng, name)
        self._network.listen(self.now)

    def crash(self, worst: bool = False) -> None:
        """Die, as by SIGKILL and a power cut in one."""
        if self.now is not None:
            now, self.now = self.now, None
            now.process.kill()
            now.disk.lose(worst)
            self._network.lose_server()
            self._lost()

    def exchange(self) -> None:
        """Put another disk, all zeroes, in the place of this one.  The server is down."""
        self.medium = Medium(self.blocks, "disk 1")
        self.exchanged = True

    def stop(self) -> None:
        """Get no time from the system."""
        if self.now is not None:
            self.now.process.stopped = True

    def go_on(self) -> None:
        """Get time again."""
        if self.now is not None:
            self._network.loop.resume(self.now.process)

    def heal(self) -> None:
        """Let all be well from now on."""
        self.failing_flushes = 0.0
        if self.now is None:
            self.start()
        else:
            self.go_on()
            self.now.disk.failing_flushes, self.now.disk.trouble = 0.0, None
