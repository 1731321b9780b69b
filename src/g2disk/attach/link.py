"""The sockets between the kernel's nbd device and this process, which answers on them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from typing import Any

from g2disk.clock import Clock
from g2disk.disk import Disk
from g2disk.nbd.export import Export
from g2disk.servers.nbd.busy_poll import BusyPoll
from g2disk.servers.nbd.connection import Connection
from g2disk.servers.nbd.unheard import Unheard

_BUFFER = 1 << 20
"""Bytes that a socket holds: several of the kernel's usual requests of 128 KiB."""


class Pair:
    """Two sockets that are connected with each other: one for the kernel, one for us."""

    def __init__(self) -> None:
        self.ours, self.kernels = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        for each in (self.ours, self.kernels):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        self.ours.setblocking(False)

    def hand_over(self) -> bool:
        """Let go of the kernel's end, which it was told of; whether it took it."""
        self.kernels.close()
        try:
            return self.ours.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            return True

    def close(self) -> None:
        """Let go of both ends."""
        self.kernels.close()
        self.ours.close()


class Link:
    """One socket on which the kernel is answered."""

    def __init__(self) -> None:
        self.settled = asyncio.Event()
        """Set when the socket is lost, and every request that came on it was answered by the disk."""


class Transmission:
    """Answers the kernel, on any number of sockets, with one disk."""

    def __init__(self, disk: Disk, export: Export, clock: Clock, *, insists: bool) -> None:
        """`disk` checks its requests; see `g2disk.disk.layers.Checked`.  The kernel `insists` when it never fails a
        request by itself: a tag is used again only when it was answered.
        """
        self._disk, self._export = disk, export
        self._poll = BusyPoll(asyncio.get_running_loop().call_soon, clock)
        self._links: dict[Connection, Link] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._unheard = Unheard() if insists else None

    async def answer_on(self, ours: socket.socket) -> Link:
        """Answer what comes on a socket, from now on."""
        link = Link()

        def connection() -> Connection:
            made = Connection(None, self._start, self._gone, self._poll, (self._export, self._disk), self._unheard)
            self._links[made] = link
            return made

        await asyncio.get_running_loop().create_unix_connection(connection, sock=ours)
        return link

    async def drain(self, seconds: float) -> bool:
        """Take no more requests, and answer those under way, for up to `seconds`; whether all were answered."""
        for connection in list(self._links):
            connection.drain()
        try:
            async with asyncio.timeout(seconds):
                while self._links or self._tasks:
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def cut(self) -> None:
        """Let the kernel hear nothing more: it sends what is under way again, to the next daemon."""
        for connection in list(self._links):
            connection.abort()
        loop = asyncio.get_running_loop()
        learnt = loop.create_future()
        loop.call_soon(learnt.set_result, None)  # behind what tells the connections
        await learnt

    async def end(self) -> None:
        """Give up what is under way."""
        await self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in list(self._links):
            self._gone(connection)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._idle.set()

    def _gone(self, connection: Connection) -> None:
        link = self._links.pop(connection, None)
        if link is not None:
            link.settled.set()
        self._idle.set()
