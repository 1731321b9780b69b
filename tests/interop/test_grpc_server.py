"""Our gRPC server, as grpcio's clients and bare HTTP/2 see it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from g2disk.errors import Busy, NotFound
from g2disk.http2.connection import Http2Connection
from g2disk.http2.events import GoAwayReceived, HeadersReceived, MessageReceived, SettingsReceived
from g2disk.http2.receiver import GOODBYE
from g2disk.remote.channel import connect
from g2disk.remote.headers import request_headers
from g2disk.remote.status import StatusCode
from g2disk.remote.stream import MessageHandler, MessageStream, Status
from g2disk.servers.exports import Exports
from g2disk.servers.grpc.server import GrpcServer
from g2disk.stores.memory import MemoryStore
from tests.support.echo import FULL, LARGE, SLOW_READ, SLOW_WRITE, SMALL, STREAM, UNARY, Calls, Collector, echo_server
from tests.support.loops import on_every_loop

MIB = 1 << 20
NO_LIMITS = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))


def grpcio(endpoint: str) -> Any:
    """A channel of grpcio, which is an asynchronous context manager."""
    return grpc.aio.insecure_channel(endpoint, options=NO_LIMITS)


@on_every_loop
async def test_unary_calls_of_every_size() -> None:
    """0 bytes to 20 MiB, there and back, many at once."""
    async with echo_server(Calls()) as (_, endpoint), grpcio(endpoint) as channel:
        call = channel.unary_unary(UNARY.path)
        for size in (0, 1, 16_384, 100_000, MIB, 20 * MIB):
            assert bytes(size) == await call(bytes(size))
        assert [b"%d" % n for n in range(300)] == await asyncio.gather(*(call(b"%d" % n) for n in range(300)))


@on_every_loop
async def test_a_stream_in_both_directions_with_trailers() -> None:
    """Messages as they come, in order, and the status and trailers at the end; binary metadata is ignored."""
    calls = Calls()
    async with echo_server(calls) as (_, endpoint), grpcio(endpoint) as channel:
        stream = channel.stream_stream(STREAM)(metadata=(("x", "1"), ("y-bin", b"\xff")))
        for size in (1, 100_000, 5 * MIB):
            await stream.write(bytes(size))
            assert bytes(size) == await stream.read()
        await stream.done_writing()

        assert grpc.aio.EOF == await stream.read()
        assert grpc.StatusCode.OK == await stream.code()
        assert "done" == dict(await stream.trailing_metadata())["echo"]
    assert {"x": "1"}.items() <= calls.streams[0].metadata.items()  # type: ignore[attr-defined]
    assert "y-bin" not in calls.streams[0].metadata  # type: ignore[attr-defined]


@on_every_loop
async def test_an_error_has_its_status_message_and_kind() -> None:
    """Not only ASCII, and g2disk's trailers beside it."""
    async with echo_server(Calls()) as (_, endpoint), grpcio(endpoint) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await channel.unary_unary(FULL.path)(b"")

    assert grpc.StatusCode.RESOURCE_EXHAUSTED == failure.value.code()
    assert "the store is full; make room: 100% ä" == failure.value.details()
    trailers = {str(key): value for key, value in failure.value.trailing_metadata()}
    assert {"g2disk-kind": "OutOfSpace", "g2disk-errno": "28"} == trailers


@on_every_loop
async def test_a_method_that_is_not_there_is_unimplemented() -> None:
    """Whether the service is known or not."""
    async with echo_server(Calls()) as (_, endpoint), grpcio(endpoint) as channel:
        for path in ("/test.Echo/None", "/None/None"):
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await channel.unary_unary(path)(b"")
            assert grpc.StatusCode.UNIMPLEMENTED == failure.value.code()


@on_every_loop
async def test_a_unary_method_takes_exactly_one_request() -> None:
    """None, and two, are UNIMPLEMENTED, as gRPC's table of statuses says."""
    async with echo_server(Calls()) as (_, endpoint), grpcio(endpoint) as channel:
        for requests in ([], [b"1", b"2"]):
            stream = channel.stream_stream(UNARY.path)(iter(requests))
            assert grpc.StatusCode.UNIMPLEMENTED == await stream.code()


@on_every_loop
async def test_a_compressed_message_is_refused_alone() -> None:
    """We say that we understand none; other calls go on."""
    async with echo_server(Calls()) as (_, endpoint), grpcio(endpoint) as channel:
        call = channel.unary_unary(UNARY.path)
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await call(bytes(10_000), compression=grpc.Compression.Gzip)
        assert grpc.StatusCode.UNIMPLEMENTED == failure.value.code()

        assert b"x" == await call(b"x")


