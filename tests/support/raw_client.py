"""A client of a Session in one event loop with the server, which says what the test says."""

from __future__ import annotations

from typing import Any

from g2disk.remote.pb import disk_pb2
from g2disk.remote.stream import Status
from tests.support.session import Server, until
from tests.support.streams import ClientEnd

CLIENT = b"0123456789abcdef"


class RawClient:
    """Says what the test says, and keeps what comes."""

    def __init__(self, server: Server, client: bytes = CLIENT, attempt: int = 1) -> None:
        self.replies: list[disk_pb2.SessionReply] = []
        self.status: Status | None = None
        self.identity = ""
        self.client, self.attempt = client, attempt
        self.stream: ClientEnd = server.streams.connect(self)

    def message(self, data: memoryview) -> None:
        self.replies.append(disk_pb2.SessionReply.FromString(bytes(data)))

    def drained(self) -> None:
        """Nobody waits for it."""

    def ended(self, status: Status) -> None:
        self.status = status

    def send(self, **fields: Any) -> None:
        said = {"client": self.client, "attempt": self.attempt, "disk": "default", "identity": self.identity, **fields}
        self.stream.send([disk_pb2.SessionRequest(**said).SerializeToString()])

    def ask(self, number: int, operation: int, offset: int, length: int, payload: bytes = b"") -> None:
        self.send(ids=[number], operations=[operation], offsets=[offset], lengths=[length], payload=payload)

    async def open(self, **limits: int) -> disk_pb2.SessionOpened:
        self.send(open=disk_pb2.SessionOpen(**limits))
        await until(lambda: bool(self.replies) or self.status is not None)
        self.identity = self.replies[0].identity
        return self.replies[0].opened

    async def over(self) -> Status:
        await until(lambda: self.status is not None)
        assert self.status is not None
        return self.status
