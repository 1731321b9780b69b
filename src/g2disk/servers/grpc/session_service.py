"""The Session call of g2disk.v1.Disk: all sessions of a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from g2disk.remote.stream import MessageHandler, MessageStream
from g2disk.servers.exports import Exports
from g2disk.servers.grpc.session import ServerSession
from g2disk.servers.grpc.session_shared import Attempts, Budget, Limits, Shared


class Sessions:
    """Made by `session_service`."""

    def __init__(self, exports: Exports, limits: Limits, tasks: asyncio.TaskGroup) -> None:
        budget = Budget(limits.all_data)
        self._shared = Shared(exports, limits, Attempts(), budget, tasks.create_task)
        self._open: set[ServerSession] = set()
        self._draining = False

    def open(self, stream: MessageStream, metadata: Mapping[str, str]) -> MessageHandler:
        """The handler of a new stream."""
        session = ServerSession(stream, self._shared, self._open.discard)
        self._open.add(session)
        if self._draining:
            session.drain()
        return session

    def changed(self, name: str) -> None:
        """The disk of that name may be another by now than its sessions were told."""
        for session in list(self._open):
            session.changed(name)

    def drain(self) -> None:
        """Let every session end as soon as nothing of it is in flight."""
        self._draining = True
        for session in list(self._open):
            session.drain()

    async def over(self) -> None:
        """Return when no session is left."""
        while self._open:
            await next(iter(self._open)).finished()


@asynccontextmanager
async def session_service(exports: Exports, limits: Limits | None = None) -> AsyncIterator[Sessions]:
    """The sessions of a server, which owns all their tasks.

    Leaving it drains: it takes as long as what is in flight takes.  Cancelling it then cancels what can be cancelled.
    """
    async with asyncio.TaskGroup() as tasks:
        sessions = Sessions(exports, limits or Limits(), tasks)
        exports.watchers.add(sessions.changed)
        try:
            yield sessions
        finally:
            exports.watchers.discard(sessions.changed)
            sessions.drain()
            await sessions.over()
