"""The client's channel, with servers of ours, servers of grpcio, and servers that are none."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from g2disk.errors import Unavailable
from g2disk.http2.connection import Http2Connection
from g2disk.remote.channel import Channel, connect
from g2disk.remote.client_stream import Broken, NotBegun
from g2disk.remote.status import StatusCode
from g2disk.remote.stream import Status
from tests.support.echo import FULL, SLOW_READ, STREAM, UNARY, Calls, Collector, echo_server
from tests.support.loops import on_every_loop
from tests.support.session import turns, until

MIB = 1 << 20


@contextlib.asynccontextmanager
async def channel_to(endpoint: str, quiet: float = 5.0) -> AsyncIterator[Channel]:
    channel = await connect(endpoint, 20, quiet)
    try:
        yield channel
    finally:
        await channel.aclose()


@on_every_loop
@pytest.mark.parametrize("kind", ["tcp", "unix"])
async def test_messages_of_every_size_come_back_in_order(kind: str, tmp_path: Path) -> None:
    """Several streams on one channel, messages of 0 bytes to 20 MiB, in parts, all in flight at once."""
    rng = random.Random(3)
    sizes = [0, 1, 5, 4096, 70_000, MIB, 20 * MIB, 3, 17 * MIB]
    sent = [rng.randbytes(size) for size in sizes]
    calls = Calls()
    async with echo_server(calls, ["127.0.0.1:0" if kind == "tcp" else f"unix:{tmp_path}/s"]) as (_, endpoint):
        async with channel_to(endpoint) as channel:
            collectors = [Collector() for _ in range(3)]
            streams = [channel.open(STREAM, collector, [("number", "x")]) for collector in collectors]
            for message in sent:
                for stream in streams:
                    stream.send((message[:2], message[2:]))
            for stream in streams:
                stream.end()
            for collector in collectors:
                assert Status(0, "bye", {"echo": "done"}) == await collector.end()

                assert sent == collector.messages
    assert ["x"] * 3 == [handler.metadata["number"] for handler in calls.streams]  # type: ignore[attr-defined]


@on_every_loop
async def test_what_a_slow_server_does_not_take_is_counted_until_it_has_left() -> None:
    """`unsent` counts what waits for the other end, `drained` comes when all has left, and nothing is lost."""
    calls = Calls()
    async with echo_server(calls) as (_, endpoint), channel_to(endpoint) as channel:
        collector = Collector()
        stream = channel.open(STREAM, collector)
        stream.send((b"first",))
        await collector.until(lambda it: len(it.messages) == 1)
        echo = calls.streams[0]
        echo.stream.pause()  # type: ignore[attr-defined]
        stream.send((bytes(MIB),))  # within the window
        await collector.until(lambda it: len(it.messages) == 2)
        collector.empty.clear()
        for _ in range(30):
            stream.send((bytes(MIB),))
        assert stream.unsent > 30 * MIB
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(collector.empty.wait(), 0.2)
        assert stream.unsent > 10 * MIB

        echo.stream.resume()  # type: ignore[attr-defined]
        await asyncio.wait_for(collector.empty.wait(), 20)
        assert 0 == stream.unsent
        await collector.until(lambda it: len(it.messages) == 32)


@on_every_loop
async def test_what_is_sent_in_one_callback_leaves_in_one_write() -> None:
    """Messages of several streams share one call of `writelines`."""
    async with echo_server(Calls()) as (_, endpoint), channel_to(endpoint) as channel:
        collectors = [Collector(), Collector()]
        streams = [channel.open(STREAM, collector) for collector in collectors]
        writes: list[int] = []
        transport = channel._transport

        class Counting:
            def __getattr__(self, name: str) -> object:
                return getattr(transport, name)

            def writelines(self, data: list[memoryview]) -> None:
                writes.append(sum(map(len, data)))
                assert transport
                transport.writelines(data)

        channel._transport = Counting()  # type: ignore[assignment]
        for stream in streams * 50:
            stream.send((b"x" * 100,))
        for collector in collectors:
            await collector.until(lambda it: len(it.messages) == 50)

        assert writes[0] > 100 * 100


@on_every_loop
async def test_a_broken_connection_ends_every_call_with_its_reason() -> None:
    """UNAVAILABLE, naming the endpoint; the channel takes no more calls."""
    async with echo_server(Calls()) as (server, endpoint):
        channel = await connect(endpoint, 20)
        collector = Collector()
        channel.open(STREAM, collector).send((b"x",))
        waiting = asyncio.create_task(channel.unary(SLOW_READ.path, b"", 20))
        await collector.until(lambda it: bool(it.messages))
        for connection in list(server._connections):
            connection.abort()

        for status in (await collector.end(), await waiting):
            assert isinstance(status, Broken)
            assert StatusCode.UNAVAILABLE == status.code
            assert endpoint in status.message
        assert not channel.usable
        with pytest.raises(Unavailable, match=endpoint):
            channel.open(STREAM, Collector())
        assert isinstance(await channel.unary(UNARY.path, b"", 20), NotBegun)


@on_every_loop
async def test_unary_calls_share_the_channel_and_fail_alone() -> None:
    """Replies, errors with their trailers, unknown methods, and the time that is up."""
    async with echo_server(Calls()) as (_, endpoint), channel_to(endpoint) as channel:
        slow = asyncio.create_task(channel.unary(SLOW_READ.path, b"", 0.2))
        replies = await asyncio.gather(*(channel.unary(UNARY.path, bytes([n]) * n, 20) for n in range(200)))
        failure = await channel.unary(FULL.path, b"", 20)
        unknown = await channel.unary("/test.Echo/None", b"", 20)

        assert [bytes([n]) * n for n in range(200)] == [bytes(reply) for reply in replies]  # type: ignore[arg-type]
        trailers = {"g2disk-kind": "OutOfSpace", "g2disk-errno": "28"}
        assert Status(8, "the store is full; make room: 100% ä", trailers) == failure
        assert isinstance(unknown, Status)
        assert StatusCode.UNIMPLEMENTED == unknown.code
        late = await slow
        assert isinstance(late, Status)
        assert StatusCode.DEADLINE_EXCEEDED == late.code


@on_every_loop
async def test_a_server_that_goes_away_finishes_what_it_has_begun() -> None:
    """After GOAWAY no call begins, the one in progress is answered, and then the connection ends."""
    calls = Calls()
    async with echo_server(calls) as (server, endpoint):
        channel = await connect(endpoint, 20)
        slow = asyncio.create_task(channel.unary(SLOW_READ.path, b"kept", 20))
        await calls.begun.acquire()
        draining = asyncio.create_task(server.drain(20))
        while channel.usable:
            await asyncio.wait([asyncio.create_task(channel.unary(UNARY.path, b"", 20))])
        assert isinstance(await channel.unary(UNARY.path, b"", 20), NotBegun)
        calls.open.set()

        reply = await slow
        assert isinstance(reply, memoryview)
        assert b"kept" == bytes(reply)
        await draining
        await asyncio.wait([channel.lost])


@on_every_loop
async def test_calls_beyond_what_the_server_allows_wait_their_turn() -> None:
    """A server that takes one stream at a time answers twenty calls, and one that is given up spoils nothing."""

    async def echo(request: bytes, _context: object) -> bytes:
        return request

    server = grpc.aio.server(options=(("grpc.max_concurrent_streams", 1),))
    handler: Any = grpc.unary_unary_rpc_method_handler(echo)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", {"Unary": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with channel_to(f"127.0.0.1:{port}") as channel:
        tasks = [asyncio.create_task(channel.unary(UNARY.path, bytes([n]), 20)) for n in range(20)]
        await asyncio.wait([tasks[0]])
        tasks[5].cancel()

        await asyncio.wait(tasks)
        del tasks[5]
        assert [bytes([n]) for n in range(20) if n != 5] == [bytes(task.result()) for task in tasks]  # type: ignore[arg-type]
    await server.stop(0)


@on_every_loop
async def test_a_turn_that_is_given_up_goes_to_the_next() -> None:
    """The call whose turn it is is cancelled in the same moment: the one behind it begins."""

    async def echo(requests: AsyncIterator[bytes], _context: object) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request

    server = grpc.aio.server(options=(("grpc.max_concurrent_streams", 1),))
    handler: Any = grpc.stream_stream_rpc_method_handler(echo)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", {"Stream": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with channel_to(f"127.0.0.1:{port}") as channel:
        waiting: list[asyncio.Task[memoryview | Status]] = []

        class Spoiler(Collector):
            def ended(self, status: Status) -> None:
                waiting[0].cancel()
                super().ended(status)

        spoiler = Spoiler()
        stream = channel.open(STREAM, spoiler)
        stream.send((b"x",))
        await spoiler.until(lambda it: bool(it.messages))
        waiting += [asyncio.create_task(channel.unary(STREAM, b"y", 20)) for _ in range(2)]
        await asyncio.wait(waiting, timeout=0.01)
        stream.end()

        reply = await waiting[1]
        assert isinstance(reply, memoryview)
        assert b"y" == bytes(reply)
        assert waiting[0].cancelled()
    await server.stop(0)


@contextlib.asynccontextmanager
async def pretending(*, speaks: bool, answers: bool) -> AsyncIterator[str]:
    """Something that listens; with `speaks` it sends an HTTP/2 server's settings, with `answers` it also reads on."""
    stop = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http2 = Http2Connection(client=False)
        if speaks:
            writer.writelines(http2.data_to_send())
        while answers and (data := await reader.read(1000)):
            http2.writable()[: len(data)] = data
            http2.filled(len(data))
            writer.writelines(http2.data_to_send())
        await stop.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        stop.set()
        server.close()
        await server.wait_closed()


