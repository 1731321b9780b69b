"""`Connection`, one gRPC channel to a target server, with g2disk's rules of waiting and repeating."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import grpc
from grpc import StatusCode

from g2disk.cancellation import to_the_end
from g2disk.clock import Clock, SystemClock
from g2disk.errors import Corrupt, DiskError, Fenced, Unavailable, Unsupported
from g2disk.remote.endpoint import DEFAULT_TIMEOUT, check_endpoint
from g2disk.remote.methods import Method
from g2disk.remote.status import KIND_KEY, kind_of
from g2disk.units import MIB

Request = TypeVar("Request")
Reply = TypeVar("Reply")

CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.http2.max_frame_size", 4 * MIB),
    ("grpc.http2.lookahead_bytes", 16 * MIB),
    ("grpc.http2.bdp_probe", 0),
)
"""What both ends set: no limit on messages, and windows that let a large one through at once."""

_CLIENT_OPTIONS = (
    *CHANNEL_OPTIONS,
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
)

_PAUSE = 0.1
"""Seconds between two attempts of one request."""


class UnknownMethod(Unsupported):
    """The server does not have the method at all (as opposed to: cannot do this for this disk)."""


class Connection:
    """A channel to the target server at `endpoint`; gRPC reconnects it by itself.

    Belongs to the event loop that it was made on.  A request waits up to `timeout` seconds, all repeats included, for
    a server that is away.  Only what cannot do harm is sent again after a failure that may have delivered it.
    """

    def __init__(self, endpoint: str, timeout: float = DEFAULT_TIMEOUT, clock: Clock | None = None) -> None:
        self.endpoint = endpoint
        self.timeout = timeout
        self._clock = clock or SystemClock()
        self._channel = grpc.aio.insecure_channel(check_endpoint(endpoint), options=_CLIENT_OPTIONS)
        self._calls: dict[str, Callable[..., Awaitable[bytes]]] = {}

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

    async def close(self) -> None:
        """End the channel; requests in flight are abandoned."""
        await self._channel.close()

    async def _call(self, method: Method[Request, Reply], request: Request, repeatable: bool, wait: bool) -> Reply:
        deadline = self._clock.now() + self.timeout
        raw_request = method.encode_request(request)
        send = self._calls.get(method.path) or self._stub(method.path)
        while True:
            left = deadline - self._clock.now()
            try:
                raw_reply = await send(raw_request, timeout=max(left, 0.001), wait_for_ready=wait)
            except grpc.aio.AioRpcError as failure:
                error = self._error(failure, method)
                temporary = isinstance(error, Unavailable) and failure.code() is not StatusCode.DEADLINE_EXCEEDED
                if not (temporary and repeatable and wait and left > _PAUSE):
                    raise error from failure
            else:
                return method.decode_reply(raw_reply)
            await self._clock.sleep(_PAUSE)

    def _stub(self, path: str) -> Callable[..., Awaitable[bytes]]:
        stub: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(path)
        self._calls[path] = stub
        return stub

    def _error(self, failure: grpc.aio.AioRpcError, method: Method[Any, Any]) -> DiskError:
        status, details = failure.code(), failure.details() or ""
        trailers = [(str(key), value) for key, value in failure.trailing_metadata() or ()]
        if any(key == KIND_KEY for key, _ in trailers):
            return kind_of(status, trailers)(details)
        where = f"the server at {self.endpoint}"
        if status is StatusCode.UNIMPLEMENTED:
            return UnknownMethod(f"{where} has no {method.name}: {details}")
        if status is StatusCode.DEADLINE_EXCEEDED:
            return Unavailable(
                f"{where} did not answer {method.name} within {self.timeout:g} s; see whether it runs and is not stuck"
            )
        if status in (StatusCode.UNAVAILABLE, StatusCode.CANCELLED):
            reason = details.rsplit(": ", 1)[-1]
            if "failed to connect" in details.lower():
                return Unavailable(f"cannot reach {self.endpoint}: {reason}; start a server there with `g2disk serve`")
            return Unavailable(f"the connection to {self.endpoint} broke during {method.name}: {reason}")
        kind = kind_of(status, trailers)
        if kind is Fenced:
            return Fenced(f"{where} serves another disk now: {details}")
        return kind(f"{where} answered {method.name} with {status.name}: {details}")


def check_reply(connection: Connection, condition: bool, what: str) -> None:
    """Raise `Corrupt` saying `what` unless the server's reply meets the condition."""
    if not condition:
        raise Corrupt(f"{what}; the target server at {connection.endpoint} is broken")
