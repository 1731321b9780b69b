"""What happens on an HTTP/2 connection that carries gRPC, as `Http2Connection` reports it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Buffer: TypeAlias = bytes | bytearray | memoryview
"""Bytes of any kind; memoryviews are contiguous, of format 'B'."""

Headers: TypeAlias = list[tuple[str, str]]
"""Names in lower case and values, in the order in which they came; pseudo-headers (":path") first."""


@dataclass(frozen=True, slots=True)
class SettingsReceived:
    """The peer speaks HTTP/2, and its settings are in force; `can_open` may have changed."""


@dataclass(frozen=True, slots=True)
class HeadersReceived:
    """A request, a response, or trailers.  At a server, the first of a stream opens it."""

    stream: int
    headers: Headers
    ended: bool
    """Nothing more comes on this stream; `StreamEnded` follows."""


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """One whole gRPC message."""

    stream: int
    data: memoryview
    """Stays good as long as it is held."""


@dataclass(frozen=True, slots=True)
class MessageRefused:
    """A message came that cannot be taken: too large, or compressed.  Nothing more of this stream is reported but its
    end.  The connection is fine: a server answers with trailers that hold `status`, a client resets the stream.
    """

    stream: int
    status: int
    """The code that gRPC has for this: 8 (RESOURCE_EXHAUSTED), 12 (UNIMPLEMENTED) or 13 (INTERNAL)."""
    reason: str


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """The peer has sent all: once for every stream that it ends, after the trailers if there are any.  A client's
    stream is over with it, a server's stays open for the answer.
    """

    stream: int


@dataclass(frozen=True, slots=True)
class StreamReset:
    """The stream is over at once, in both directions; nothing more can be sent on it.  The peer reset it or broke a
    rule on it, or the connection ended.
    """

    stream: int
    code: int
    """An error code of HTTP/2; REFUSED_STREAM promises that the peer did nothing."""
    reason: str


@dataclass(frozen=True, slots=True)
class GoAwayReceived:
    """The peer takes no new streams.  Those above `last_stream` are reported as reset; the others go on."""

    last_stream: int
    code: int
    debug: str


@dataclass(frozen=True, slots=True)
class Drained:
    """All messages of this stream that waited for flow control have left: `unsent` is 0 again."""

    stream: int


@dataclass(frozen=True, slots=True)
class Pong:
    """The peer answered a `ping`."""


Event: TypeAlias = (
    SettingsReceived
    | HeadersReceived
    | MessageReceived
    | MessageRefused
    | StreamEnded
    | StreamReset
    | GoAwayReceived
    | Drained
    | Pong
)