@on_every_loop
async def test_a_message_beyond_the_limit_is_refused_alone() -> None:
    """RESOURCE_EXHAUSTED; other calls go on."""
    async with echo_server(Calls()) as (_, endpoint), grpcio(endpoint) as channel:
        call = channel.unary_unary(UNARY.path)
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await call(bytes(37 * MIB))
        assert grpc.StatusCode.RESOURCE_EXHAUSTED == failure.value.code()

        assert b"x" == await call(b"x")


@on_every_loop
async def test_a_method_may_take_only_small_messages() -> None:
    """The limit of the row: what fits comes back, what does not ends the call, at the handler, too."""
    calls = Calls()
    async with echo_server(calls) as (_, endpoint), grpcio(endpoint) as channel:
        stream = channel.stream_stream(SMALL)()
        await stream.write(bytes(1000))
        assert bytes(1000) == await stream.read()
        await stream.write(bytes(1001))

        assert grpc.StatusCode.RESOURCE_EXHAUSTED == await stream.code()
        assert [StatusCode.RESOURCE_EXHAUSTED] == [end.code for end in calls.streams[0].ends]  # type: ignore[attr-defined]


@on_every_loop
async def test_a_client_that_gives_up_ends_what_only_reads() -> None:
    """By the client's deadline and by its cancelling; a write is carried to its end."""
    calls = Calls()
    async with echo_server(calls) as (server, endpoint), grpcio(endpoint) as channel:
        for method in (SLOW_READ, SLOW_WRITE):
            given_up = channel.unary_unary(method.path)(b"")
            await calls.begun.acquire()
            given_up.cancel()
            late = channel.unary_unary(method.path)(b"", timeout=0.1)
            await calls.begun.acquire()
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await late
            assert grpc.StatusCode.DEADLINE_EXCEEDED == failure.value.code()
        assert b"" == await channel.unary_unary(UNARY.path)(b"")
        calls.open.set()
        await server._tasks.wait()

        assert (["read", "read"], ["write", "write"]) == (calls.cancelled, calls.done)


@on_every_loop
async def test_the_deadline_is_kept_without_the_clients_help() -> None:
    """A client that only states its time gets DEADLINE_EXCEEDED from the server."""
    calls = Calls()
    async with echo_server(calls) as (_, endpoint):
        channel = await connect(endpoint, 20)
        for method in (SLOW_READ.path, STREAM):
            collector = Collector()
            stream = channel.open(method, collector, [("grpc-timeout", "100m")])
            stream.send((b"x",))
            if method is not STREAM:
                stream.end()

            assert StatusCode.DEADLINE_EXCEEDED == (await collector.end()).code
        (echo,) = calls.streams
        assert [StatusCode.DEADLINE_EXCEEDED] == [end.code for end in echo.ends]  # type: ignore[attr-defined]
        collector = Collector()
        channel.open(STREAM, collector, [("grpc-timeout", "soon")])
        assert StatusCode.INVALID_ARGUMENT == (await collector.end()).code
        await channel.aclose()


@on_every_loop
async def test_a_handler_is_told_how_its_client_went() -> None:
    """Code 0 for a client that has said all, CANCELLED for one that gave up, UNAVAILABLE for one that is no more."""
    seen: list[Silent] = []

    class Silent:
        """Ends nothing by itself."""

        def __init__(self, stream: MessageStream, _metadata: object) -> None:
            self.stream = stream
            self.ends: list[Status] = []
            self.changed = asyncio.Event()
            seen.append(self)

        def message(self, data: memoryview) -> None:
            self.stream.send((data,))

        def drained(self) -> None:
            pass

        def ended(self, status: Status) -> None:
            self.ends.append(status)
            self.changed.set()

    def make(stream: MessageStream, metadata: Any) -> MessageHandler:
        return Silent(stream, metadata)

    async with echo_server(Calls(make)) as (_, endpoint):
        channel = await connect(endpoint, 20)
        collectors = [Collector() for _ in range(3)]
        streams = [channel.open(STREAM, collector) for collector in collectors]
        for stream, collector in zip(streams, collectors, strict=True):
            stream.send((b"x",))
            await collector.until(lambda it: bool(it.messages))
        streams[0].end()
        streams[1].abort()
        for handler in seen[:2]:
            await asyncio.wait_for(handler.changed.wait(), 20)
            handler.changed.clear()
        await channel.aclose()
        for handler in (seen[0], seen[2]):
            await asyncio.wait_for(handler.changed.wait(), 20)

    assert [[0, 14], [1], [14]] == [[end.code for end in handler.ends] for handler in seen]


