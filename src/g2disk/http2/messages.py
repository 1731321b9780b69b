"""`MessageReader`, which cuts gRPC messages from a stream's DATA ("gRPC over HTTP2": Length-Prefixed-Message)."""

from __future__ import annotations

from typing import Final

from g2disk.http2.events import Event, MessageReceived, MessageRefused
from g2disk.http2.frames import PREFIX
from g2disk.units import KIB, MIB

LARGEST_MESSAGE: Final = 36 * MIB
"""Bytes of a message that we take, unless a stream has a limit of its own: a transfer of 32 MiB, and what goes
around it."""

RESOURCE_EXHAUSTED: Final = 8
UNIMPLEMENTED: Final = 12
INTERNAL: Final = 13

MOST_ROOM: Final = 256 * MIB
"""Bytes of messages that have begun and not ended, in all streams of a connection."""

MOST_AT_ONCE: Final = 64 * KIB
"""Messages in a frame.  Empty ones have five bytes, and would keep an event loop for seconds by the million."""

_FIRST_PIECE = 64 * KIB
"""Room for a message whose beginning came.  It grows with what really comes, since the length alone costs the peer
nothing."""
_GROWTH = 4


class Room:
    """What a connection's streams may still use to put messages together."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MOST_ROOM


class MessageReader:
    """The messages of one stream.  One that came whole in a frame is a view of it; any other is copied together."""

    __slots__ = ("_filled", "_length", "_message", "_prefix", "_room", "_stream", "limit", "refused")

    def __init__(self, stream: int, room: Room) -> None:
        self._stream = stream
        self._room = room
        self._prefix = b""
        self._message: memoryview | None = None
        self._length = self._filled = 0
        self.limit = LARGEST_MESSAGE
        """Bytes of a message that is taken."""
        self.refused = False
        """A message could not be taken, and all that follows is dropped."""

    @property
    def inside_message(self) -> bool:
        """Whether a message has begun and not ended."""
        return not self.refused and bool(self._prefix or self._message is not None)

    def read(self, data: memoryview, events: list[Event]) -> None:
        """Append what `data`, the next bytes of the stream, completes."""
        if self._message is None and not self._prefix and len(data) >= PREFIX.size:
            compressed, length = PREFIX.unpack_from(data)
            if length == len(data) - PREFIX.size and not compressed and length <= self.limit and not self.refused:
                events.append(MessageReceived(self._stream, data[PREFIX.size :]))
                return
        most = len(events) + MOST_AT_ONCE
        while data and not self.refused:
            if len(events) == most:
                reason = f"more than {MOST_AT_ONCE} messages in a frame: put more into each message"
                self._refuse(MessageRefused(self._stream, RESOURCE_EXHAUSTED, reason), events)
                return
            data = self._begin(data, events) if self._message is None else self._go_on(self._message, data, events)

    def close(self) -> None:
        """Drop what has begun; nothing is read any more."""
        self.refused = True
        self._release()

    def _begin(self, data: memoryview, events: list[Event]) -> memoryview:
        """Take a prefix, and the message if it is there as a whole; what is left of `data`."""
        missing = PREFIX.size - len(self._prefix)
        prefix, data = self._prefix + bytes(data[:missing]), data[missing:]
        if len(prefix) < PREFIX.size:
            self._prefix = prefix
            return data
        self._prefix = b""
        compressed, length = PREFIX.unpack(prefix)
        if compressed or length > self.limit:
            self._refuse(_refusal(self._stream, compressed, length, self.limit), events)
        elif length <= len(data):
            events.append(MessageReceived(self._stream, data[:length]))
            data = data[length:]
        else:
            self._length, self._filled = length, 0
            self._make_room(min(length, _FIRST_PIECE), events)
        return data

    def _go_on(self, message: memoryview, data: memoryview, events: list[Event]) -> memoryview:
        """Add to the message that has begun; what is left of `data`."""
        size = min(len(data), self._length - self._filled)
        filled = self._filled + size
        if filled > len(message):
            self._make_room(min(self._length, _GROWTH * filled), events)
            if self._message is None:
                return data
            message = self._message
        message[self._filled : filled] = data[:size]
        self._filled = filled
        if filled == self._length:
            self._release()
            events.append(MessageReceived(self._stream, message))
        return data[size:]

    def _make_room(self, size: int, events: list[Event]) -> None:
        """Go on in a block of `size` bytes; refuse the message if the connection has no room for it."""
        message = self._message
        if size - (len(message) if message is not None else 0) > self._room.left:
            reason = f"messages of more than {MOST_ROOM} bytes have begun on this connection: end some of them first"
            self._refuse(MessageRefused(self._stream, RESOURCE_EXHAUSTED, reason), events)
            return
        larger = memoryview(bytearray(size))
        if message is not None:
            larger[: self._filled] = message[: self._filled]
        self._release()
        self._room.left -= size
        self._message = larger

    def _release(self) -> None:
        if self._message is not None:
            self._room.left += len(self._message)
            self._message = None

    def _refuse(self, refusal: MessageRefused, events: list[Event]) -> None:
        self.close()
        events.append(refusal)


def _refusal(stream: int, compressed: int, length: int, limit: int) -> MessageRefused:
    if compressed == 1:
        return MessageRefused(stream, UNIMPLEMENTED, "compressed messages are not taken: send them uncompressed")
    if compressed:
        return MessageRefused(stream, INTERNAL, f"a message begins with {compressed}, which means nothing in gRPC")
    reason = f"a message of {length} bytes; {limit} are taken: send smaller pieces"
    return MessageRefused(stream, RESOURCE_EXHAUSTED, reason)
