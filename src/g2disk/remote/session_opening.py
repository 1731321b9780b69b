"""`open_session`, the first exchange of a session, and `Pauses`, the rests between two attempts at it."""

from __future__ import annotations

import asyncio
import math
import random

from g2disk.clock import Clock
from g2disk.errors import Corrupt
from g2disk.remote.pb import disk_pb2
from g2disk.remote.session_codec import ReplyDecoder, ReplyMessage, RequestHead, encode_open, request_prefix
from g2disk.remote.session_flight import Bounds
from g2disk.remote.session_stream import Opener, SessionStream
from g2disk.remote.status import StatusCode
from g2disk.remote.stream import Status
from g2disk.units import MIB

WANTED = Bounds(requests=1024, data=64 * MIB, message=8 * MIB)
"""What this end asks for; servers may allow less."""

MARGIN = 4096
"""Bytes that a message may have around its largest piece of data."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0
"""Seconds between two attempts; doubled each time, and half of it by chance."""

_OPEN = disk_pb2.SessionOpen(
    maximum_in_flight_requests=WANTED.requests,
    maximum_in_flight_bytes=WANTED.data,
    maximum_message=WANTED.message,
)


class Pauses:
    """They grow with every attempt until one was worth it."""

    def __init__(self, clock: Clock, jitter: random.Random) -> None:
        self._clock = clock
        self._jitter = jitter
        self._next = 0.0

    def worth_it(self) -> None:
        """A session answered something: the next attempt is made at once."""
        self._next = 0.0

    async def rest(self) -> None:
        """Wait before the next attempt, longer each time, also where sessions open and break at once."""
        pause, self._next = self._next, min(max(2 * self._next, _FIRST_PAUSE), _LONGEST_PAUSE)
        if pause:
            await self._clock.sleep(pause * (0.5 + self._jitter.random() / 2))


async def open_session(
    stream: SessionStream, connection: Opener, head: RequestHead, wait: bool
) -> tuple[disk_pb2.SessionOpened, Bounds, ReplyDecoder]:
    """Connect the stream and open the session of `head` in it: what the server says, what both ends allow, and the
    decoder for what follows.

    Raises what the server answers, `Corrupt` where that is no opening, and `Unavailable` when the connection's timeout
    is over.  The caller aborts the stream then.
    """
    decoder = ReplyDecoder()
    limit = connection.timeout
    try:
        async with asyncio.timeout(limit if limit < math.inf else None):
            await stream.connect(wait)
            stream.send(encode_open(request_prefix(head), _OPEN))
            reply = decoder.decode(await stream.first())
    except TimeoutError:
        raise connection.error(Status(StatusCode.DEADLINE_EXCEEDED), "Session") from None
    opened, bounds = _opened(reply, head, connection.endpoint)
    return opened, bounds, decoder


def _opened(reply: ReplyMessage, head: RequestHead, endpoint: str) -> tuple[disk_pb2.SessionOpened, Bounds]:
    opened = reply.opened
    if opened is None or len(reply.ids) or len(reply.payload) or reply.head.attempt != head.attempt:
        raise Corrupt(f"the first reply of {endpoint} opens no session; the server is broken")
    bounds = Bounds(
        min(opened.maximum_in_flight_requests, WANTED.requests),
        min(opened.maximum_in_flight_bytes, WANTED.data),
        opened.maximum_message,
    )
    block = opened.description.minimum_block or 1
    if not bounds.requests or bounds.data < block or bounds.message < block + MARGIN:
        raise Corrupt(f"the bounds of sessions with {endpoint} are too small; the server is broken")
    return opened, bounds
