"""The calls of every service, each with its path and its four conversions between messages and bytes.

Servers and clients both take their methods from here, so that neither can differ from the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from google.protobuf.message import DecodeError, Message

from g2disk.errors import Corrupt
from g2disk.remote import codec
from g2disk.remote.pb import catalogue_pb2, disk_pb2, reference_pb2

Request = TypeVar("Request")
Reply = TypeVar("Reply")
AnyMessage = TypeVar("AnyMessage", bound=Message)

Data = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Method(Generic[Request, Reply]):
    """One unary call.  The decoders raise `Corrupt` for bytes that are no such message."""

    service: str
    name: str
    encode_request: Callable[[Request], bytes]
    decode_request: Callable[[Data], Request]
    encode_reply: Callable[[Reply], bytes]
    decode_reply: Callable[[Data], Reply]

    @property
    def path(self) -> str:
        """As gRPC names the call."""
        return f"/{self.service}/{self.name}"


def _encode(message: Message) -> bytes:
    return message.SerializeToString()


def _decoder(kind: type[AnyMessage]) -> Callable[[Data], AnyMessage]:
    def decode(raw: Data) -> AnyMessage:
        try:
            return kind.FromString(bytes(raw))
        except DecodeError as error:
            raise Corrupt(
                f"what came is no {kind.DESCRIPTOR.full_name}; the sender is not speaking g2disk's protocol"
            ) from error

    return decode


def plain(service: str, name: str, request: type[Any], reply: type[Any]) -> Method[Any, Any]:
    """A call whose messages are of protobuf's generated classes."""
    return Method(service, name, _encode, _decoder(request), _encode, _decoder(reply))


DISK = "g2disk.v1.Disk"
CATALOGUE = "g2disk.v1.Catalogue"
REFERENCE = "g2disk.G2DiskService"

_read_request = _decoder(disk_pb2.ReadRequest)
_write_reply = _decoder(disk_pb2.WriteReply)

DESCRIBE: Method[disk_pb2.DescribeRequest, disk_pb2.DescribeReply] = plain(
    DISK, "Describe", disk_pb2.DescribeRequest, disk_pb2.DescribeReply
)
READ: Method[disk_pb2.ReadRequest, Data] = Method(
    DISK, "Read", _encode, _read_request, codec.encode_read_reply, codec.decode_read_reply
)
WRITE: Method[codec.WriteRequest, disk_pb2.WriteReply] = Method(
    DISK, "Write", codec.encode_write_request, codec.decode_write_request, _encode, _write_reply
)
FLUSH: Method[disk_pb2.FlushRequest, disk_pb2.FlushReply] = plain(
    DISK, "Flush", disk_pb2.FlushRequest, disk_pb2.FlushReply
)
TRIM: Method[disk_pb2.TrimRequest, disk_pb2.TrimReply] = plain(DISK, "Trim", disk_pb2.TrimRequest, disk_pb2.TrimReply)
ZERO: Method[disk_pb2.ZeroRequest, disk_pb2.ZeroReply] = plain(DISK, "Zero", disk_pb2.ZeroRequest, disk_pb2.ZeroReply)
EXTENTS: Method[disk_pb2.ExtentsRequest, disk_pb2.ExtentsReply] = plain(
    DISK, "Extents", disk_pb2.ExtentsRequest, disk_pb2.ExtentsReply
)
CACHE: Method[disk_pb2.CacheRequest, disk_pb2.CacheReply] = plain(
    DISK, "Cache", disk_pb2.CacheRequest, disk_pb2.CacheReply
)

CREATE: Method[catalogue_pb2.CreateRequest, catalogue_pb2.CreateReply] = plain(
    CATALOGUE, "Create", catalogue_pb2.CreateRequest, catalogue_pb2.CreateReply
)
LIST: Method[catalogue_pb2.ListRequest, catalogue_pb2.ListReply] = plain(
    CATALOGUE, "List", catalogue_pb2.ListRequest, catalogue_pb2.ListReply
)
GET: Method[catalogue_pb2.GetRequest, catalogue_pb2.GetReply] = plain(
    CATALOGUE, "Get", catalogue_pb2.GetRequest, catalogue_pb2.GetReply
)
RESIZE: Method[catalogue_pb2.ResizeRequest, catalogue_pb2.ResizeReply] = plain(
    CATALOGUE, "Resize", catalogue_pb2.ResizeRequest, catalogue_pb2.ResizeReply
)
DELETE: Method[catalogue_pb2.DeleteRequest, catalogue_pb2.DeleteReply] = plain(
    CATALOGUE, "Delete", catalogue_pb2.DeleteRequest, catalogue_pb2.DeleteReply
)
CREATE_SNAPSHOT: Method[catalogue_pb2.CreateSnapshotRequest, catalogue_pb2.CreateSnapshotReply] = plain(
    CATALOGUE, "CreateSnapshot", catalogue_pb2.CreateSnapshotRequest, catalogue_pb2.CreateSnapshotReply
)
LIST_SNAPSHOTS: Method[catalogue_pb2.ListSnapshotsRequest, catalogue_pb2.ListSnapshotsReply] = plain(
    CATALOGUE, "ListSnapshots", catalogue_pb2.ListSnapshotsRequest, catalogue_pb2.ListSnapshotsReply
)
DELETE_SNAPSHOT: Method[catalogue_pb2.DeleteSnapshotRequest, catalogue_pb2.DeleteSnapshotReply] = plain(
    CATALOGUE, "DeleteSnapshot", catalogue_pb2.DeleteSnapshotRequest, catalogue_pb2.DeleteSnapshotReply
)
ROLLBACK: Method[catalogue_pb2.RollbackRequest, catalogue_pb2.RollbackReply] = plain(
    CATALOGUE, "Rollback", catalogue_pb2.RollbackRequest, catalogue_pb2.RollbackReply
)
CLONE: Method[catalogue_pb2.CloneRequest, catalogue_pb2.CloneReply] = plain(
    CATALOGUE, "Clone", catalogue_pb2.CloneRequest, catalogue_pb2.CloneReply
)
MAP: Method[catalogue_pb2.MapRequest, catalogue_pb2.MapReply] = plain(
    CATALOGUE, "Map", catalogue_pb2.MapRequest, catalogue_pb2.MapReply
)

REFERENCE_GET_SIZE: Method[reference_pb2.GetSizeRequest, reference_pb2.GetSizeResponse] = plain(
    REFERENCE, "GetSize", reference_pb2.GetSizeRequest, reference_pb2.GetSizeResponse
)
REFERENCE_READ: Method[reference_pb2.ReadRequest, Data] = Method(
    REFERENCE,
    "Read",
    _encode,
    _decoder(reference_pb2.ReadRequest),
    codec.encode_read_reply,
    codec.decode_read_reply,
)
REFERENCE_WRITE: Method[codec.ReferenceWrite, reference_pb2.WriteResponse] = Method(
    REFERENCE,
    "Write",
    codec.encode_reference_write,
    codec.decode_reference_write,
    _encode,
    _decoder(reference_pb2.WriteResponse),
)
