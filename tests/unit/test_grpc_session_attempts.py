"""Attempts of one client at a server: nothing of an older one happens after a newer one was confirmed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence

import pytest
from tests.support.raw_client import RawClient
from tests.support.session import SIZE, HeldDisk, OneDisk, Server, server_of, turns, until

from g2disk.disk import Buffer, Done
from g2disk.errors import Fenced, NotFound
from g2disk.remote.pb import disk_pb2
from g2disk.request import READ, WRITE, Request
from g2disk.servers.grpc.session_shared import MOST_CLIENTS, Attempts
from g2disk.stores.memory import MemoryDisk, MemoryStore
from g2disk.stores.store import DiskEntry

CLIENT = b"0123456789abcdef"


class Session:
    """What Attempts knows of one."""

    def __init__(self, attempt: int) -> None:
        self.attempt = attempt
        self.superseded = False
        self.over = asyncio.Event()

    def supersede(self) -> None:
        self.superseded = True

    async def finished(self) -> None:
        await self.over.wait()


def leave(attempts: Attempts, session: Session, client: bytes = CLIENT) -> None:
    session.over.set()
    attempts.leave(client, "d", session)


async def others_come_and_go(attempts: Attempts, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        session = Session(1)
        await attempts.enter(number.to_bytes(16, "big"), "d", session)
        leave(attempts, session, number.to_bytes(16, "big"))


async def test_clients_are_remembered_within_bounds() -> None:
    """However many come and go, also beside one that stays; those that left last are known."""
    attempts, stays = Attempts(), Session(1)
    await attempts.enter(CLIENT, "d", stays)
    await others_come_and_go(attempts, 2 * MOST_CLIENTS)

    assert MOST_CLIENTS + 1 == len(attempts._sessions) + len(attempts._gone)
    with pytest.raises(Fenced):
        await attempts.enter((2 * MOST_CLIENTS - 1).to_bytes(16, "big"), "d", Session(1))
    with pytest.raises(Fenced):
        await attempts.enter(CLIENT, "d", Session(1))


async def test_a_client_that_was_forgotten_comes_back() -> None:
    """After MOST_CLIENTS others it is let in, and what is older than its new attempt is refused again."""
    attempts, before, back = Attempts(), Session(7), Session(8)
    await attempts.enter(CLIENT, "d", before)
    leave(attempts, before)
    await others_come_and_go(attempts, MOST_CLIENTS)
    await attempts.enter(CLIENT, "d", back)
    for stale in (7, 8):
        with pytest.raises(Fenced):
            await attempts.enter(CLIENT, "d", Session(stale))
    leave(attempts, back)

    await others_come_and_go(attempts, MOST_CLIENTS - 1, MOST_CLIENTS)
    with pytest.raises(Fenced):
        await attempts.enter(CLIENT, "d", Session(7))


async def test_a_client_that_comes_back_is_remembered_anew() -> None:
    """What counts is when it left last."""
    attempts, before, back = Attempts(), Session(1), Session(2)
    await attempts.enter(CLIENT, "d", before)
    leave(attempts, before)
    await others_come_and_go(attempts, MOST_CLIENTS - 1)
    await attempts.enter(CLIENT, "d", back)
    leave(attempts, back)
    await others_come_and_go(attempts, MOST_CLIENTS - 1, MOST_CLIENTS)

    with pytest.raises(Fenced):
        await attempts.enter(CLIENT, "d", Session(1))


async def test_a_stale_attempt_of_a_forgotten_client_ends_when_the_client_comes_back() -> None:
    """Nobody knows any more that it is stale; the newer one supersedes it and waits for its end."""
    attempts, before, stale, back = Attempts(), Session(7), Session(6), Session(8)
    await attempts.enter(CLIENT, "d", before)
    leave(attempts, before)
    await others_come_and_go(attempts, MOST_CLIENTS)
    await attempts.enter(CLIENT, "d", stale)
    entering = asyncio.create_task(attempts.enter(CLIENT, "d", back))
    await turns(5)
    assert (True, False) == (stale.superseded, entering.done())
    leave(attempts, stale)
    await entering

    leave(attempts, back)
    with pytest.raises(Fenced):
        await attempts.enter(CLIENT, "d", Session(7))


async def test_a_session_with_requests_in_flight_is_not_forgotten() -> None:
    """A broken stream whose write still runs is waited for, whoever came and went meanwhile."""
    held = HeldDisk()
    held.held = {WRITE}
    async with server_of(held) as server:
        older = RawClient(server)
        await older.open()
        older.ask(1, WRITE, 0, 3, b"abc")
        await held.begun()
        older.stream.cut()
        await others_come_and_go(server.sessions._shared.attempts, MOST_CLIENTS + 1)
        newer = RawClient(server, attempt=2)
        newer.send(open=disk_pb2.SessionOpen())
        await turns(20)
        assert [] == newer.replies
        held.let_go()
        await until(lambda: bool(newer.replies))


class SlowStore(OneDisk):
    """Takes a random time for each answer, so that openings overtake each other."""

    def __init__(self, disk: MemoryDisk, rng: random.Random) -> None:
        super().__init__(disk)
        self._rng = rng

    async def list(self) -> list[DiskEntry]:
        await turns(self._rng.randrange(8))
        return await super().list()

    async def open(self, name: str) -> MemoryDisk:
        await turns(self._rng.randrange(8))
        assert isinstance(self.disk, MemoryDisk)
        return self.disk


class Gated(MemoryDisk):
    """Writes wait until the test lets them go; each notes the attempt that its data name."""

    def __init__(self, events: list[tuple[str, int]], rng: random.Random, batches: bool) -> None:
        super().__init__(SIZE)
        self.events = events
        self.waiting: list[asyncio.Future[None]] = []
        self._rng = rng
        self._batches = batches
        self._tasks: set[asyncio.Task[None]] = set()

    def submit(self, requests: list[Request], done: Done) -> list[Request]:
        if not self._batches:
            return requests
        for request in requests:
            task = asyncio.get_running_loop().create_task(self._work(request, done))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return []

    async def _work(self, request: Request, done: Done) -> None:
        await self.write(request.offset, request.data)
        done([request])

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append(gate)
        await gate
        self.events.append(("write", data[0]))

    def release(self, everything: bool) -> None:
        self._rng.shuffle(self.waiting)
        for _ in range(len(self.waiting) if everything else min(1, len(self.waiting))):
            self.waiting.pop().set_result(None)


class NotingClient(RawClient):
    """Notes when it was told that its session is open."""

    def __init__(self, server: Server, attempt: int, events: list[tuple[str, int]]) -> None:
        super().__init__(server, attempt=attempt)
        self.events = events
        self.number = 0
        self.send(open=disk_pb2.SessionOpen(), disk="")

    def message(self, data: memoryview) -> None:
        super().message(data)
        if self.replies[-1].HasField("opened"):
            self.identity = self.replies[-1].identity
            self.events.append(("opened", self.attempt))

    def write(self) -> None:
        self.number += 1
        self.ask(self.number, WRITE, 0, 2, bytes((self.attempt, 0)))


def act(client: NotingClient, rng: random.Random) -> None:
    """What a client may do, and what may happen to it."""
    if client.replies and client.status is None and not client.stream.over:
        match rng.randrange(24):
            case 0:
                client.stream.cut()
            case 1:
                client.stream.end()
            case 2:
                client.stream.abort()
            case _:
                client.write()


def stale_writes(events: Sequence[tuple[str, int]]) -> Iterator[tuple[int, int]]:
    """Writes that were done after a newer session was confirmed."""
    newest = 0
    for what, attempt in events:
        if what == "opened":
            newest = max(newest, attempt)
        elif attempt < newest:
            yield attempt, newest


@pytest.mark.parametrize("batches", [False, True])
@pytest.mark.parametrize("seed", range(25))
async def test_no_write_of_an_older_attempt_is_done_behind_a_newer_opening(seed: int, batches: bool) -> None:
    """Whatever breaks, ends, overtakes or hangs, for disks with coroutines and with batches."""
    rng, events = random.Random(seed), list[tuple[str, int]]()
    disk = Gated(events, rng, batches)
    async with server_of(SlowStore(disk, rng)) as server:
        clients = [NotingClient(server, 1, events)]
        for _ in range(600):
            kind = rng.randrange(10)
            if kind == 0 and rng.random() < 0.5:
                clients.append(NotingClient(server, len(clients) + 1, events))
            elif kind in (1, 2):
                disk.release(everything=rng.random() < 0.3)
            elif kind == 3:
                server.exports._open.clear()  # the next requests look again whether the disk is there
            else:
                act(rng.choice(clients[-3:]), rng)
            await turns(rng.randrange(6))
        if seed % 2:
            server.sessions.drain()
        while disk.waiting or any(not session._finished.is_set() for session in list(server.sessions._open)):
            disk.release(everything=True)
            for client in clients:
                client.stream.cut()
            await turns(3)

    assert [] == list(stale_writes(events))
    assert sum(what == "write" for what, _ in events) > 20
    assert sum(what == "opened" for what, _ in events) > 5


async def test_a_write_that_waits_for_the_store_does_not_reach_the_disk_that_was_made_instead() -> None:
    """Deleted and made again under its name, while a request and the next attempt are under way."""

    class Waiting(MemoryStore):
        gate = asyncio.Event()

        async def open(self, name: str) -> MemoryDisk:
            await self.gate.wait()
            return self._find(name)

    store = Waiting()
    await store.create("default", SIZE)
    store.gate.set()
    async with server_of(store) as server:
        client = RawClient(server)
        await client.open()
        store.gate.clear()
        await server.exports.delete("default")
        client.ask(1, WRITE, 0, 3, b"abc")
        await turns(5)
        await store.create("default", SIZE)
        newer = RawClient(server, attempt=2)
        newer.send(open=disk_pb2.SessionOpen())
        await turns(5)
        store.gate.set()
        status = await client.over()
        await until(lambda: bool(newer.replies))

        assert "Fenced" == status.trailers["g2disk-kind"]
        assert newer.replies[0].identity != client.identity
        newer.identity = newer.replies[0].identity
        newer.ask(1, READ, 0, 3)
        await until(lambda: len(newer.replies) == 2)
        assert bytes(3) == newer.replies[1].payload


async def test_an_opening_that_waits_while_the_server_drains_does_nothing() -> None:
    """It is answered when the older one is over; what the client then sends is dropped, and it is told so."""
    held = HeldDisk()
    held.held = {WRITE}
    async with server_of(held) as server:
        older, newer = RawClient(server), RawClient(server, attempt=2)
        await older.open()
        older.ask(1, WRITE, 0, 3, b"abc")
        await held.begun()
        newer.send(open=disk_pb2.SessionOpen())
        await older.over()
        server.sessions.drain()
        late = RawClient(server, attempt=3)
        assert 14 == (await late.over()).code
        held.let_go()
        status = await newer.over()

        assert (14, "not-begun") == (status.code, status.trailers["g2disk-unanswered"])
        assert 1 == len(held.batches)


async def test_a_disk_that_is_closed_with_requests_unfinished_settles_them() -> None:
    """After the server has stopped waiting, what the disk gives back is dropped without a word."""
    held = HeldDisk()
    held.held = {WRITE}
    clients: list[RawClient] = []

    async def serve() -> None:
        async with server_of(held) as server:
            clients.append(RawClient(server))
            await clients[0].open()
            clients[0].ask(1, WRITE, 0, 3, b"abc")
            await held.begun()

    serving = asyncio.create_task(serve())
    await held.begun()
    await turns(5)
    serving.cancel()
    await asyncio.wait([serving])
    (client,) = clients
    client.stream.cut()
    held.vanish(NotFound("closed"))
    held.let_go()
    await turns(10)

    assert 1 == len(client.replies)