@on_every_loop
async def test_a_factory_that_refuses_gives_the_status() -> None:
    """A `DiskError` while a stream is opened is how the call ends."""

    def refuse(_stream: MessageStream, _metadata: Any) -> MessageHandler:
        raise NotFound("no such thing")

    async with echo_server(Calls(refuse)) as (_, endpoint), grpcio(endpoint) as channel:
        stream = channel.stream_stream(STREAM)()

        assert (grpc.StatusCode.NOT_FOUND, "no such thing") == (await stream.code(), await stream.details())


@contextlib.asynccontextmanager
async def bare(endpoint: str) -> AsyncIterator[Any]:
    """Sends one request by HTTP/2 and returns its response's headers."""
    host, _, port = endpoint.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    http2 = Http2Connection(client=True)

    async def ask(headers: Any) -> dict[str, str]:
        number = http2.open_stream(headers)
        http2.send_end(number)
        while True:
            writer.writelines(http2.data_to_send())
            data = await asyncio.wait_for(reader.read(10_000), 20)
            http2.writable()[: len(data)] = data
            for event in http2.filled(len(data)):
                if isinstance(event, HeadersReceived) and event.stream == number:
                    return dict(event.headers)

    try:
        yield ask
    finally:
        writer.close()
        await writer.wait_closed()


@on_every_loop
async def test_what_is_no_call_of_grpc_is_refused_in_http() -> None:
    """Browsers and probes get a status that they understand, and the connection goes on."""
    async with echo_server(Calls()) as (_, endpoint), bare(endpoint) as ask:
        good = dict(request_headers(UNARY.path, endpoint))

        assert "415" == (await ask([*(good | {"content-type": "text/html"}).items()]))[":status"]
        assert "405" == (await ask([*(good | {":method": "GET"}).items()]))[":status"]
        answer = await ask([*(good | {":path": "/none"}).items()])
        assert ("200", "12") == (answer[":status"], answer["grpc-status"])


@on_every_loop
async def test_drain_answers_what_is_in_flight_and_takes_no_more(tmp_path: Path) -> None:
    """Calls of foreign clients are answered, the socket file goes, and nobody can connect any more."""
    calls = Calls()
    path = tmp_path / "s"
    async with echo_server(calls, [f"unix:{path}"]) as (server, endpoint), grpcio(endpoint) as channel:
        slow = channel.unary_unary(SLOW_READ.path)(b"kept")
        await calls.begun.acquire()
        draining = asyncio.create_task(server.drain(20))
        while path.exists():
            await asyncio.wait([asyncio.create_task(asyncio.to_thread(lambda: None))])
        calls.open.set()

        assert b"kept" == await slow
        await draining
        assert not server._connections


@on_every_loop
async def test_a_call_that_was_sent_before_the_client_knew_is_answered() -> None:
    """A server that drains does not hang up before the client has heard of it (RFC 9113, section 6.8)."""
    async with echo_server(Calls()) as (server, endpoint):
        host, _, port = endpoint.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        http2 = Http2Connection(client=True)

        async def receive() -> list[Any]:
            data = await asyncio.wait_for(reader.read(10_000), 20)
            http2.writable()[: len(data)] = data
            events = http2.filled(len(data))
            writer.writelines(http2.data_to_send())
            return events

        writer.writelines(http2.data_to_send())
        while not any(isinstance(event, SettingsReceived) for event in await receive()):
            pass
        draining = asyncio.create_task(server.drain(20))
        farewell = b""
        while GOODBYE not in farewell:
            farewell += await asyncio.wait_for(reader.read(10_000), 20)
        number = http2.open_stream(request_headers(UNARY.path, endpoint))
        http2.send_message(number, (b"x",))
        http2.send_end(number)
        writer.writelines(http2.data_to_send())
        http2.writable()[: len(farewell)] = farewell
        assert any(isinstance(event, GoAwayReceived) for event in http2.filled(len(farewell)))

        while not any(isinstance(event, MessageReceived) for event in await receive()):
            pass
        writer.close()
        await writer.wait_closed()
        await draining


@on_every_loop
async def test_drain_does_not_wait_for_ever() -> None:
    """What is not done in time is cancelled, and its client told; streams end, too."""
    calls = Calls()
    async with echo_server(calls) as (server, endpoint), grpcio(endpoint) as channel:
        slow = channel.unary_unary(SLOW_WRITE.path)(b"")
        stream = channel.stream_stream(STREAM)()
        await stream.write(b"x")
        assert b"x" == await stream.read()
        await calls.begun.acquire()
        await server.drain(0.1)

        for call in (slow, stream):
            assert grpc.StatusCode.UNAVAILABLE == await call.code()
            assert "ask again when it runs" in await call.details()
        assert ["write"] == calls.cancelled
        assert not len(server._tasks)


