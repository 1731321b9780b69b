"""`Channel`, a gRPC client's one connection to a server: streams of messages, and unary calls."""

from __future__ import annotations

import asyncio
import math
import socket
from collections import deque
from collections.abc import Sequence

from g2disk.disk import Buffer
from g2disk.errors import Unavailable
from g2disk.http2.events import Event, GoAwayReceived, MessageReceived, Pong, SettingsReceived
from g2disk.remote.client_stream import ClientStream, NotBegun, UnaryCall
from g2disk.remote.endpoint import check_endpoint
from g2disk.remote.headers import Headers, request_headers
from g2disk.remote.keepalive import QUIET, Keepalive, watch_host
from g2disk.remote.link import Link, LinkStream, describe
from g2disk.remote.status import StatusCode
from g2disk.remote.stream import MessageHandler, MessageStream, Status


async def connect(endpoint: str, timeout: float, quiet: float = QUIET) -> Channel:
    """A channel to the server at `endpoint`, which has answered: it speaks HTTP/2.

    Raises `Invalid` for what is no endpoint, and `Unavailable` when there is no server within `timeout` seconds.
    `quiet`: see `g2disk.remote.keepalive`.
    """
    channel = Channel(endpoint, quiet)
    try:
        async with asyncio.timeout(timeout):
            await _dial(channel)
            await channel.greeted
    except TimeoutError:
        channel.close(f"it did not answer within {timeout:g} s")
    except OSError as error:
        channel.close(describe(error))
    except asyncio.CancelledError:
        channel.close("nobody waits for it any more")
        raise
    if channel.ended:
        raise Unavailable(f"cannot reach {endpoint}: {channel.ended}; start a server there with `g2disk serve`")
    return channel


async def _dial(channel: Channel) -> None:
    loop, target = asyncio.get_running_loop(), check_endpoint(channel.endpoint)
    if target.startswith("unix:"):
        await loop.create_unix_connection(lambda: channel, target.removeprefix("unix:"))
    else:
        host, _, port = target.rpartition(":")
        await loop.create_connection(lambda: channel, host.strip("[]"), int(port))


MOST_LASTING = 64
"""Calls that last on one connection; see `Channel.full`."""


