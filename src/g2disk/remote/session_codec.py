"""The messages of a Session, encoded and decoded by hand in protobuf's wire format: whole columns at a time, with no
copy of the data.

Pure.  Every message of a session begins with the same fields (client, attempt, disk, identity; or identity, instance,
attempt), which are encoded once, and compared as bytes when they come in.  What follows in the form that protobuf
libraries write, fields in order and columns packed, is taken apart by one call of `struct`.  Any other valid encoding
is left to the generated classes: slower, and just as right.  Source: proto/g2disk/v1/disk.proto, "SESSION", and
protobuf's "Encoding" page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from google.protobuf.message import DecodeError, Message

from g2disk.errors import Corrupt
from g2disk.remote.pb import disk_pb2
from g2disk.remote.session_wire import (
    NO_DATA,
    column_length,
    payload_at,
    reply_format,
    reply_tags,
    request_format,
    request_tags,
    varint,
)

Data = bytes | bytearray | memoryview
AnyMessage = TypeVar("AnyMessage", bound=Message)

SESSION_PATH = "/g2disk.v1.Disk/Session"
"""As gRPC names the call."""

NOT_BEGUN = "g2disk-unanswered", "not-begun"
"""The trailing metadata of a server that has done nothing of what it did not answer; see disk.proto, "ENDINGS"."""


@dataclass(frozen=True, slots=True)
class RequestHead:
    """What every SessionRequest says first."""

    client: bytes
    attempt: int
    disk: str = ""
    identity: str = ""


@dataclass(frozen=True, slots=True)
class ReplyHead:
    """What every SessionReply says first."""

    identity: str
    instance: str
    attempt: int


@dataclass(slots=True)
class RequestMessage:
    """g2disk.v1.SessionRequest; the columns may differ in length, and the payload may have any."""

    head: RequestHead
    ids: Sequence[int] = ()
    operations: Sequence[int] = ()
    offsets: Sequence[int] = ()
    lengths: Sequence[int] = ()
    payload: memoryview = NO_DATA
    open: disk_pb2.SessionOpen | None = None


@dataclass(slots=True)
class ReplyMessage:
    """g2disk.v1.SessionReply; the columns may differ in length, and the payload may have any."""

    head: ReplyHead
    ids: Sequence[int] = ()
    lengths: Sequence[int] = ()
    payload: memoryview = NO_DATA
    errors: Sequence[disk_pb2.SessionError] = field(default=())
    opened: disk_pb2.SessionOpened | None = None
    description: disk_pb2.DescribeReply | None = None
    """What Describe would answer now, where that has changed."""


def request_prefix(head: RequestHead) -> bytes:
    """The bytes that every SessionRequest with this head begins with."""
    return disk_pb2.SessionRequest(
        client=head.client, attempt=head.attempt, disk=head.disk, identity=head.identity
    ).SerializeToString(deterministic=True)


def reply_prefix(head: ReplyHead) -> bytes:
    """The bytes that every SessionReply with this head begins with."""
    return disk_pb2.SessionReply(
        identity=head.identity, instance=head.instance, attempt=head.attempt
    ).SerializeToString(deterministic=True)


def encode_requests(
    prefix: bytes,
    ids: Sequence[int],
    operations: Sequence[int],
    offsets: Sequence[int],
    lengths: Sequence[int],
    payload: Sequence[Data] = (),
) -> list[Data]:
    """A SessionRequest in parts to be joined: what stands before the data, and then the data as it was given.

    Raises `struct.error` for numbers that are too large.
    """
    columns = b""
    if ids:
        ids_at, operations_at, offsets_at, lengths_at = request_tags(len(ids))
        columns = request_format(len(ids)).pack(
            ids_at, *ids, operations_at, *operations, offsets_at, *offsets, lengths_at, *lengths
        )
    return _parts(prefix + columns, payload)


def encode_replies(
    prefix: bytes,
    ids: Sequence[int],
    lengths: Sequence[int],
    payload: Sequence[Data] = (),
    errors: Sequence[disk_pb2.SessionError] = (),
) -> list[Data]:
    """A SessionReply in parts to be joined, as in `encode_requests`."""
    columns = b""
    if ids:
        ids_at, lengths_at = reply_tags(len(ids))
        columns = reply_format(len(ids)).pack(ids_at, *ids, lengths_at, *lengths)
    if errors:
        columns += disk_pb2.SessionReply(errors=errors).SerializeToString(deterministic=True)
    return _parts(prefix + columns, payload)


def encode_open(prefix: bytes, limits: disk_pb2.SessionOpen) -> list[Data]:
    """The first SessionRequest."""
    return [prefix + disk_pb2.SessionRequest(open=limits).SerializeToString(deterministic=True)]


def encode_opened(prefix: bytes, opened: disk_pb2.SessionOpened) -> list[Data]:
    """The first SessionReply."""
    return [prefix + disk_pb2.SessionReply(opened=opened).SerializeToString(deterministic=True)]


def encode_description(prefix: bytes, description: disk_pb2.DescribeReply) -> list[Data]:
    """A SessionReply that says what the disk is by now, and nothing else."""
    return [prefix + disk_pb2.SessionReply(description=description).SerializeToString(deterministic=True)]


Head = TypeVar("Head")


class _Decoder(Generic[Head]):
    """Remembers the bytes that messages begin with, and what they mean."""

    __slots__ = ("_head", "_prefix")

    def __init__(self) -> None:
        self._prefix = b""
        self._head: Head | None = None

    def _known(self, message: memoryview) -> Head | None:
        """What the message says first, if it is what the one before said."""
        return self._head if message[: len(self._prefix)] == self._prefix else None

    def _learn(self, head: Head, prefix: bytes) -> None:
        self._head, self._prefix = head, prefix


class RequestDecoder(_Decoder[RequestHead]):
    """Decodes the SessionRequests of one session, in their order."""

    __slots__ = ()

    def decode(self, message: memoryview) -> RequestMessage:
        """The message, its payload a view into it where that is possible.  Raises `Corrupt`."""
        head = self._known(message)
        if head is not None:
            decoded = self._columns(head, message)
            if decoded is not None:
                return decoded
        return self._any(message)

    def _columns(self, head: RequestHead, message: memoryview) -> RequestMessage | None:
        start = len(self._prefix)
        count = column_length(message, start, 6)
        form = request_format(count)
        if not count or len(message) - start < form.size:
            return None
        payload = payload_at(message, start + form.size)
        values = form.unpack_from(message, start)
        second, third, fourth = count + 1, 2 * count + 2, 3 * count + 3
        if payload is None or (values[0], values[second], values[third], values[fourth]) != request_tags(count):
            return None
        return RequestMessage(
            head,
            values[1:second],
            values[second + 1 : third],
            values[third + 1 : fourth],
            values[fourth + 1 :],
            payload,
        )

    def _any(self, message: memoryview) -> RequestMessage:
        said = _parse(disk_pb2.SessionRequest, message)
        head = RequestHead(said.client, said.attempt, said.disk, said.identity)
        self._learn(head, request_prefix(head))
        return RequestMessage(
            head,
            said.ids,
            said.operations,
            said.offsets,
            said.lengths,
            memoryview(said.payload),
            said.open if said.HasField("open") else None,
        )


class ReplyDecoder(_Decoder[ReplyHead]):
    """Decodes the SessionReplies of one session, in their order."""

    __slots__ = ()

    def decode(self, message: memoryview) -> ReplyMessage:
        """The message, its payload a view into it where that is possible.  Raises `Corrupt`."""
        head = self._known(message)
        if head is not None:
            decoded = self._columns(head, message)
            if decoded is not None:
                return decoded
        return self._any(message)

    def _columns(self, head: ReplyHead, message: memoryview) -> ReplyMessage | None:
        start = len(self._prefix)
        count = column_length(message, start, 5)
        form = reply_format(count)
        if not count or len(message) - start < form.size:
            return None
        payload = payload_at(message, start + form.size)
        values = form.unpack_from(message, start)
        second = count + 1
        if payload is None or (values[0], values[second]) != reply_tags(count):
            return None
        return ReplyMessage(head, values[1:second], values[second + 1 :], payload)

    def _any(self, message: memoryview) -> ReplyMessage:
        said = _parse(disk_pb2.SessionReply, message)
        head = ReplyHead(said.identity, said.instance, said.attempt)
        self._learn(head, reply_prefix(head))
        return ReplyMessage(
            head,
            said.ids,
            said.lengths,
            memoryview(said.payload),
            said.errors,
            said.opened if said.HasField("opened") else None,
            said.description if said.HasField("description") else None,
        )


def _parts(head: bytes, payload: Sequence[Data]) -> list[Data]:
    length = sum(map(len, payload))
    if not length:
        return [head]
    return [b"%b\x7a%b" % (head, varint(length)), *payload]


def _parse(kind: type[AnyMessage], message: memoryview) -> AnyMessage:
    try:
        return kind.FromString(bytes(message))
    except DecodeError as error:
        raise Corrupt(
            f"what came is no {kind.DESCRIPTOR.full_name}; the sender is not speaking g2disk's protocol"
        ) from error
