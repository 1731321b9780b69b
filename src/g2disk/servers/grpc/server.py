"""`GrpcServer`, the target server's life: listen, answer, drain."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from g2disk.remote import methods
from g2disk.remote.session_codec import SESSION_PATH
from g2disk.servers.exports import Exports
from g2disk.servers.grpc.catalogue_service import catalogue_service
from g2disk.servers.grpc.connection import ServerConnection
from g2disk.servers.grpc.disk_service import disk_service
from g2disk.servers.grpc.handlers import Row, StreamRow
from g2disk.servers.grpc.health_service import HEALTH, Health
from g2disk.servers.grpc.reference_service import reference_service
from g2disk.servers.grpc.reflection_service import REFLECTION, reflection_service
from g2disk.servers.grpc.session_service import session_service
from g2disk.servers.grpc.session_shared import Limits
from g2disk.servers.grpc.tasks import Tasks
from g2disk.servers.listening import forget_path, listen
from g2disk.units import KIB

_SERVICES = (methods.DISK, methods.CATALOGUE, methods.REFERENCE)

_SESSION_MESSAGE = Limits().message + 64 * KIB
"""Bytes; a little more than is agreed, so that a client hears from the session what it did wrong."""

_BACKLOG = 4096
"""Clients that may wait for `accept`."""

_LINGER = 1.0
"""Seconds that clients get to close their end of the connection, after the last answer has been sent."""


class GrpcServer:
    """Serves `exports` on every address of `listen` (HOST:PORT, port 0 for a free one, or unix:PATH).

    `rows` are further methods.
    """

    def __init__(self, exports: Exports, listen: Sequence[str], rows: Sequence[Row] = ()) -> None:
        self._listen = listen
        self._health = Health(_SERVICES)
        every = [
            *disk_service(exports),
            *catalogue_service(exports),
            *reference_service(exports),
            *self._health.rows(),
            *reflection_service((*_SERVICES, HEALTH, *REFLECTION)),
            *rows,
        ]
        self._rows: dict[str, Row] = {row.path: row for row in every}
        self._exports = exports
        self._sessions = contextlib.AsyncExitStack()
        self._tasks = Tasks()
        self._connections: set[ServerConnection] = set()
        self._listeners: list[asyncio.Server] = []
        self._addresses: list[str] = []

    async def start(self) -> list[str]:
        """Listen, and return the addresses as a client would give them.  Raises `Busy`, `Denied`, `Invalid`."""
        sessions = await self._sessions.enter_async_context(session_service(self._exports))
        self._rows[SESSION_PATH] = StreamRow(SESSION_PATH, sessions.open, _SESSION_MESSAGE, sessions.drain)
        try:
            for address in self._listen:
                await self._start_on(address)
        except BaseException:
            await self.drain(0)
            raise
        return self._addresses

    async def drain(self, seconds: float) -> None:
        """Take no more requests, let those in flight finish for up to `seconds`, then end."""
        for listener in self._listeners:
            listener.close()
        for address in self._addresses:
            forget_path(address)
        for row in self._rows.values():
            if isinstance(row, StreamRow):
                row.drain()
        connections = list(self._connections)
        for connection in connections:
            connection.drain()
        await self._finish(connections, seconds)

    async def _start_on(self, asked: str) -> None:
        loop = asyncio.get_running_loop()
        sockets, address = listen(asked)
        self._addresses.append(address)
        serve = loop.create_unix_server if address.startswith("unix:") else loop.create_server
        for listening in sockets:
            self._listeners.append(await serve(self._connect, sock=listening, backlog=_BACKLOG))

    async def _finish(self, connections: Sequence[ServerConnection], seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._sessions.aclose()
                for connection in connections:
                    await asyncio.wait([connection.idle])
                await self._tasks.wait()
        await self._tasks.finish()
        for connection in connections:
            connection.stop()
        lost = [connection.lost for connection in connections]
        if lost:
            await asyncio.wait(lost, timeout=_LINGER)
            for connection in connections:
                connection.abort()
            await asyncio.wait(lost)
        for listener in self._listeners:
            await listener.wait_closed()

    def _connect(self) -> ServerConnection:
        connection = ServerConnection(self._rows, self._tasks, self._connections.discard)
        self._connections.add(connection)
        return connection
