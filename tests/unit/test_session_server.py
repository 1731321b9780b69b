"""The server's end of a Session against clients that break its rules, and its bounds."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.support.raw_client import RawClient
from tests.support.session import SIZE, HeldDisk, TaskDisk, server_of, turns, until

from g2disk.remote.pb import disk_pb2
from g2disk.request import FLUSH, READ, WRITE
from g2disk.servers.grpc.session_shared import Budget, Limits


async def test_the_opening_describes_the_disk_and_the_bounds() -> None:
    """The first reply holds what Describe says, and the smaller of what both ends allow."""
    async with server_of(limits=Limits(requests=9)) as server:
        client = RawClient(server)
        opened = await client.open(maximum_in_flight_requests=100, maximum_in_flight_bytes=1 << 20)

        assert ("default", SIZE) == (opened.description.disk, opened.description.size)
        assert (9, 1 << 20, 8 << 20) == (
            opened.maximum_in_flight_requests,
            opened.maximum_in_flight_bytes,
            opened.maximum_message,
        )
        assert (1, client.replies[0].identity) == (client.replies[0].attempt, opened.description.identity)


@pytest.mark.parametrize(
    ("fields", "code", "kind"),
    [
        ({"open": None}, 3, "Invalid"),
        ({"client": b"short"}, 3, "Invalid"),
        ({"attempt": 0}, 3, "Invalid"),
        ({"ids": [1], "operations": [0], "offsets": [0], "lengths": [1]}, 3, "Invalid"),
        ({"payload": b"x"}, 3, "Invalid"),
        ({"identity": "another disk"}, 9, "Fenced"),
    ],
)
async def test_openings_that_cannot_be_are_refused(fields: dict[str, Any], code: int, kind: str) -> None:
    """The stream ends with the status and the kind that disk.proto names, and no message comes."""
    async with server_of() as server:
        client = RawClient(server)
        client.send(**{"open": disk_pb2.SessionOpen(), **fields})
        status = await client.over()

        assert (code, kind, []) == (status.code, status.trailers["g2disk-kind"], client.replies)


async def test_a_disk_that_is_not_there_cannot_be_opened() -> None:
    """NotFound, as Describe answers it."""
    async with server_of() as server:
        client = RawClient(server)
        client.send(open=disk_pb2.SessionOpen(), disk="nothing")

        assert (5, "NotFound") == ((await client.over()).code, (await client.over()).trailers["g2disk-kind"])


BAD_MESSAGES: list[dict[str, Any]] = [
    {"ids": [1, 2], "operations": [0], "offsets": [0], "lengths": [1]},
    {"ids": [1], "operations": [0], "offsets": [0, 0], "lengths": [1]},
    {"ids": [1], "operations": [WRITE], "offsets": [0], "lengths": [3], "payload": b"ab"},
    {"ids": [1], "operations": [WRITE], "offsets": [0], "lengths": [3], "payload": b"abcd"},
    {"ids": [1], "operations": [READ], "offsets": [0], "lengths": [3], "payload": b"abc"},
    {"ids": [1, 1], "operations": [0, 0], "offsets": [0, 0], "lengths": [1, 1]},
    {"ids": [7], "operations": [0], "offsets": [0], "lengths": [1]},
    {"open": disk_pb2.SessionOpen()},
    {"attempt": 2},
    {"client": b"fedcba9876543210"},
    {"disk": "other"},
]


@pytest.mark.parametrize("fields", BAD_MESSAGES)
async def test_a_bad_message_ends_the_session_and_does_nothing(fields: dict[str, Any]) -> None:
    """INVALID_ARGUMENT; no request of the message was done, and what was in flight is finished in silence."""
    held = HeldDisk()
    held.held = {READ}
    async with server_of(held) as server:
        client = RawClient(server)
        await client.open()
        client.ask(7, READ, 0, 512)
        await held.begun()
        client.ask(8, FLUSH, 0, 0)
        await until(lambda: len(client.replies) == 2)
        client.send(**fields)
        status = await client.over()
        held.let_go()

        assert (3, "Invalid") == (status.code, status.trailers["g2disk-kind"])
        assert 2 == len(held.batches)
        assert 2 == len(client.replies)


async def test_bytes_that_are_no_message_end_the_session() -> None:
    """INVALID_ARGUMENT."""
    async with server_of() as server:
        client = RawClient(server)
        await client.open()
        client.stream.send([b"\xff\xff\xff"])

        assert 3 == (await client.over()).code


async def test_requests_before_the_confirmation_end_the_session() -> None:
    """Nobody may send before `opened` came."""
    async with server_of() as server:
        client = RawClient(server)
        client.send(open=disk_pb2.SessionOpen())
        client.ask(1, READ, 0, 512)

        assert 3 == (await client.over()).code


async def test_requests_for_another_identity_end_the_session() -> None:
    """Fenced: the client means another disk."""
    async with server_of() as server:
        client = RawClient(server)
        await client.open()
        client.identity = "another"
        client.ask(1, READ, 0, 512)

        assert (9, "Fenced") == ((await client.over()).code, (await client.over()).trailers["g2disk-kind"])


@pytest.mark.parametrize("word", [2, 8, 255, READ | 1 << 8, WRITE | 2 << 8, 6 | 4 << 8, READ | 1 << 31])
async def test_a_bad_request_is_answered_and_the_session_goes_on(word: int) -> None:
    """Operations and flags that do not exist are Invalid, for that request only."""
    async with server_of() as server:
        client = RawClient(server)
        await client.open()
        payload = bytes(512) if word & 0xFF == WRITE else b""
        client.send(ids=[1, 2], operations=[word, READ], offsets=[0, 0], lengths=[512, 512], payload=payload)
        await until(lambda: len(client.replies) == 2)

        assert [(1, "Invalid", 22)] == [(error.id, error.kind, error.errno) for error in client.replies[1].errors]
        assert ([2], [512], bytes(512)) == (
            list(client.replies[1].ids),
            list(client.replies[1].lengths),
            client.replies[1].payload,
        )
        client.ask(1, READ, 0, 512)  # the id may be used again
        await until(lambda: len(client.replies) == 3)


async def test_clients_that_break_the_bounds_are_ended() -> None:
    """RESOURCE_EXHAUSTED of kind Invalid, for requests, for bytes, and for the length of a message."""
    limits = Limits(requests=2, data=1 << 16, message=1 << 16)
    columns = {"operations": [0] * 3, "offsets": [0] * 3}
    async with server_of(HeldDisk(), limits) as server:
        too_many = {"ids": [1, 2, 3], "lengths": [1] * 3, **columns}
        too_long = {"ids": [1], "operations": [0], "offsets": [0], "lengths": [1 << 17]}
        for attempt, fields in enumerate([too_many, too_long], 1):
            client = RawClient(server, attempt=attempt)
            await client.open()
            client.send(**fields)
            status = await client.over()
            assert (8, "Invalid") == (status.code, status.trailers["g2disk-kind"])
        client = RawClient(server, attempt=3)
        await client.open()
        client.send(payload=bytes(1 << 16))
        assert "too long" in (await client.over()).message


async def test_an_older_attempt_is_refused() -> None:
    """Fenced, for the same attempt too, also long after the newer session has ended."""
    async with server_of() as server:
        client = RawClient(server, attempt=5)
        await client.open()
        client.stream.end()
        assert 0 == (await client.over()).code
        for attempt in (5, 4):
            stale = RawClient(server, attempt=attempt)
            stale.send(open=disk_pb2.SessionOpen())
            status = await stale.over()
            assert (9, "Fenced") == (status.code, status.trailers["g2disk-kind"])
        await RawClient(server, client=b"fedcba9876543210", attempt=1).open()


async def test_a_newer_attempt_ends_the_older_session() -> None:
    """The older one gets Fenced; the newer one is confirmed when what the older one had begun is finished."""
    held = HeldDisk()
    held.held = {WRITE}
    async with server_of(held) as server:
        older = RawClient(server)
        await older.open()
        older.ask(1, WRITE, 0, 3, b"abc")
        await held.begun()
        newer, newest = RawClient(server, attempt=2), RawClient(server, attempt=3)
        newer.send(open=disk_pb2.SessionOpen())
        status = await older.over()
        newest.send(open=disk_pb2.SessionOpen())
        assert "Fenced" == status.trailers["g2disk-kind"]
        assert "Fenced" == (await newer.over()).trailers["g2disk-kind"]
        assert [] == newest.replies
        held.let_go()
        await until(lambda: bool(newest.replies))

        assert [] == newer.replies


async def test_a_client_that_has_sent_all_gets_all_answers() -> None:
    """Ending its half of the stream, a client still gets every reply, and then OK."""
    held = HeldDisk()
    held.held = {WRITE}
    async with server_of(held) as server:
        client = RawClient(server)
        await client.open()
        client.ask(1, WRITE, 0, 3, b"abc")
        client.stream.end()
        await held.begun()
        assert client.status is None
        held.let_go()
        assert 0 == (await client.over()).code

        assert [1] == list(client.replies[1].ids)


async def test_all_sessions_pause_while_too_much_is_in_flight() -> None:
    """Beyond the server's own bound the streams that send are paused, and go on when there is room."""
    held = HeldDisk()
    held.held = {WRITE}
    async with server_of(held, Limits(all_data=1 << 20)) as server:
        clients = [RawClient(server, client=bytes([at]) * 16) for at in range(3)]
        for client in clients:
            await client.open()
            client.ask(1, WRITE, 0, 1 << 19, bytes(1 << 19))
        await held.begun(3)
        assert [False, True, True] == [client.stream.peer.paused for client in clients]
        held.let_go()
        for client in clients:
            await until(lambda client=client: len(client.replies) == 2)  # type: ignore[misc]

        assert not any(client.stream.peer.paused for client in clients)


