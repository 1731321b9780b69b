"""Streams of messages in memory: what a gRPC connection does for the two ends of a Session, without the connection."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from g2disk.disk import Buffer
from g2disk.errors import Unavailable
from g2disk.remote.connection import Connection
from g2disk.remote.session_codec import SESSION_PATH
from g2disk.remote.stream import MessageHandler, MessageStream, Status

Serve = Callable[[MessageStream, Mapping[str, str]], MessageHandler]
GONE = Status(14, "the wire was cut")


class End:
    """One end's `MessageStream`.  What is sent waits while the other end pauses, and is joined when it leaves."""

    def __init__(self) -> None:
        self.peer: End
        self.handler: MessageHandler
        self.over = False
        """Nothing more is reported to this end's handler, nor sent by it."""
        self.paused = False
        """This end does not want to receive."""
        self.messages: list[bytes] = []
        """All that left from this end."""
        self._queue: deque[Sequence[Buffer] | Status] = deque()
        self._scheduled = False
        self._loop = asyncio.get_running_loop()

    def send(self, parts: Sequence[Buffer]) -> None:
        if not self.over:
            self._put(parts)

    @property
    def unsent(self) -> int:
        return sum(sum(map(len, item)) for item in self._queue if not isinstance(item, Status))

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False
        self.peer._schedule()

    def end(self, status: Status | None = None) -> None:
        if not self.over:
            self._put(status or Status(0))

    def abort(self) -> None:
        self.over = True
        self._queue.clear()
        self.peer._put_now(Status(1, "the other end has gone"))

    def cut(self, status: Status = GONE) -> None:
        """Break the connection: neither end gets anything more."""
        for end in (self, self.peer):
            end._queue.clear()
            if not end.over:
                end.over = True
                end.handler.ended(status)

    def _put(self, item: Sequence[Buffer] | Status) -> None:
        self._queue.append(item)
        self._schedule()

    def _put_now(self, status: Status) -> None:
        if not self.over:
            self.over = True
            self._loop.call_soon(self.handler.ended, status)

    def _schedule(self) -> None:
        if self._queue and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        self._scheduled = False
        had = bool(self._queue)
        while self._queue and not self.peer.paused and not self.peer.over:
            item = self._queue.popleft()
            if isinstance(item, Status):
                self._ended(item)
            else:
                whole = b"".join(item)
                self.messages.append(whole)
                self.peer.handler.message(memoryview(whole))
        if self.peer.over:
            self._queue.clear()
        if had and not self._queue and not self.over:
            self.handler.drained()

    def _ended(self, status: Status) -> None:
        raise NotImplementedError


class ClientEnd(End):
    def _ended(self, status: Status) -> None:
        self.peer.handler.ended(status)


class ServerEnd(End):
    def _ended(self, status: Status) -> None:
        self.over = self.peer.over = True
        self.peer.handler.ended(status)


class Streams(Connection):
    """A connection without a network."""

    def __init__(self, serve: Serve | None) -> None:
        super().__init__("unix:memory", 20)
        self.serve = serve
        """None: the server is away."""
        self.opened: list[ClientEnd] = []
        """The client's end of every stream, in order."""
        self.tries = 0

    async def stream(self, path: str, handler: MessageHandler, *, wait: bool = True) -> MessageStream:
        assert path == SESSION_PATH
        self.tries += 1
        if self.serve is None:
            raise Unavailable(f"cannot reach {self.endpoint}: it is away")
        return self.connect(handler)

    def connect(self, handler: MessageHandler) -> ClientEnd:
        assert self.serve is not None
        client, server = ClientEnd(), ServerEnd()
        client.peer, server.peer = server, client
        client.handler = handler
        server.handler = self.serve(server, {})
        self.opened.append(client)
        return client