class Channel(Link):
    """Made by `connect`; belongs to the event loop that it was made on.

    When the connection breaks, every call on it ends with UNAVAILABLE, and the channel is not `usable` any more.
    """

    def __init__(self, endpoint: str, quiet: float) -> None:
        super().__init__(client=True)
        self.endpoint = endpoint
        self.greeted: asyncio.Future[None] = self.loop.create_future()
        """Done when the server has answered, or the connection has ended."""
        target = check_endpoint(endpoint)
        self._authority = "localhost" if target.startswith("unix:") else target
        self._quiet = quiet
        self._going_away = ""
        self._turns: deque[asyncio.Future[None]] = deque()
        """Of calls that wait until the server allows one more."""
        self._keepalive = Keepalive(quiet, lambda: bool(self.streams), self._ping, self.close)

    def __repr__(self) -> str:
        return f"<Channel to {self.endpoint}, {len(self.streams)} calls, {self._refusal or 'good'}>"

    @property
    def usable(self) -> bool:
        """Whether new calls can begin; for good not, once the server goes away or the connection is broken."""
        return not self._refusal

    @property
    def _refusal(self) -> str:
        return self.ended or self._going_away

    @property
    def full(self) -> bool:
        """Whether there are as many calls as should last: servers bound those of a connection, often to 100 or 1024."""
        return len(self.streams) >= MOST_LASTING

    def retire(self) -> None:
        """Begin no new calls; those in progress go on, and the last of them ends the connection."""
        self._go("it has enough calls")

    def open(self, path: str, handler: MessageHandler, metadata: Headers = ()) -> MessageStream:
        """Begin a call of `path`, such as "/g2disk.v1.Disk/Session".

        Raises `Unavailable` when the channel is not `usable`, or has as many calls as the server allows.
        """
        return self._open(path, handler, metadata, None)

    async def unary(self, path: str, request: Buffer, timeout: float, metadata: Headers = ()) -> memoryview | Status:
        """The reply to one call, or the status that it failed with.  After `timeout` seconds (infinite: never) that is
        DEADLINE_EXCEEDED; the server is told the time, too.  Cancellation ends the call.
        """
        deadline = self.loop.time() + timeout if timeout < math.inf else None
        call = UnaryCall()
        stream: MessageStream | None = None
        try:
            async with asyncio.timeout_at(deadline):
                await self._turn()
                if self._refusal:
                    return NotBegun(StatusCode.UNAVAILABLE, self._refusal)
                left = None if deadline is None else deadline - self.loop.time()
                stream = self._open(path, call, metadata, left)
                stream.send((request,))
                stream.end()
                return await call.outcome
        except TimeoutError:
            return Status(StatusCode.DEADLINE_EXCEEDED, f"no answer within {timeout:g} s")
        finally:
            if stream is not None and not call.over:
                stream.abort()

    async def aclose(self) -> None:
        """End the connection; calls in flight end with UNAVAILABLE.  Returns when the socket is closed."""
        self.close("it was closed at this end")
        await asyncio.wait([self.lost])

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""
        super().connection_made(transport)
        peer: socket.socket = transport.get_extra_info("socket")
        if peer.family != socket.AF_UNIX:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            watch_host(peer, self._quiet)

    def connection_lost(self, error: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        self._keepalive.stop()
        super().connection_lost(error)
        self._end_waiting()

    def buffer_updated(self, count: int) -> None:
        """See `asyncio.BufferedProtocol`."""
        self._keepalive.heard = True
        super().buffer_updated(count)

    def _handle(self, events: Sequence[Event]) -> None:
        if any(type(event) is MessageReceived for event in events):
            self._keepalive.progress()
        super()._handle(events)

    def handle(self, event: Event) -> None:
        """See `Link.handle`."""
        match event:
            case Pong():
                return
            case SettingsReceived():
                if not self.greeted.done():
                    self.greeted.set_result(None)
            case GoAwayReceived():
                self._go(f"the server goes away{f', {event.debug}' if event.debug else ''}")
            case _:
                self._keepalive.progress()
                super().handle(event)

    def stream_forgotten(self, _stream: LinkStream) -> None:
        """See `Link.stream_forgotten`."""
        if self._going_away and not self.streams:
            self.close(self._going_away)
        else:
            self._next_turn()

    def _open(self, path: str, handler: MessageHandler, metadata: Headers, timeout: float | None) -> MessageStream:
        if self._refusal:
            raise Unavailable(f"the connection to {self.endpoint} is closed: {self._refusal}")
        number = self.http2.open_stream(request_headers(path, self._authority, metadata, timeout))
        stream = self.streams[number] = ClientStream(self, number, handler, self.endpoint)
        self.schedule_flush()
        self._keepalive.start()
        return stream

    def _ping(self) -> None:
        self.http2.ping()
        self.flush()

    def _go(self, reason: str) -> None:
        self._going_away = reason
        self._end_waiting()
        if not self.streams:
            self.close(reason)

    async def _turn(self) -> None:
        """Wait until the server allows one more call."""
        while not self._refusal and not self.http2.can_open:
            turn = self.loop.create_future()
            self._turns.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if not turn.cancelled():
                    self._next_turn()  # this one was given and will not be used
                raise

    def _next_turn(self) -> None:
        while self._turns and self.http2.can_open:
            turn = self._turns.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def _end_waiting(self) -> None:
        if not self.greeted.done():
            self.greeted.set_result(None)
        while self._turns:
            turn = self._turns.popleft()
            if not turn.done():
                turn.set_result(None)
