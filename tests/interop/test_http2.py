"""Our HTTP/2 against grpcio's, in both roles, over TCP."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from g2disk.http2.events import Event, StreamReset
from g2disk.units import KIB, MIB
from tests.interop.blocking_http2 import connected, echo_server

SIZES = [0, 1, 11, 16 * KIB, 100 * KIB, MIB, 5 * MIB, 20 * MIB]
NO_LIMITS = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
LARGE_FRAMES = (("grpc.http2.max_frame_size", 4 * MIB), ("grpc.http2.lookahead_bytes", 16 * MIB))


def bodies() -> list[bytes]:
    """Messages of every size, in an order that mixes them."""
    choices = random.Random(7)
    made = [choices.randbytes(size) for size in SIZES]
    choices.shuffle(made)
    return made


@contextmanager
def channel(address: str, *options: tuple[str, Any]) -> Iterator[Any]:
    """grpcio's client."""
    with grpc.insecure_channel(address, (*NO_LIMITS, *options)) as opened:
        yield opened


@contextmanager
def grpcio_server(*options: tuple[str, Any]) -> Iterator[str]:
    """The address of a server of grpcio that echoes."""

    def refuse(_request: bytes, context: grpc.ServicerContext) -> bytes:
        context.set_trailing_metadata((("key", "value"),))
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not now")

    handlers: dict[str, Any] = {
        "Unary": grpc.unary_unary_rpc_method_handler(lambda request, _: request),
        "Stream": grpc.stream_stream_rpc_method_handler(lambda requests, _: requests),
        "Refuse": grpc.unary_unary_rpc_method_handler(refuse),
    }
    server = grpc.server(ThreadPoolExecutor(4), options=(*NO_LIMITS, *options))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


@pytest.mark.parametrize("options", [(), LARGE_FRAMES])
def test_a_grpcio_client_makes_unary_calls(options: tuple[tuple[str, Any], ...]) -> None:
    """Messages of 0 bytes to 20 MiB there and back, one connection."""
    seen: list[Event] = []
    with echo_server(seen) as address, channel(address, *options) as opened:
        unary = opened.unary_unary("/test.Echo/Unary")
        for body in bodies():
            assert body == unary(body, timeout=30)


@pytest.mark.parametrize("options", [(), LARGE_FRAMES])
def test_a_grpcio_client_streams(options: tuple[tuple[str, Any], ...]) -> None:
    """Messages of 0 bytes to 20 MiB there and back, one call."""
    seen: list[Event] = []
    with echo_server(seen) as address, channel(address, *options) as opened:
        assert bodies() == list(opened.stream_stream("/test.Echo/Stream")(iter(bodies()), timeout=30))


def test_a_grpcio_client_reads_our_errors() -> None:
    """Status, message and metadata of an answer without messages."""
    seen: list[Event] = []
    with echo_server(seen) as address, channel(address) as opened:
        with pytest.raises(grpc.RpcError) as caught:
            opened.unary_unary("/test.Echo/Refuse")(b"", timeout=30)

    assert grpc.StatusCode.FAILED_PRECONDITION == caught.value.code()
    assert "not now" == caught.value.details()
    trailers: Any = caught.value.trailing_metadata()
    assert ("key", "value") in trailers


def test_a_grpcio_client_that_compresses_is_told_not_to() -> None:
    """UNIMPLEMENTED, on that call alone."""
    seen: list[Event] = []
    with echo_server(seen) as address, channel(address) as opened:
        unary = opened.unary_unary("/test.Echo/Unary")
        with pytest.raises(grpc.RpcError) as caught:
            unary(bytes(MIB), timeout=30, compression=grpc.Compression.Gzip)
        assert grpc.StatusCode.UNIMPLEMENTED == caught.value.code()
        assert b"plain" == unary(b"plain", timeout=30)


def test_a_message_that_is_too_large_is_told_to_a_grpcio_client() -> None:
    """RESOURCE_EXHAUSTED while it still sends, on that call alone."""
    seen: list[Event] = []
    with echo_server(seen) as address, channel(address) as opened:
        unary = opened.unary_unary("/test.Echo/Unary")
        with pytest.raises(grpc.RpcError) as caught:
            unary(bytes(40 * MIB), timeout=30)
        assert grpc.StatusCode.RESOURCE_EXHAUSTED == caught.value.code()
        assert "send smaller pieces" in str(caught.value.details())
        assert b"small" == unary(b"small", timeout=30)


def test_a_grpcio_client_cancels() -> None:
    """Its call is reset, and the next one is fine."""
    seen: list[Event] = []
    with echo_server(seen) as address, channel(address) as opened:
        call = opened.stream_stream("/test.Echo/Stream")(iter([b"once"]), timeout=30)
        endless = opened.stream_stream("/test.Echo/Stream")(_never_ending(), timeout=30)
        assert [b"once"] == list(call)
        assert b"more" == next(endless)
        endless.cancel()
        assert b"x" == opened.unary_unary("/test.Echo/Unary")(b"x", timeout=30)

    assert 1 == sum(isinstance(event, StreamReset) for event in seen)


def _never_ending() -> Iterator[bytes]:
    while True:
        yield b"more"


@pytest.mark.parametrize("options", [(), LARGE_FRAMES])
@pytest.mark.parametrize("path", ["/test.Echo/Unary", "/test.Echo/Stream"])
def test_we_call_a_grpcio_server(path: str, options: tuple[tuple[str, Any], ...]) -> None:
    """Messages of 0 bytes to 20 MiB there and back, one call each, over one connection."""
    with grpcio_server(*options) as address, connected(address) as client:
        for body in bodies():
            received, trailers = client.call(path, [body])
            assert [body] == received
            assert "0" == trailers["grpc-status"]


def test_we_stream_to_a_grpcio_server() -> None:
    """Many messages in one call."""
    with grpcio_server() as address, connected(address) as client:
        received, trailers = client.call("/test.Echo/Stream", bodies())

    assert bodies() == received
    assert "0" == trailers["grpc-status"]


def test_we_read_a_grpcio_servers_errors() -> None:
    """Status, message and metadata; and an unknown method."""
    with grpcio_server() as address, connected(address) as client:
        received, trailers = client.call("/test.Echo/Refuse", [b""])
        assert [] == received
        assert ("9", "not now", "value") == (trailers["grpc-status"], trailers["grpc-message"], trailers["key"])
        assert "12" == client.call("/test.Echo/Nothing", [b""])[1]["grpc-status"]
