"""A bidirectional gRPC stream of messages, as the two ends of a Session see it: callbacks on one event loop.

What carries it is `g2disk.remote.channel` at the client, and `g2disk.servers.grpc` at the server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from g2disk.disk import Buffer


@dataclass(frozen=True, slots=True)
class Status:
    """How a call ended."""

    code: int
    """gRPC's status code; 0 is OK."""
    message: str = ""
    trailers: Mapping[str, str] = field(default_factory=dict)
    """The trailing metadata, keys in lower case."""


class MessageStream(Protocol):
    """The sending side of a call."""

    def send(self, parts: Sequence[Buffer]) -> None:
        """Send one message, the parts joined.  They are not copied, and stay as they are until they have been sent.

        Never waits: what the other end does not take yet is kept in order, and counted by `unsent`.  Does nothing once
        the call has ended.
        """

    @property
    def unsent(self) -> int:
        """Bytes of messages that wait for the other end or for the socket."""

    def pause(self) -> None:
        """Let no more than a window's worth of messages come (they still may, for a while)."""

    def resume(self) -> None:
        """The opposite of `pause`."""

    def end(self, status: Status | None = None) -> None:
        """Nothing more will be sent.  A server gives the call's status; `ended` is not called for that."""

    def abort(self) -> None:
        """End the call at once, in both directions; `ended` is not called."""


class MessageHandler(Protocol):
    """The receiving side of a call.  What these raise is a bug, and ends the connection."""

    def message(self, data: memoryview) -> None:
        """A message came.  The view stays good as long as it is held."""

    def drained(self) -> None:
        """All that was sent has left: `unsent` is 0 again after having been more."""

    def ended(self, status: Status) -> None:
        """No more messages will come.  At the client: the call's status, with code 14 (UNAVAILABLE) for a connection
        that broke.  At the server: the client has sent all (code 0), and expects the rest of the answers; or it has
        gone (any other code), and nothing can be sent any more.  May be called twice, the second time for a client that
        goes while it waits.
        """