@on_every_loop
async def test_a_server_that_cannot_listen_everywhere_listens_nowhere(tmp_path: Path) -> None:
    """The address that was free is free again."""
    async with echo_server(Calls()) as (_, endpoint):
        second = GrpcServer(Exports(MemoryStore()), [f"unix:{tmp_path}/s", endpoint])
        with pytest.raises(Busy):
            await second.start()

        assert not (tmp_path / "s").exists()


@on_every_loop
async def test_health_is_watched_until_the_server_stops() -> None:
    """Watch says SERVING, then NOT_SERVING; an unknown service is said to be so, and is NOT_FOUND for Check."""
    response = health_pb2.HealthCheckResponse
    async with echo_server(Calls()) as (server, endpoint), grpcio(endpoint) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        watch = health.Watch(health_pb2.HealthCheckRequest(service="g2disk.v1.Disk"))
        unknown = health.Watch(health_pb2.HealthCheckRequest(service="none"))
        assert response.SERVING == (await watch.read()).status
        assert response.SERVICE_UNKNOWN == (await unknown.read()).status
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await health.Check(health_pb2.HealthCheckRequest(service="none"))
        assert grpc.StatusCode.NOT_FOUND == failure.value.code()
        unknown.cancel()
        nonsense = channel.stream_stream("/grpc.health.v1.Health/Watch")(iter([b"\xff"]))
        assert grpc.StatusCode.DATA_LOSS == await nonsense.code()
        draining = asyncio.create_task(server.drain(20))

        assert response.NOT_SERVING == (await watch.read()).status
        assert grpc.StatusCode.UNAVAILABLE == await watch.code()
        await draining


@on_every_loop
@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_reflection_describes_every_service_it_lists(version: str) -> None:
    """Each listed service's file comes, with what it imports; what is not there is an error in the answer."""
    request = reflection_pb2.ServerReflectionRequest
    async with echo_server(Calls()) as (_, endpoint), grpcio(endpoint) as channel:
        stream = channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=request.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )()

        async def ask(**what: str) -> Any:
            await stream.write(request(**what))
            return await stream.read()

        listed = [service.name for service in (await ask(list_services="")).list_services_response.service]
        assert 6 == len(listed)
        for name in listed:
            found = (await ask(file_containing_symbol=name)).file_descriptor_response.file_descriptor_proto
            assert any(name.rpartition(".")[2].encode() in file for file in found), name
        assert (await ask(file_by_filename="g2disk/v1/disk.proto")).file_descriptor_response.file_descriptor_proto
        numbers = await ask(all_extension_numbers_of_type="google.protobuf.MethodOptions")
        assert "google.protobuf.MethodOptions" == numbers.all_extension_numbers_response.base_type_name
        for nothing in ({"file_by_filename": "none"}, {"file_containing_symbol": "none"}, {}):
            assert StatusCode.NOT_FOUND == (await ask(**nothing)).error_response.error_code
        await stream.done_writing()
        assert grpc.StatusCode.OK == await stream.code()


@on_every_loop
async def test_a_client_that_reads_nothing_holds_up_only_itself() -> None:
    """Its replies stop being made when 64 MiB of them wait; another client is served meanwhile, and it gets all in the
    end.
    """
    calls = Calls()
    async with echo_server(calls) as (server, endpoint):
        greedy = await connect(endpoint, 20)
        assert greedy._transport is not None
        await greedy.unary(UNARY.path, b"", 20)
        greedy._transport.pause_reading()
        sent = [asyncio.create_task(greedy.unary(LARGE.path, b"%d" % (4 * MIB), 50)) for _ in range(40)]
        (connection,) = server._connections
        other = await connect(endpoint, 20)
        while connection._bounds._reply_bytes <= 60 * MIB:
            assert isinstance(await other.unary(UNARY.path, b"x", 20), memoryview)
        for _ in range(100):
            assert isinstance(await other.unary(UNARY.path, b"x", 20), memoryview)
        await other.aclose()
        assert connection._bounds._reply_bytes <= 68 * MIB
        assert not any(task.done() for task in sent)
        greedy._transport.resume_reading()

        for reply in await asyncio.gather(*sent):
            assert isinstance(reply, memoryview)
            assert 4 * MIB == len(reply)
        await greedy.aclose()
