"""The client's end of a Session, with nothing but grpc and the generated messages: it keeps no rule by itself."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, NamedTuple

import grpc

from g2disk.remote.pb import disk_pb2 as pb

READ, WRITE, FLUSH, TRIM, CACHE, ZERO, EXTENTS = 0, 1, 3, 4, 5, 6, 7
PATIENCE = 20.0

_clients = itertools.count(1)


class Ask(NamedTuple):
    """One request of a batch."""

    number: int
    word: int
    offset: int = 0
    length: int = 0
    data: bytes = b""


class Ended(NamedTuple):
    """How a stream ended."""

    status: grpc.StatusCode
    kind: str = ""
    errno: int = 0


@dataclass
class Answers:
    """Replies gathered: the data of what succeeded, and (kind, errno) of what failed, by id."""

    data: dict[int, bytes]
    errors: dict[int, tuple[str, int]]


def new_client() -> bytes:
    """A client id that nobody has used."""
    return next(_clients).to_bytes(16, "big")


class SessionClient:
    """One stream.  What every message says first can be changed by the test."""

    def __init__(self, channel: grpc.Channel, client: bytes = b"", attempt: int = 1) -> None:
        self.head: dict[str, Any] = {"client": client or new_client(), "attempt": attempt}
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        method: Any = channel.stream_stream("/g2disk.v1.Disk/Session", None, pb.SessionReply.FromString)
        self._call = method(iter(self._queue.get, None), timeout=PATIENCE, wait_for_ready=True)

    def send_bytes(self, message: bytes) -> None:
        """Send this message, whatever it is."""
        self._queue.put(message)

    def send(self, **fields: Any) -> None:
        """Send one message, with the head."""
        self.send_bytes(pb.SessionRequest(**{**self.head, **fields}).SerializeToString())

    def open(self, **limits: Any) -> pb.SessionReply:
        """Open the session; from then on the head has the disk's name and identity."""
        self.send(open=pb.SessionOpen(**limits))
        reply = self.receive()
        assert reply.HasField("opened")
        assert not reply.ids
        assert not reply.errors
        self.head |= {"disk": reply.opened.description.disk, "identity": reply.identity}
        return reply

    def ask(self, *asked: Ask) -> None:
        """Send one batch."""
        numbers, words, offsets, lengths, data = zip(*asked, strict=True)
        self.send(ids=numbers, operations=words, offsets=offsets, lengths=lengths, payload=b"".join(data))

    def receive(self) -> pb.SessionReply:
        """The next message."""
        reply: pb.SessionReply = next(self._call)
        return reply

    def answers(self, count: int) -> Answers:
        """Receive until `count` requests were answered; each only once."""
        found = Answers({}, {})
        while len(found.data) + len(found.errors) < count:
            reply, at = self.receive(), 0
            for number, length in zip(reply.ids, reply.lengths, strict=True):
                assert number not in found.data
                found.data[number] = reply.payload[at : at + length]
                at += length
            assert at == len(reply.payload)
            found.errors |= {error.id: (error.kind, error.errno) for error in reply.errors}
        return found

    def do(self, *asked: Ask) -> Answers:
        """Send one batch, and receive its answers."""
        self.ask(*asked)
        return self.answers(len(asked))

    def half_close(self) -> None:
        """Say that no more requests come."""
        self._queue.put(None)

    def cancel(self) -> None:
        """Break the stream."""
        self._call.cancel()

    def ended(self) -> Ended:
        """How the stream ends, which it must do without another message."""
        try:
            extra = next(self._call, None)
        except grpc.RpcError:
            extra = None
        assert extra is None, extra
        trailers = dict(self._call.trailing_metadata())
        return Ended(self._call.code(), trailers.get("g2disk-kind", ""), int(trailers.get("g2disk-errno", 0)))

    def close(self) -> None:
        """Leave nothing behind."""
        self._call.cancel()
        self._queue.put(None)


class Channel:
    """Makes sessions, and calls of their own, at one server."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel
        self.sessions: list[SessionClient] = []

    def session(self, client: bytes = b"", attempt: int = 1) -> SessionClient:
        """A new stream, on which nothing was sent."""
        session = SessionClient(self.channel, client, attempt)
        self.sessions.append(session)
        return session

    def opened(self, client: bytes = b"", attempt: int = 1) -> SessionClient:
        """An open session."""
        session = self.session(client, attempt)
        session.open()
        return session

    def read(self, offset: int, length: int) -> bytes:
        """By a call of its own."""
        send = self.channel.unary_unary(
            "/g2disk.v1.Disk/Read", pb.ReadRequest.SerializeToString, pb.ReadReply.FromString
        )
        reply: pb.ReadReply = send(pb.ReadRequest(offset=offset, length=length), timeout=PATIENCE)
        return reply.data


@contextmanager
def channel_to(endpoint: str, options: Iterable[tuple[str, int]] = ()) -> Iterator[Channel]:
    """A channel; its sessions are broken when the block ends."""
    with grpc.insecure_channel(endpoint, options=tuple(options)) as plain:
        channel = Channel(plain)
        try:
            yield channel
        finally:
            for session in channel.sessions:
                session.close()
