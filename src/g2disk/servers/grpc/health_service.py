"""grpc.health.v1: whether the server, and each of its services, takes requests.

Source: gRPC's "Health checking protocol".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from grpc_health.v1 import health_pb2

from g2disk.errors import Corrupt, NotFound
from g2disk.remote.methods import Method, plain
from g2disk.remote.status import StatusCode, status_of
from g2disk.remote.stream import MessageStream, Status
from g2disk.servers.grpc.handlers import Row, StreamRow, row

HEALTH = "grpc.health.v1.Health"

_CHECK: Method[Any, Any] = plain(HEALTH, "Check", health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse)
_SERVING, _NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


class Health:
    """Says SERVING for these services, and for the server as a whole (the empty name), until it is drained."""

    def __init__(self, services: Sequence[str]) -> None:
        self._services = {"", *services}
        self._serving = True
        self._watches: set[_Watch] = set()

    def rows(self) -> list[Row]:
        """The rows of the service."""
        return [row(_CHECK, self._check), StreamRow(f"/{HEALTH}/Watch", self._watch, drain=self._drain)]

    def state(self, service: str) -> int | None:
        """Of a service; None for one that is not known."""
        if service not in self._services:
            return None
        return int(_SERVING if self._serving else _NOT_SERVING)

    async def _check(self, request: Any) -> Any:
        state = self.state(request.service)
        if state is None:
            raise NotFound(f"there is no service {request.service[:200]!r} here")
        return health_pb2.HealthCheckResponse(status=state)

    def _watch(self, stream: MessageStream, _metadata: Mapping[str, str]) -> _Watch:
        watch = _Watch(self, stream, self._watches.discard)
        self._watches.add(watch)
        return watch

    def _drain(self) -> None:
        self._serving = False
        while self._watches:
            self._watches.pop().finish()


class _Watch:
    """One call of Watch: the state now, and every change of it."""

    def __init__(self, health: Health, stream: MessageStream, closed: Any) -> None:
        self._health, self._stream, self._closed = health, stream, closed
        self._service: str | None = None

    def message(self, data: memoryview) -> None:
        """What to watch."""
        if self._service is not None:
            return
        try:
            self._service = _CHECK.decode_request(data).service
        except Corrupt as error:
            self._closed(self)
            self._stream.end(status_of(error))
        else:
            self._say()

    def drained(self) -> None:
        """See `MessageHandler.drained`."""

    def ended(self, status: Status) -> None:
        """The client goes on watching after it has said what."""
        if status.code != StatusCode.OK:
            self._closed(self)
        elif self._service is None:
            self._closed(self)
            self._stream.end(Status(StatusCode.UNIMPLEMENTED, "no request in a call that takes one"))

    def finish(self) -> None:
        """The state has changed for the last time."""
        self._say()
        self._stream.end(Status(StatusCode.UNAVAILABLE, "the server stops"))

    def _say(self) -> None:
        if self._service is not None:
            state = self._health.state(self._service)
            if state is None:
                state = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
            self._stream.send((health_pb2.HealthCheckResponse(status=state).SerializeToString(),))
