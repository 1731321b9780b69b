"""Links between clients and servers: streams that are cut, servers that vanish, streams that somebody on the way sends
again.

Stands where HTTP/2 stands between `g2disk.remote.session_stream` and `g2disk.servers.grpc.session`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from g2disk.disk import Buffer
from g2disk.errors import Unavailable
from g2disk.remote.connection import Connection
from g2disk.remote.stream import MessageHandler, MessageStream, Status
from tests.simulation.loop import Process, VirtualLoop
from tests.simulation.pipe import GONE, LOST, Pipe, Weather


class Acceptor(Protocol):
    """A server's process, as the network sees it."""

    process: Process

    def open(self, stream: MessageStream) -> MessageHandler:
        """The handler of a new stream."""


class Link:
    """A stream from a client's process to a server's."""

    def __init__(self, network: Network, client: Process, handler: MessageHandler, server: Acceptor) -> None:
        self.network = network
        self.client, self.server = client, server
        self.up = Pipe(network.loop, network.weather, server.process, self._to_server)
        self.down = Pipe(network.loop, network.weather, client, self._to_client)
        self.sent: list[bytes] = []
        """All that the client sent."""
        self.client_over = self.server_over = self.is_cut = False
        self._client_handler = handler
        self._server_handler: MessageHandler | None = None

    def cut(self) -> None:
        """Break it: some of what is under way still arrives, and each end learns of it in its own time."""
        if self.is_cut:
            return
        self.is_cut = True
        rng = self.network.weather.rng
        self.down.cut(rng.randint(0, len(self.down)), LOST, self.network.weather.notice())
        if rng.random() < 0.7:
            self.up.delay_all(self.network.weather.notice())
            self.up.cut(rng.randint(0, len(self.up)), GONE, self.network.weather.notice())
        if rng.random() < self.network.weather.ghosts and self.sent:
            Ghost(self)

    def lose_server(self) -> None:
        """The server's process died."""
        self.is_cut = True
        self.up.close()
        self.down.cut(self.network.weather.rng.randint(0, len(self.down)), LOST, self.network.weather.notice())

    def lose_client(self) -> None:
        """The client's process died."""
        self.is_cut = self.client_over = True
        self.down.close()
        self.up.delay_all(self.network.weather.notice() if self.network.weather.rng.random() < 0.3 else 0.0)
        self.up.cut(self.network.weather.rng.randint(0, len(self.up)), GONE, self.network.weather.notice())

    def _to_server(self, item: bytes | Status) -> None:
        if self._server_handler is None:
            self._server_handler = self.server.open(ServerEnd(self))
        if isinstance(item, Status):
            if not self.server_over:
                self._server_handler.ended(item)
        else:
            self._server_handler.message(memoryview(item))

    def _to_client(self, item: bytes | Status) -> None:
        if self.client_over:
            return
        if isinstance(item, Status):
            self.client_over = True
            self.up.cut(len(self.up), GONE, self.network.weather.notice())
            self._client_handler.ended(item)
        else:
            self._client_handler.message(memoryview(item))


class ClientEnd:
    """The client's `MessageStream`."""

    unsent = 0

    def __init__(self, link: Link) -> None:
        self._link = link

    def send(self, parts: Sequence[Buffer]) -> None:
        link = self._link
        if not link.client_over:
            message = b"".join(parts)
            link.sent.append(message)
            link.up.put(message)
            link.network.chance(link)

    def pause(self) -> None:
        self._link.down.hold()

    def resume(self) -> None:
        self._link.down.release()

    def end(self, status: Status | None = None) -> None:
        self._link.up.put(Status(0))

    def abort(self) -> None:
        link = self._link
        link.client_over = True
        link.down.close()
        link.up.cut(len(link.up), GONE, link.network.weather.delay())


class ServerEnd:
    """The server's `MessageStream`."""

    unsent = 0

    def __init__(self, link: Link) -> None:
        self._link = link

    def send(self, parts: Sequence[Buffer]) -> None:
        if not self._link.server_over:
            self._link.down.put(b"".join(parts))
            self._link.network.chance(self._link)

    def pause(self) -> None:
        self._link.up.hold()

    def resume(self) -> None:
        self._link.up.release()

    def end(self, status: Status | None = None) -> None:
        self._link.server_over = True  # and what the client has sent by then still comes
        self._link.down.put(status or Status(0))

    def abort(self) -> None:
        self.end(LOST)


class Ghost:
    """Somebody on the way who sends a stream again that broke, and wants no answer.  A `MessageHandler`."""

    def __init__(self, link: Link) -> None:
        self._again = link.sent[1:]
        self._link = Link(link.network, Process("ghost"), self, link.server)
        link.network.links.append(self._link)
        self._end = ClientEnd(self._link)
        self._link.is_cut = True  # it is not sent once more
        self._end.send([link.sent[0]])

    def message(self, data: memoryview) -> None:
        for message in self._again:
            self._end.send([message])
        self._again = []

    def drained(self) -> None:
        """Nothing waits to be sent."""

    def ended(self, status: Status) -> None:
        """The server wants none of it, or was done."""


class Network:
    """All links of a run."""

    def __init__(self, loop: VirtualLoop, weather: Weather) -> None:
        self.loop = loop
        self.weather = weather
        self.links: list[Link] = []
        self.server: Acceptor | None = None
        """Who listens; None: nobody."""
        self.listening = asyncio.Event()

    def listen(self, server: Acceptor) -> None:
        """This server takes streams from now on."""
        self.server = server
        self.listening.set()

    def lose_server(self) -> None:
        """The server is gone, and its links break."""
        server, self.server = self.server, None
        self.listening.clear()
        for link in self.links:
            if link.server is server:
                link.lose_server()
        self.links = [link for link in self.links if link.server is not server]

    def lose_client(self, client: Process) -> None:
        """The client is gone, and its links break."""
        for link in self.links:
            if link.client is client:
                link.lose_client()

    def cut(self) -> None:
        """Break the newest link."""
        if self.links:
            self.links[-1].cut()

    def chance(self, link: Link) -> None:
        """A message was sent; cut its stream, perhaps."""
        if self.weather.cut and self.weather.rng.random() < self.weather.cut:
            link.cut()


class SimulatedClock:
    """The loop's time."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def now(self) -> float:
        return self._loop.time()

    def wall(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await self._loop.sleep(seconds)


class SimulatedConnection(Connection):
    """A client's connection over the network of the run."""

    def __init__(self, network: Network, client: Process, timeout: float) -> None:
        super().__init__("unix:simulated", timeout, SimulatedClock(network.loop))
        self._network = network
        self._client = client

    async def stream(self, path: str, handler: MessageHandler, *, wait: bool = True) -> MessageStream:
        """See `Connection.stream`."""
        network = self._network
        await network.loop.sleep(network.weather.delay())
        while network.server is None:
            if not wait:
                raise Unavailable(f"cannot reach {self.endpoint}: nobody listens")
            try:
                async with asyncio.timeout(self.timeout if self.timeout < float("inf") else None):
                    await network.listening.wait()
            except TimeoutError:
                raise Unavailable(f"cannot reach {self.endpoint} within {self.timeout:g} s") from None
        link = Link(network, self._client, handler, network.server)
        network.links.append(link)
        return ClientEnd(link)
