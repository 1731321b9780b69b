"""`Connection` to a target server, which outlives its channels, with g2disk's rules of waiting and repeating."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import TypeVar

from g2disk.cancellation import to_the_end
from g2disk.clock import Clock, SystemClock
from g2disk.errors import Corrupt, DiskError, Fenced, Unavailable, Unsupported
from g2disk.remote.channel import Channel, connect
from g2disk.remote.client_stream import Broken, NotBegun
from g2disk.remote.endpoint import DEFAULT_TIMEOUT, endpoints_of
from g2disk.remote.methods import Method
from g2disk.remote.status import KIND_KEY, StatusCode, kind_of
from g2disk.remote.stream import MessageHandler, MessageStream, Status

Request = TypeVar("Request")
Reply = TypeVar("Reply")

_PAUSE = 0.1
"""Seconds between two attempts of one request, and between the first two attempts to connect."""

_LONGEST_PAUSE = 1.0
"""Seconds between two attempts to connect."""

_CONNECT, _CONNECT_FIRST = 20.0, 5.0
"""Seconds that one attempt to connect may take, where there is no other endpoint, and where there is."""


class UnknownMethod(Unsupported):
    """The server does not have the method at all (as opposed to: cannot do this for this disk)."""


class Connection:
    """Reaches the target server at `endpoint`, or at the first of several that can be reached, by one channel at a
    time, made when it is needed, and by more where calls last.

    Belongs to the event loop that it was made on.  A request waits up to `timeout` seconds, all repeats included, for
    a server that is away; an infinite timeout waits for ever.  Only what cannot do harm is sent again after a failure
    that may have delivered it.
    """

    def __init__(self, endpoint: str, timeout: float = DEFAULT_TIMEOUT, clock: Clock | None = None) -> None:
        self._endpoints = deque(endpoints_of(endpoint))
        """The one to try next comes first."""
        self.endpoint = endpoint
        self.timeout = timeout
        self.clock = clock or SystemClock()
        self._channel: Channel | None = None
        self._channels: set[Channel] = set()
        """The one in use, and those before it whose last calls are not answered yet."""
        self._attempt: asyncio.Task[None] | None = None
        self._pause = _PAUSE
        self._closed = False

    async def call(
        self, method: Method[Request, Reply], request: Request, *, repeatable: bool, wait: bool = True
    ) -> Reply:
        """The server's reply.

        With `repeatable` the request may be executed twice without harm, and is repeated while time is left.  Without
        `wait` a server that is away is an error at once.  Raises the `DiskError` that the server sent; `Unavailable`
        when it did not answer in time or, for what is not repeatable, when the connection broke under way;
        `UnknownMethod`; `Corrupt` for bytes that are no reply.

        Cancellation abandons a repeatable request.  One that is not repeatable is waited for: it would otherwise change
        the disk after this has returned.
        """
        if repeatable:
            return await self._call(method, request, repeatable, wait)
        return await to_the_end(self._call(method, request, repeatable, wait))

    async def stream(self, path: str, handler: MessageHandler, *, wait: bool = True) -> MessageStream:
        """Begin a call of `path` with messages in both directions; how it fails is told to the handler.

        Without `wait` a server that is away is an error at once.  Raises `Unavailable` where there is no server within
        the timeout.
        """
        what, deadline = path.rpartition("/")[2], self.clock.now() + self.timeout
        channel = await self._reach(what, deadline, wait)
        while channel.full:  # of sessions, one for each disk, any number may be open
            channel.retire()
            channel = await self._reach(what, deadline, wait)
        return channel.open(path, handler)

    async def close(self) -> None:
        """End the connection; requests in flight are abandoned."""
        self._closed = True
        if self._attempt is not None:
            self._attempt.cancel()
            await asyncio.wait([self._attempt])
        for channel in list(self._channels):
            await channel.aclose()

    def error(self, status: Status, what: str) -> DiskError:
        """The error for a call of `what` ("Read") that ended with `status`."""
        if KIND_KEY in status.trailers:
            return kind_of(status.code, status.trailers.items())(status.message)
        where = f"the server at {self.endpoint}"
        if status.code == StatusCode.UNIMPLEMENTED:
            return UnknownMethod(f"{where} has no {what}: {status.message}")
        if status.code == StatusCode.DEADLINE_EXCEEDED:
            return Unavailable(
                f"{where} did not answer {what} within {self.timeout:g} s; see whether it runs and is not stuck"
            )
        if isinstance(status, Broken):
            return Unavailable(f"the connection to {self.endpoint} broke during {what}: {status.reason}")
        if status.code in (StatusCode.UNAVAILABLE, StatusCode.CANCELLED):
            return Unavailable(f"{where} did not do {what}: {status.message}")
        kind = kind_of(status.code, status.trailers.items())
        if kind is Fenced:
            return Fenced(f"{where} serves another disk now: {status.message}")
        return kind(f"{where} answered {what} with {_name(status.code)}: {status.message}")

    async def _call(self, method: Method[Request, Reply], request: Request, repeatable: bool, wait: bool) -> Reply:
        deadline = self.clock.now() + self.timeout
        raw_request = method.encode_request(request)
        while True:
            channel = await self._reach(method.name, deadline, wait)
            outcome = await channel.unary(method.path, raw_request, max(deadline - self.clock.now(), 0.001))
            if not isinstance(outcome, Status):
                return method.decode_reply(outcome)
            error = self.error(outcome, method.name)
            may_repeat = (repeatable and wait) or isinstance(outcome, NotBegun)
            temporary = isinstance(error, Unavailable) and outcome.code != StatusCode.DEADLINE_EXCEEDED
            if not (temporary and may_repeat and deadline - self.clock.now() > _PAUSE):
                raise error
            await self.clock.sleep(_PAUSE)

    async def _reach(self, what: str, deadline: float, wait: bool) -> Channel:
        """A channel that can be used; one attempt to make it serves all that wait for it."""
        while not self._closed:
            if self._channel is not None and self._channel.usable:
                return self._channel
            attempt = self._attempt or self._begin_to_connect()
            left = deadline - self.clock.now()
            await asyncio.wait([attempt], timeout=None if left == math.inf else max(left, 0))
            failure = attempt.exception() if attempt.done() and not attempt.cancelled() else None
            if failure is not None and not (wait and isinstance(failure, Unavailable)):
                raise type(failure)(*failure.args) from failure
            left = deadline - self.clock.now()
            if left <= 0:
                raise self.error(Status(StatusCode.DEADLINE_EXCEEDED), what) from failure
            if failure is not None:
                await self.clock.sleep(min(self._pause, left))
        raise Unavailable(f"the connection to {self.endpoint} was closed at this end")

    def _begin_to_connect(self) -> asyncio.Task[None]:
        self._attempt = asyncio.create_task(self._connect())
        # Who waits for it sees how it failed; nobody may, when their time was up before.
        self._attempt.add_done_callback(lambda attempt: attempt.cancelled() or attempt.exception())
        return self._attempt

    async def _connect_to_any(self) -> Channel:
        """A channel to the first endpoint that can be reached."""
        others = len(self._endpoints) - 1
        while True:
            try:
                return await connect(self._endpoints[0], _CONNECT_FIRST if others else _CONNECT)
            except Unavailable:
                self._endpoints.rotate(-1)
                if not others:
                    raise
                others -= 1

    async def _connect(self) -> None:
        try:
            channel = await self._connect_to_any()
        except Unavailable:
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
            raise
        finally:
            self._attempt = None
        self._pause = _PAUSE
        self._channel = channel
        self._channels.add(channel)
        channel.lost.add_done_callback(lambda _: self._channels.discard(channel))


def _name(code: int) -> str:
    return StatusCode(code).name if code in StatusCode.__members__.values() else f"status {code}"


def check_reply(connection: Connection, condition: bool, what: str) -> None:
    """Raise `Corrupt` saying `what` unless the server's reply meets the condition."""
    if not condition:
        raise Corrupt(f"{what}; the target server at {connection.endpoint} is broken")
