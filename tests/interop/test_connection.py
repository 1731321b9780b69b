"""A connection to a server that comes, goes, and is replaced."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from g2disk.errors import Unavailable
from g2disk.http2.connection import Http2Connection
from g2disk.http2.errors import REFUSED_STREAM
from g2disk.http2.events import MessageReceived
from g2disk.remote.connection import Connection, UnknownMethod
from g2disk.remote.headers import response_headers, trailers
from g2disk.remote.methods import Method
from g2disk.remote.stream import Status
from g2disk.servers.exports import Exports
from g2disk.servers.grpc.handlers import row
from g2disk.servers.grpc.server import GrpcServer
from g2disk.stores.memory import MemoryStore
from tests.support.echo import SLOW_READ, STREAM, UNARY, Calls, Collector, echo_server, method
from tests.support.loops import on_every_loop


@on_every_loop
async def test_a_call_waits_for_a_server_that_is_away(tmp_path: Path) -> None:
    """It is answered when the server comes; without waiting it is an error at once."""
    endpoint = f"unix:{tmp_path}/s"
    connection = Connection(endpoint, 20)
    with pytest.raises(Unavailable, match="g2disk serve"):
        await connection.call(UNARY, b"x", repeatable=True, wait=False)
    with pytest.raises(Unavailable, match="g2disk serve"):
        await connection.stream(STREAM, Collector(), wait=False)
    waiting = [asyncio.create_task(connection.call(UNARY, b"x", repeatable=False)) for _ in range(50)]
    await asyncio.wait(waiting, timeout=0.3)
    async with echo_server(Calls(), [endpoint]) as (server, _):
        assert [b"x"] * 50 == await asyncio.gather(*waiting)
        assert 1 == len(server._connections)
    await connection.close()


@on_every_loop
async def test_a_server_that_stays_away_costs_the_timeout(tmp_path: Path) -> None:
    """The error names what was asked, and where."""
    connection = Connection(f"unix:{tmp_path}/s", 0.3)
    with pytest.raises(Unavailable, match=f"{tmp_path}/s did not answer Unary within 0.3 s"):
        await connection.call(UNARY, b"x", repeatable=True)
    with pytest.raises(Unavailable, match=f"{tmp_path}/s did not answer Stream within 0.3 s"):
        await connection.stream(STREAM, Collector())
    await connection.close()


@on_every_loop
async def test_many_that_wait_knock_only_once(tmp_path: Path) -> None:
    """One attempt to connect at a time, with growing pauses, however many calls wait."""
    knocks = 0
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        listener.setblocking(False)
        connection = Connection(f"unix:{tmp_path}/s", 1)
        calls = [asyncio.create_task(connection.call(UNARY, b"x", repeatable=True)) for _ in range(200)]
        pending = set(calls)
        while pending:
            _, pending = await asyncio.wait(pending, timeout=0.01)
            try:
                guest, _ = listener.accept()
            except BlockingIOError:
                continue
            knocks += 1
            guest.close()

        assert 2 <= knocks <= 6
        assert all(isinstance(call.exception(), Unavailable) for call in calls)
    await connection.close()


@on_every_loop
async def test_replacing_a_server_fails_no_write_and_does_none_twice(tmp_path: Path) -> None:
    """A server that is drained answers what it has, and what it has not begun goes to the next one, once."""
    endpoint = f"unix:{tmp_path}/s"
    write: Method[bytes, bytes] = method("Write")
    done: list[bytes] = []

    async def answer(request: bytes) -> bytes:
        await asyncio.to_thread(done.append, request)
        return request

    async def server() -> GrpcServer:
        started = GrpcServer(Exports(MemoryStore()), [endpoint], [row(write, answer, carried_through=True)])
        await started.start()
        return started

    connection = Connection(endpoint, 20)
    first = await server()
    numbers = iter(range(400))

    async def work() -> None:
        for number in numbers:
            await connection.call(write, b"%d" % number, repeatable=False)

    workers = [asyncio.create_task(work()) for _ in range(8)]
    for count in (50, 200):
        while len(done) < count:
            await asyncio.wait(workers, timeout=0.001)
        await first.drain(20)
        first = await server()
    await asyncio.gather(*workers)

    assert sorted(b"%d" % number for number in range(400)) == sorted(done)
    await connection.close()
    await first.drain(0)


@on_every_loop
async def test_what_a_server_promises_not_to_have_begun_is_sent_again() -> None:
    """A write whose stream is refused is repeated; one whose connection breaks is not."""
    seen: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http2 = Http2Connection(client=False)
        while not seen or seen[-1] < 3:
            writer.writelines(http2.data_to_send())
            data = await reader.read(1000)
            http2.writable()[: len(data)] = data
            for event in http2.filled(len(data)):
                if isinstance(event, MessageReceived):
                    seen.append(len(seen) + 1)
                    if len(seen) == 1:
                        http2.reset(event.stream, REFUSED_STREAM)
                    elif len(seen) == 2:
                        http2.send_headers(event.stream, response_headers())
                        http2.send_message(event.stream, (event.data,))
                        http2.send_end(event.stream, trailers(Status(0)))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    connection = Connection(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", 20)

    assert b"x" == await connection.call(UNARY, b"x", repeatable=False)
    with pytest.raises(Unavailable, match="broke during Unary"):
        await connection.call(UNARY, b"x", repeatable=False)
    assert [1, 2, 3] == seen
    await connection.close()
    server.close()
    await server.wait_closed()


@on_every_loop
async def test_closing_ends_what_waits_and_what_is_in_flight(tmp_path: Path) -> None:
    """Nobody is left waiting, and later calls fail at once."""
    away = Connection(f"unix:{tmp_path}/none", 20)
    waiting = asyncio.create_task(away.call(UNARY, b"", repeatable=True))
    await asyncio.wait([waiting], timeout=0.05)
    await away.close()
    with pytest.raises(Unavailable):
        await waiting
    calls = Calls()
    async with echo_server(calls) as (_, endpoint):
        connection = Connection(endpoint, 20)
        slow = asyncio.create_task(connection.call(SLOW_READ, b"", repeatable=True))
        await calls.begun.acquire()
        await connection.close()

        with pytest.raises(Unavailable):
            await slow
        with pytest.raises(Unavailable, match="closed"):
            await connection.call(UNARY, b"", repeatable=True)


@on_every_loop
async def test_streams_and_calls_share_one_connection() -> None:
    """And a method that is not there is told apart from all else."""
    async with echo_server(Calls()) as (server, endpoint):
        connection = Connection(endpoint, 20)
        collector, other = Collector(), Collector()
        (await connection.stream(STREAM, collector)).send((b"x",))
        await collector.until(lambda it: bool(it.messages))
        await connection.stream("/none/None", other)

        assert isinstance(connection.error(await other.end(), "None"), UnknownMethod)
        assert b"y" == await connection.call(UNARY, b"y", repeatable=True)
        assert 1 == len(server._connections)
        await connection.close()
