"""`Proxy`, between a client and a target server: forwards bytes, and cuts, holds back and delivers them late.

It knows nothing of what the bytes mean.  One event loop; buffers grow with what one round sends.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

from g2disk.disk import Buffer


class _End(asyncio.Protocol):
    """One end of a relayed connection: hands on what comes from its socket, and keeps what cannot be sent yet."""

    def __init__(self) -> None:
        self.peer: _End | None = None
        self.holding = False
        """Keep what is to be sent to this end's socket."""
        self._transport: asyncio.Transport | None = None
        self._kept: list[Buffer] = []
        self._ended = False
        """The peer sent all that it had."""
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one without being a subclass
        if self.lost:
            self._transport.abort()
        elif not self.holding:
            self.release()

    def data_received(self, data: bytes) -> None:
        if self.peer is not None:
            self.peer.send(data)

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        if self.peer is not None:
            self.peer.finish()

    def send(self, data: Buffer) -> None:
        """Send, now or when nothing is in the way any more."""
        if self.holding or self._transport is None:
            self._kept.append(data)
        elif not self._transport.is_closing():
            self._transport.write(data)

    def finish(self) -> None:
        """Close, once all was sent."""
        self._ended = True
        if not self.holding and self._transport is not None:
            self._transport.close()

    def release(self) -> None:
        """Send what was kept."""
        self.holding = False
        kept, self._kept = self._kept, []
        for data in kept:
            self.send(data)
        if self._ended:
            self.finish()

    def abort(self) -> None:
        """Close at once."""
        self.lost = True
        self._kept.clear()
        if self._transport is not None:
            self._transport.abort()


class _Relay:
    """One connection of a client, and that to the server for it."""

    def __init__(self) -> None:
        self.client, self.server = _End(), _End()
        self.client.peer, self.server.peer = self.server, self.client

    @property
    def over(self) -> bool:
        return self.client.lost and self.server.lost

    def cut(self) -> None:
        """The client's side breaks; the server's too, unless bytes for it are held back."""
        self.client.peer = None
        self.server.peer = None
        self.client.abort()
        if not self.server.holding:
            self.server.abort()


class Proxy:
    """Made by `proxy`; listens at `endpoint`."""

    def __init__(self, path: Path, upstream: str, tasks: asyncio.TaskGroup) -> None:
        self.endpoint = f"unix:{path}"
        self.upstream = upstream
        self._tasks = tasks
        self._ended = False
        self._relays: list[_Relay] = []
        self._open = asyncio.Event()
        self._open.set()

    def hold_requests(self) -> None:
        """Keep what clients send from now on, on the connections that there are."""
        for relay in self._relays:
            relay.server.holding = True

    def hold_replies(self) -> None:
        """Keep what the server sends from now on, on the connections that there are."""
        for relay in self._relays:
            relay.client.holding = True

    def cut(self) -> None:
        """Break every connection.  Bytes that are held back for the server can still be delivered."""
        for relay in self._relays:
            relay.cut()

    def deliver(self) -> None:
        """Send the server what was held back, and then the end of these connections."""
        for relay in self._relays:
            if relay.server.holding:
                relay.server.finish()
                relay.server.release()
        self._relays = [relay for relay in self._relays if not relay.over]

    def shut(self) -> None:
        """Break every connection, forget what was held back, and let new ones wait until `open`."""
        self._open.clear()
        for relay in self._relays:
            relay.client.abort()
            relay.server.abort()
        self._relays.clear()

    def refuse(self) -> None:
        """Let new connections wait until `open`."""
        self._open.clear()

    def open(self) -> None:
        """Connections reach the server again."""
        self._open.set()

    def end(self) -> None:
        """Break every connection, and take no more."""
        self._ended = True
        self.shut()
        self.open()

    def accept(self) -> asyncio.Protocol:
        """A client has connected."""
        relay = _Relay()
        if self._ended:
            relay.cut()
            return relay.client
        self._relays = [other for other in self._relays if not other.over]
        self._relays.append(relay)
        self._tasks.create_task(self._connect(relay))
        return relay.client

    async def _connect(self, relay: _Relay) -> None:
        loop = asyncio.get_running_loop()
        await self._open.wait()
        if relay.client.lost:
            return
        try:
            if self.upstream.startswith("unix:"):
                path = self.upstream.removeprefix("unix:")
                await loop.create_unix_connection(lambda: relay.server, path)
            else:
                host, _, port = self.upstream.rpartition(":")
                await loop.create_connection(lambda: relay.server, host.strip("[]"), int(port))
        except OSError:
            relay.cut()  # as the server would refuse the client


@contextlib.asynccontextmanager
async def proxy(path: Path, upstream: str) -> AsyncIterator[Proxy]:
    """A proxy on the Unix socket `path` for the server at `upstream` (HOST:PORT or unix:PATH)."""
    async with asyncio.TaskGroup() as tasks:
        made = Proxy(path, upstream, tasks)
        listener = await asyncio.get_running_loop().create_unix_server(made.accept, str(path))
        try:
            yield made
        finally:
            listener.close()
            made.end()
            await listener.wait_closed()