@on_every_loop
async def test_a_dead_server_is_noticed_while_a_call_waits_for_it() -> None:
    """No answer to a call nor to a PING: the connection is given up, and the call says why."""
    async with pretending(speaks=True, answers=False) as endpoint:
        channel = await connect(endpoint, 20, quiet=0.05)
        status = await channel.unary(UNARY.path, b"", 20)

        assert isinstance(status, Broken)
        assert "PING" in status.message
        assert endpoint in status.message
        await channel.aclose()


@on_every_loop
async def test_a_slow_server_that_answers_pings_is_waited_for() -> None:
    """A call may take as long as it may, while the server is there."""
    async with pretending(speaks=True, answers=True) as endpoint, channel_to(endpoint, quiet=0.02) as channel:
        status = await channel.unary(UNARY.path, b"", 0.6)

        assert isinstance(status, Status)
        assert StatusCode.DEADLINE_EXCEEDED == status.code
        assert channel.usable


@on_every_loop
async def test_a_stream_that_lasts_is_watched_for_ever() -> None:
    """Messages allow further PINGs: a server that dies late in a long stream is noticed like one that dies early."""
    calls = Calls()
    async with echo_server(calls) as (_, endpoint), channel_to(endpoint, quiet=0.02) as channel:
        collector = Collector()
        stream = channel.open(STREAM, collector)
        for count in range(1, 4):
            await until(lambda: channel._keepalive._pings == 3)  # the most without a message
            stream.send((b"x",))
            while len(collector.messages) < count:
                await turns(1)
            assert channel._keepalive._pings < 3
        stream.abort()