async def test_a_client_that_does_not_read_is_not_read_from() -> None:
    """Replies that nobody takes pile up to the bound, and then the server stops taking requests."""
    async with server_of(limits=Limits(data=1 << 20)) as server:
        client = RawClient(server)
        await client.open()
        client.stream.pause()
        asked = 0
        while not client.stream.peer.paused:
            client.ask(asked, READ, 0, 1 << 18)
            asked += 1
            await until(lambda: not client.stream.unsent)
        assert 1 << 20 < client.stream.peer.unsent < 2 << 20
        client.stream.resume()
        await until(lambda: len(client.replies) == asked + 1)

        assert not client.stream.peer.paused


@pytest.mark.parametrize("kind", [HeldDisk, TaskDisk])
async def test_a_stopping_server_waits_for_what_is_in_flight(kind: type[HeldDisk]) -> None:
    """Leaving the service ends when every request is answered, whether the disk takes batches or not."""
    disk = kind()
    disk.hold()

    async def serve(entered: asyncio.Event, leave: asyncio.Event) -> RawClient:
        async with server_of(disk) as server:
            client = RawClient(server)
            await client.open()
            client.ask(1, READ, 0, 512)
            await disk.begun()
            entered.set()
            await leave.wait()
        return client

    entered, leave = asyncio.Event(), asyncio.Event()
    served = asyncio.create_task(serve(entered, leave))
    await entered.wait()
    leave.set()
    await turns(20)
    assert not served.done()
    disk.let_go()
    client = await served

    await until(lambda: client.status is not None)
    assert [1] == list(client.replies[1].ids)
    assert client.status is not None
    assert 14 == client.status.code


async def test_a_read_that_fits_in_no_reply_is_refused() -> None:
    """A read longer than the client's largest message leaves room for is Invalid."""
    async with server_of() as server:
        client = RawClient(server)
        await client.open(maximum_message=1 << 16)
        client.ask(1, READ, 0, (1 << 16) - 4096)
        client.ask(2, READ, 0, (1 << 16) - 4095)
        await until(lambda: sum(len(reply.ids) + len(reply.errors) for reply in client.replies) == 2)

        assert [(2, "Invalid")] == [(error.id, error.kind) for reply in client.replies for error in reply.errors]


def test_a_budget_wakes_those_that_wait() -> None:
    """Half of it must be free before anybody goes on."""

    class Waiter:
        woken = 0

        def go_on(self) -> None:
            self.woken += 1

    budget, waiter = Budget(100), Waiter()
    budget.take(120)
    budget.wait(waiter)
    budget.give(60)
    assert (0, False) == (waiter.woken, budget.full)
    budget.give(20)
    budget.give(20)

    assert 1 == waiter.woken
