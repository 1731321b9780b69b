"""`NbdServer`, the NBD server's life: listen, answer, drain."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any
from urllib.parse import quote

from g2disk.clock import Clock, SystemClock
from g2disk.servers.listening import forget_path, listen
from g2disk.servers.nbd.busy_poll import BusyPoll
from g2disk.servers.nbd.connection import Connection
from g2disk.servers.nbd.exports import NbdExports


class NbdServer:
    """Serves `exports` on every address of `addresses` (HOST:PORT, port 0 for a free one, or unix:PATH)."""

    def __init__(self, exports: NbdExports, addresses: Sequence[str], clock: Clock | None = None) -> None:
        self._exports = exports
        self._asked = addresses
        self._clock = clock or SystemClock()
        self._poll: BusyPoll
        self._addresses: list[str] = []
        self._listeners: list[asyncio.Server] = []
        self._connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._stopping = False

    async def start(self) -> list[str]:
        """Listen, and return the addresses as a client would give them.  Raises `Busy`, `Denied`, `Invalid`."""
        loop = asyncio.get_running_loop()
        self._poll = BusyPoll(loop.call_soon, self._clock)
        for asked in self._asked:
            sockets, address = listen(asked)
            self._addresses.append(address)
            serve = loop.create_unix_server if address.startswith("unix:") else loop.create_server
            for listening in sockets:
                self._listeners.append(await serve(self._connection, sock=listening))
        return self._addresses

    async def drain(self, seconds: float, give_up: Callable[[], Awaitable[None]] | None = None) -> None:
        """Take no more clients and requests, answer what is in flight for up to `seconds`, then end.

        `give_up` makes the disks fail what they still have; without it that is waited for.
        """
        self._stopping = True
        for listener in self._listeners:
            listener.close()
        for address in self._addresses:
            forget_path(address)
        for connection in list(self._connections):
            connection.drain()
        try:
            async with asyncio.timeout(seconds):
                await self._empty()
        except TimeoutError:
            for connection in list(self._connections):
                connection.abort()
            for task in self._tasks:
                task.cancel()
            if give_up is not None:
                await give_up()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _empty(self) -> None:
        while self._connections or self._tasks:
            self._idle.clear()
            await self._idle.wait()

    def _connection(self) -> Connection:
        connection = Connection(self._exports, self._start, self._gone, self._poll)
        self._connections.add(connection)
        if self._stopping:  # accepted before the listener was closed
            connection.drain()
        return connection

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._idle.set()

    def _gone(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._idle.set()


def nbd_uri(address: str, export: str = "") -> str:
    """The NBD URI of an export at an address as `NbdServer.start` gives it (NBD URI specification)."""
    path = f"/{quote(export, safe='')}" if export else ""
    if address.startswith("unix:"):
        return f"nbd+unix://{path or '/'}?socket={quote(address.removeprefix('unix:'))}"
    return f"nbd://{address}{path}"
