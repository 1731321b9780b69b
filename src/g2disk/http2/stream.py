"""`Stream`, what is known of a stream that is not over (RFC 9113, section 5.1)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from g2disk.http2.messages import MessageReader, Room
from g2disk.http2.settings import STREAM_WINDOW
from g2disk.http2.windows import ReceiveWindow


class Outgoing:
    """A message that waits for flow control."""

    __slots__ = ("left", "parts")

    def __init__(self, parts: Sequence[memoryview], left: int) -> None:
        self.parts = deque(parts)
        self.left = left
        """Bytes of it that were not sent yet."""


class Stream:
    """A stream that is not over."""

    __slots__ = (
        "answered",
        "ended",
        "ending",
        "number",
        "paused",
        "queue",
        "reader",
        "receive_window",
        "remote_ended",
        "send_window",
        "trailers",
        "unsent",
        "withheld",
    )

    def __init__(self, number: int, send_window: int, room: Room) -> None:
        self.number = number
        self.send_window = send_window
        """Bytes that may be sent; negative after the peer made its windows smaller."""
        self.queue: deque[Outgoing] = deque()
        self.unsent = 0
        """Bytes in `queue`."""
        self.ending = False
        """Nothing more will be queued; when all has left, this side ends."""
        self.trailers: Sequence[tuple[str, str]] | None = None
        self.receive_window = ReceiveWindow(STREAM_WINDOW)
        self.paused = False
        self.withheld = 0
        """Bytes that came while it was paused, and that no window was given back."""
        self.reader = MessageReader(number, room)
        self.answered = False
        """At a server, an answer was begun; at a client, one came."""
        self.ended = False
        """At a client: this side has sent all."""
        self.remote_ended = False