@on_every_loop
async def test_what_listens_and_says_nothing_cannot_be_connected_to() -> None:
    """A connection is only one when the server has spoken HTTP/2."""
    async with pretending(speaks=False, answers=False) as endpoint:
        with pytest.raises(Unavailable, match=r"cannot reach .* did not answer within 0.2 s"):
            await connect(endpoint, 0.2)


@on_every_loop
async def test_where_nobody_listens_the_reason_is_told(tmp_path: Path) -> None:
    """A closed port and a missing socket, each with what to do."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        for endpoint in (f"127.0.0.1:{probe.getsockname()[1]}", f"unix:{tmp_path}/none"):
            with pytest.raises(Unavailable, match=r"cannot reach .*; start a server there with `g2disk serve`"):
                await connect(endpoint, 20)


@on_every_loop
async def test_a_channel_that_is_closed_leaves_nothing_behind() -> None:
    """Calls in flight end, and `aclose` returns when the socket is closed."""
    async with echo_server(Calls()) as (server, endpoint):
        channel = await connect(endpoint, 20)
        collector = Collector()
        channel.open(STREAM, collector).send((b"x",))
        await collector.until(lambda it: bool(it.messages))
        await channel.aclose()

        assert StatusCode.UNAVAILABLE == (await collector.end()).code
        while server._connections:
            await asyncio.wait([connection.lost for connection in server._connections])
