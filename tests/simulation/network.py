"""Links between clients and servers: messages in order and late, streams that are cut with messages still under way,
servers that vanish, streams that somebody on the way sends again.

Stands where HTTP/2 stands between `g2disk.remote.session_stream` and `g2disk.servers.grpc.session`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from g2disk.disk import Buffer
from g2disk.errors import Unavailable
from g2disk.remote.connection import Connection
from g2disk.remote.stream import MessageHandler, MessageStream, Status
from tests.simulation.loop import Process, VirtualLoop

LOST = Status(14, "the connection broke")
GONE = Status(1, "the client has gone")
GRAIN = 0.0005
"""Seconds; all delays are multiples of it, so that many things happen at the same moment."""


class Acceptor(Protocol):
    """A server's process, as the network sees it."""

    process: Process

    def open(self, stream: MessageStream) -> MessageHandler:
        """The handler of a new stream."""


@dataclass(slots=True)
class Weather:
    """How bad the network is."""

    delay: int = 4
    """Grains that a message takes at most, as a rule."""
    slow: float = 0.02
    """The part of the messages that takes up to a second."""
    cut: float = 0.0
    """The part of the messages at which their stream is cut."""
    ghosts: float = 0.0
    """The part of the cut streams that somebody sends again."""

    def calm(self) -> None:
        """From now on all goes well."""
        self.slow = self.cut = self.ghosts = 0.0


class Pipe:
    """One direction of a link."""

    def __init__(self, network: Network, receiver: Process, deliver: Callable[[bytes | Status], None]) -> None:
        self._network = network
        self._loop = network.loop
        self._receiver = receiver
        self._deliver = deliver
        self._queue: deque[tuple[float, bytes | Status]] = deque()
        self._last = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._held = False
        self.broken = False
        """What is put in from now on is lost."""

    def put(self, item: bytes | Status) -> None:
        """Have it arrive some time."""
        if not self.broken:
            self._append(item, self._network.delay())

    def hold(self) -> None:
        """The receiver takes no more for now."""
        self._held = True

    def release(self) -> None:
        """The opposite of `hold`."""
        self._held = False
        self._arm()

    def close(self) -> None:
        """Nothing arrives any more."""
        self.broken = True
        self._queue.clear()

    def cut(self, keep: int, status: Status, late: float) -> None:
        """Lose all but the first `keep` messages under way; the receiver learns of it `late` seconds behind them."""
        if not self.broken:
            while len(self._queue) > keep:
                self._queue.pop()
            if self._queue:
                self._last = self._queue[-1][0]
            self._append(status, late)
            self.broken = True

    def delay_all(self, seconds: float) -> None:
        """Let what is under way take so much longer."""
        self._queue = deque((when + seconds, item) for when, item in self._queue)
        self._last += seconds

    def __len__(self) -> int:
        return len(self._queue)

    def _append(self, item: bytes | Status, delay: float) -> None:
        self._last = max(self._last, self._loop.time() + delay)
        self._queue.append((self._last, item))
        self._arm()

    def _arm(self) -> None:
        if self._timer is None and self._queue and not self._held:
            self._timer = self._loop.call_at(self._queue[0][0], self._arrive, context=self._receiver.context.copy())

    def _arrive(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._queue and not self._held and self._queue[0][0] <= now:
            self._deliver(self._queue.popleft()[1])
        self._arm()


class Link:
    """A stream from a client's process to a server's."""

    def __init__(self, network: Network, client: Process, handler: MessageHandler, server: Acceptor) -> None:
        self.network = network
        self.client, self.server = client, server
        self.up = Pipe(network, server.process, self._to_server)
        self.down = Pipe(network, client, self._to_client)
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
        rng = self.network.rng
        self.down.cut(rng.randint(0, len(self.down)), LOST, self.network.notice())
        if rng.random() < 0.7:
            self.up.delay_all(self.network.notice())
            self.up.cut(rng.randint(0, len(self.up)), GONE, self.network.notice())
        if rng.random() < self.network.weather.ghosts and self.sent:
            Ghost(self)

    def lose_server(self) -> None:
        """The server's process died."""
        self.is_cut = True
        self.up.close()
        self.down.cut(self.network.rng.randint(0, len(self.down)), LOST, self.network.notice())

    def lose_client(self) -> None:
        """The client's process died."""
        self.is_cut = self.client_over = True
        self.down.close()
        self.up.delay_all(self.network.notice() if self.network.rng.random() < 0.3 else 0.0)
        self.up.cut(self.network.rng.randint(0, len(self.up)), GONE, self.network.notice())

    def _to_server(self, item: bytes | Status) -> None:
        if self.server_over:
            return
        if self._server_handler is None:
            self._server_handler = self.server.open(ServerEnd(self))
        if isinstance(item, Status):
            self._server_handler.ended(item)
        else:
            self._server_handler.message(memoryview(item))

    def _to_client(self, item: bytes | Status) -> None:
        if self.client_over:
            return
        if isinstance(item, Status):
            self.client_over = True
            self.up.cut(len(self.up), GONE, self.network.notice())
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
        link.up.cut(len(link.up), GONE, link.network.delay())

    def recall(self) -> None:
        """What is sent was copied."""


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
        self._link.server_over = True
        self._link.up.close()
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

    def __init__(self, loop: VirtualLoop, rng: Random, weather: Weather) -> None:
        self.loop = loop
        self.rng = rng
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

    def delay(self) -> float:
        """Seconds that a message takes."""
        if self.rng.random() < self.weather.slow:
            return self.rng.randint(1, 2000) * GRAIN
        return self.rng.randint(0, self.weather.delay) * GRAIN

    def notice(self) -> float:
        """Seconds until somebody learns that a link broke."""
        return self.rng.choice((1, 20, 1000, 20000)) * self.rng.randint(0, 10) * GRAIN

    def chance(self, link: Link) -> None:
        """A message was sent; cut its stream, perhaps."""
        if self.weather.cut and self.rng.random() < self.weather.cut:
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
        await network.loop.sleep(network.delay())
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
