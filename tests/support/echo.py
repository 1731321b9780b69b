"""A gRPC server of ours with methods for tests, and a handler that collects what a client receives."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

from g2disk.errors import OutOfSpace
from g2disk.remote.methods import Method
from g2disk.remote.stream import MessageHandler, MessageStream, Status
from g2disk.servers.exports import Exports
from g2disk.servers.grpc.handlers import Row, StreamRow, row
from g2disk.servers.grpc.server import GrpcServer
from g2disk.stores.memory import MemoryStore

STREAM = "/test.Echo/Stream"
SMALL = "/test.Echo/Small"
"""The same, with messages of at most 1000 bytes."""


def method(name: str) -> Method[bytes, bytes]:
    """A unary method of bytes."""
    return Method("test.Echo", name, bytes, bytes, bytes, bytes)


UNARY, LARGE, FULL = method("Unary"), method("Large"), method("Full")
SLOW_READ, SLOW_WRITE = method("SlowRead"), method("SlowWrite")


class Echo:
    """A `MessageHandler` that sends back what comes, and ends when the client does."""

    def __init__(self, stream: MessageStream, metadata: Mapping[str, str]) -> None:
        self.stream, self.metadata = stream, metadata
        self.ends: list[Status] = []
        self.drains = 0

    def message(self, data: memoryview) -> None:
        self.stream.send((data[: len(data) // 2], data[len(data) // 2 :]))

    def drained(self) -> None:
        self.drains += 1

    def ended(self, status: Status) -> None:
        self.ends.append(status)
        if status.code == 0:
            self.stream.end(Status(0, "bye", {"echo": "done"}))


class Calls:
    """The rows, and what happened in them."""

    def __init__(self, handler: Callable[[MessageStream, Mapping[str, str]], MessageHandler] = Echo) -> None:
        self._handler = handler
        self.open = asyncio.Event()
        """Slow calls go on when it is set."""
        self.begun = asyncio.Semaphore(0)
        self.done: list[str] = []
        self.cancelled: list[str] = []
        self.streams: list[MessageHandler] = []

    def rows(self) -> list[Row]:
        return [
            row(UNARY, self._echo),
            row(SLOW_READ, self._slow("read")),
            row(SLOW_WRITE, self._slow("write"), carried_through=True),
            row(FULL, self._full),
            row(LARGE, self._large),
            StreamRow(STREAM, self._stream),
            StreamRow(SMALL, self._stream, largest=1000),
        ]

    def _stream(self, stream: MessageStream, metadata: Mapping[str, str]) -> MessageHandler:
        handler = self._handler(stream, metadata)
        self.streams.append(handler)
        return handler

    @staticmethod
    async def _echo(request: bytes) -> bytes:
        return request

    @staticmethod
    async def _large(request: bytes) -> bytes:
        return bytes(int(request))

    @staticmethod
    async def _full(_request: bytes) -> bytes:
        raise OutOfSpace("the store is full; make room: 100% ä")

    def _slow(self, name: str) -> Callable[[bytes], Awaitable[bytes]]:
        async def answer(request: bytes) -> bytes:
            self.begun.release()
            try:
                await self.open.wait()
            except asyncio.CancelledError:
                self.cancelled.append(name)
                raise
            self.done.append(name)
            return request

        return answer


@contextlib.asynccontextmanager
async def echo_server(calls: Calls, listen: Sequence[str] = ("127.0.0.1:0",)) -> AsyncIterator[tuple[GrpcServer, str]]:
    """The running server, and its first address."""
    server = GrpcServer(Exports(MemoryStore()), listen, calls.rows())
    try:
        yield server, (await server.start())[0]
    finally:
        await server.drain(0)


class Collector:
    """A client's `MessageHandler` that keeps what comes."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.status: Status | None = None
        self.news = asyncio.Event()
        self.empty = asyncio.Event()

    def message(self, data: memoryview) -> None:
        self.messages.append(bytes(data))
        self.news.set()

    def drained(self) -> None:
        self.empty.set()

    def ended(self, status: Status) -> None:
        assert self.status is None
        self.status = status
        self.news.set()

    async def until(self, condition: Callable[[Collector], bool]) -> None:
        """Wait until what came meets the condition."""
        while not condition(self):
            self.news.clear()
            await asyncio.wait_for(self.news.wait(), 20)

    async def end(self) -> Status:
        """How the call ended."""
        await self.until(lambda collector: collector.status is not None)
        assert self.status is not None
        return self.status
