"""What every gRPC service of ours is made of: rows, each a method and what answers it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from g2disk.errors import DiskError, Internal
from g2disk.http2.messages import LARGEST_MESSAGE
from g2disk.remote.methods import Method
from g2disk.remote.status import status_of
from g2disk.remote.stream import MessageHandler, MessageStream, Status

Request = TypeVar("Request")
Reply = TypeVar("Reply")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UnaryRow:
    """A method with one request and one reply."""

    method: Method[Any, Any]
    answer: Callable[[Any], Awaitable[Any]]
    carried_through: bool
    """Done to its end although nobody waits for it any more: it changes something."""

    @property
    def path(self) -> str:
        """As gRPC names the call."""
        return self.method.path


@dataclass(frozen=True, slots=True)
class StreamRow:
    """A method with any number of messages in both directions."""

    path: str
    open: Callable[[MessageStream, Mapping[str, str]], MessageHandler]
    """Makes the handler of a call from its sending side and the client's metadata; may raise a `DiskError`."""
    largest: int = LARGEST_MESSAGE
    """Bytes of a message that the client may send."""
    drain: Callable[[], None] = lambda: None
    """The server stops: end every call of this method as soon as what has come is answered."""


Row: TypeAlias = UnaryRow | StreamRow


def row(
    method: Method[Request, Reply], answer: Callable[[Request], Awaitable[Reply]], *, carried_through: bool = False
) -> UnaryRow:
    """A `UnaryRow` whose types agree."""
    return UnaryRow(method, answer, carried_through)


async def reply_to(asked: UnaryRow, request: memoryview) -> bytes | Status:
    """The encoded reply, or the status of the failure, whatever the row's function raises."""
    try:
        return asked.method.encode_reply(await asked.answer(asked.method.decode_request(request)))
    except DiskError as error:
        return status_of(error)
    except Exception as error:
        log.exception("! %s", asked.path)
        return status_of(Internal(f"{type(error).__name__} in the target server; its log says more"))
