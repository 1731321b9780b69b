"""One stream of a `Session`, from its opening to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from g2disk.clock import Clock
from g2disk.disk import Buffer
from g2disk.errors import DiskError
from g2disk.remote.session_codec import NOT_BEGUN, SESSION_PATH
from g2disk.remote.stream import MessageHandler, MessageStream, Status


class Listener(Protocol):
    """Who the messages are for, once the session is open."""

    def message(self, data: memoryview) -> None:
        """A message came."""

    def broken(self, error: DiskError, not_begun: bool) -> None:
        """The stream ended, for this reason; with `not_begun`, nothing was done of what was not answered."""


class Opener(Protocol):
    """What a session needs of a `Connection`."""

    @property
    def endpoint(self) -> str:
        """Of the server, for people."""

    @property
    def timeout(self) -> float:
        """Seconds that a request may wait; infinite: for ever."""

    @property
    def clock(self) -> Clock:
        """Time."""

    async def stream(self, path: str, handler: MessageHandler, *, wait: bool) -> MessageStream:
        """See `Connection.stream`."""

    def error(self, status: Status, what: str) -> DiskError:
        """See `Connection.error`."""


class SessionStream:
    """A `MessageHandler`.  Its first message is for `first`, all later ones are for the listener."""

    def __init__(self, listener: Listener, connection: Opener) -> None:
        self._listener = listener
        self._connection = connection
        self._stream: MessageStream | None = None
        self._over = False
        self._first: asyncio.Future[memoryview] = asyncio.get_running_loop().create_future()
        self._begun = False
        """The listener is to be told."""
        self._early: list[memoryview] = []
        """Messages that came right behind the first."""
        self._failure: DiskError | None = None

    async def connect(self, wait: bool) -> None:
        """Open the stream; see `Connection.stream`."""
        self._stream = await self._connection.stream(SESSION_PATH, self, wait=wait)

    async def first(self) -> memoryview:
        """The first message.  Raises what the server ended the stream with instead."""
        return await self._first

    def begin(self) -> None:
        """Tell the listener of all that comes now.  Raises what has ended the stream meanwhile."""
        if self._failure is not None:
            raise self._failure
        self._begun = True
        if self._early:
            asyncio.get_running_loop().call_soon(self._catch_up)

    def _catch_up(self) -> None:
        early, self._early = self._early, []
        for data in early:
            if not self._over:
                self._listener.message(data)

    def send(self, parts: Sequence[Buffer]) -> None:
        """See `MessageStream.send`."""
        if self._stream is not None and not self._over:
            self._stream.send(parts)

    def abort(self) -> None:
        """End the stream; nothing is reported any more."""
        if self._stream is not None and not self._over:
            self._over = True
            self._stream.abort()
        self._over = True

    def message(self, data: memoryview) -> None:
        """See `MessageHandler`."""
        if self._over:
            return
        if not self._first.done():
            self._first.set_result(data)
        elif self._begun and not self._early:
            self._listener.message(data)
        else:
            self._early.append(data)

    def drained(self) -> None:
        """See `MessageHandler`."""

    def ended(self, status: Status) -> None:
        """See `MessageHandler`."""
        if not self._over:
            self._end(status)

    def _end(self, status: Status) -> None:
        self._over = True
        self._failure = self._connection.error(status, "Session")
        if not self._first.done():
            self._first.set_exception(self._failure)
        elif self._begun:
            self._listener.broken(self._failure, status.trailers.get(NOT_BEGUN[0]) == NOT_BEGUN[1])
