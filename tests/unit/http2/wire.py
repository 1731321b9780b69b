"""Connections joined in memory, and bytes that a peer of any kind might send."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from g2disk.http2 import frames
from g2disk.http2.connection import Http2Connection
from g2disk.http2.events import Event, MessageReceived
from g2disk.http2.headers import HeaderEncoder

REQUEST = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/g2disk.v1.Disk/Session"),
    (":authority", "localhost"),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
]
RESPONSE = [(":status", "200"), ("content-type", "application/grpc")]
TRAILERS = [("grpc-status", "0")]

Split = Callable[[int], int]
"""How many of so many bytes arrive now; at least 1."""


def whole(length: int) -> int:
    """Everything arrives at once."""
    return length


def feed(connection: Http2Connection, data: bytes, split: Split = whole) -> list[Event]:
    """Have a connection receive `data`, in pieces of what sizes `split` says."""
    events, rest = [], memoryview(data)
    while rest:
        target = connection.writable()
        size = min(len(target), split(len(rest)))
        target[:size] = rest[:size]
        del target
        rest = rest[size:]
        events += connection.filled(size)
    return events


def sent(connection: Http2Connection) -> bytes:
    """What it sends now."""
    return b"".join(connection.data_to_send())


def move(source: Http2Connection, target: Http2Connection, split: Split = whole) -> list[Event]:
    """Carry what one connection sends to the other."""
    return feed(target, sent(source), split)


def connected() -> tuple[Http2Connection, Http2Connection]:
    """A client and a server that have exchanged settings."""
    client, server = Http2Connection(client=True), Http2Connection(client=False)
    for _ in range(2):
        move(client, server)
        move(server, client)
    return client, server


def foreign_client(settings: Iterable[tuple[int, int]] = ()) -> Http2Connection:
    """A server whose client, bytes that the test makes, has sent its settings."""
    server = Http2Connection(client=False)
    feed(server, frames.PREFACE + frames.settings(settings))
    server.data_to_send()
    return server


def foreign_server(settings: Iterable[tuple[int, int]] = ()) -> Http2Connection:
    """A client whose server, bytes that the test makes, has sent its settings."""
    client = Http2Connection(client=True)
    feed(client, frames.settings(settings))
    client.data_to_send()
    return client


def block(headers: Iterable[tuple[str, str]]) -> bytes:
    """A header block that does not depend on those before."""
    return HeaderEncoder().encode(list(headers))


def request(stream: int = 1, flags: int = frames.END_HEADERS, headers: Iterable[tuple[str, str]] = REQUEST) -> bytes:
    """A HEADERS frame that opens a stream."""
    return frames.frame(frames.HEADERS, flags, stream, block(headers))


def message(data: bytes, flag: int = 0) -> bytes:
    """A gRPC message with its prefix."""
    return frames.PREFIX.pack(flag, len(data)) + data


def data(stream: int, payload: bytes, flags: int = 0) -> bytes:
    """A DATA frame."""
    return frames.frame(frames.DATA, flags, stream, payload)


def parsed(raw: bytes) -> list[tuple[int, int, int, bytes]]:
    """The frames in `raw`: type, flags, stream, payload."""
    found, start = [], 0
    while start < len(raw):
        word, flags, stream = frames.HEADER.unpack_from(raw, start)
        start += frames.HEADER_LENGTH
        found.append((word & 0xFF, flags, stream, raw[start : start + (word >> 8)]))
        start += word >> 8
    return found


def sent_frames(connection: Http2Connection) -> list[tuple[int, int, int, bytes]]:
    """The frames that it sends now."""
    return parsed(sent(connection))


def messages(events: Iterable[Event]) -> list[bytes]:
    """The messages that were received."""
    return [bytes(event.data) for event in events if isinstance(event, MessageReceived)]
