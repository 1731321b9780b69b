from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DescribeRequest(_message.Message):
    __slots__ = ("disk", "identity")
    DISK_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    disk: str
    identity: str
    def __init__(self, disk: _Optional[str] = ..., identity: _Optional[str] = ...) -> None: ...

class DescribeReply(_message.Message):
    __slots__ = ("disk", "identity", "instance", "size", "minimum_block", "preferred_block", "maximum_transfer", "read_only", "capabilities", "description")
    DISK_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_BLOCK_FIELD_NUMBER: _ClassVar[int]
    PREFERRED_BLOCK_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_TRANSFER_FIELD_NUMBER: _ClassVar[int]
    READ_ONLY_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    disk: str
    identity: str
    instance: str
    size: int
    minimum_block: int
    preferred_block: int
    maximum_transfer: int
    read_only: bool
    capabilities: Capabilities
    description: str
    def __init__(self, disk: _Optional[str] = ..., identity: _Optional[str] = ..., instance: _Optional[str] = ..., size: _Optional[int] = ..., minimum_block: _Optional[int] = ..., preferred_block: _Optional[int] = ..., maximum_transfer: _Optional[int] = ..., read_only: _Optional[bool] = ..., capabilities: _Optional[_Union[Capabilities, _Mapping]] = ..., description: _Optional[str] = ...) -> None: ...

class Capabilities(_message.Message):
    __slots__ = ("flush", "trim", "zero", "fast_zero", "extents", "cache", "multi_conn", "rotational")
    FLUSH_FIELD_NUMBER: _ClassVar[int]
    TRIM_FIELD_NUMBER: _ClassVar[int]
    ZERO_FIELD_NUMBER: _ClassVar[int]
    FAST_ZERO_FIELD_NUMBER: _ClassVar[int]
    EXTENTS_FIELD_NUMBER: _ClassVar[int]
    CACHE_FIELD_NUMBER: _ClassVar[int]
    MULTI_CONN_FIELD_NUMBER: _ClassVar[int]
    ROTATIONAL_FIELD_NUMBER: _ClassVar[int]
    flush: bool
    trim: bool
    zero: bool
    fast_zero: bool
    extents: bool
    cache: bool
    multi_conn: bool
    rotational: bool
    def __init__(self, flush: _Optional[bool] = ..., trim: _Optional[bool] = ..., zero: _Optional[bool] = ..., fast_zero: _Optional[bool] = ..., extents: _Optional[bool] = ..., cache: _Optional[bool] = ..., multi_conn: _Optional[bool] = ..., rotational: _Optional[bool] = ...) -> None: ...

class ReadRequest(_message.Message):
    __slots__ = ("disk", "identity", "offset", "length")
    DISK_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    disk: str
    identity: str
    offset: int
    length: int
    def __init__(self, disk: _Optional[str] = ..., identity: _Optional[str] = ..., offset: _Optional[int] = ..., length: _Optional[int] = ...) -> None: ...

class ReadReply(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...

class WriteRequest(_message.Message):
    __slots__ = ("disk", "identity", "offset", "fua", "data")
    DISK_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    FUA_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    disk: str
    identity: str
    offset: int
    fua: bool
    data: bytes
    def __init__(self, disk: _Optional[str] = ..., identity: _Optional[str] = ..., offset: _Optional[int] = ..., fua: _Optional[bool] = ..., data: _Optional[bytes] = ...) -> None: ...

class WriteReply(_message.Message):
    __slots__ = ("instance",)
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    instance: str
    def __init__(self, instance: _Optional[str] = ...) -> None: ...

class FlushRequest(_message.Message):
    __slots__ = ("disk", "identity")
    DISK_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    disk: str
    identity: str
    def __init__(self, disk: _Optional[str] = ..., identity: _Optional[str] = ...) -> None: ...

class FlushReply(_message.Message):
    __slots__ = ("instance",)
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    instance: str
    def __init__(self, instance: _Optional[str] = ...) -> None: ...

class TrimRequest(_message.Message):
    __slots__ = ("disk", "identity", "offset", "length", "fua")
    DISK_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    FUA_FIELD_NUMBER: _ClassVar[int]
    disk: str
    identity: str
    offset: int
    length: int
    fua: bool
    def __init__(self, disk: _Optional[str] = ..., identity: _Optional[str] = ..., offset: _Optional[int] = ..., length: _Optional[int] = ..., fua: _Optional[bool] = ...) -> None: ...

class TrimReply(_message.Message):
    __slots__ = ("instance",)
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    instance: str
    def __init__(self, instance: _Optional[str] = ...) -> None: ...

class ZeroRequest(_message.Message):
    __slots__ = ("disk", "identity", "offset", "length", "fua", "keep_allocated", "fast")
    DISK_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    FUA_FIELD_NUMBER: _ClassVar[int]
    KEEP_ALLOCATED_FIELD_NUMBER: _ClassVar[int]
    FAST_FIELD_NUMBER: _ClassVar[int]
    disk: str
    identity: str
    offset: int
    length: int
    fua: bool
    keep_allocated: bool
    fast: bool
    def __init__(self, disk: _Optional[str] = ..., identity: _Optional[str] = ..., offset: _Optional[int] = ..., length: _Optional[int] = ..., fua: _Optional[bool] = ..., keep_allocated: _Optional[bool] = ..., fast: _Optional[bool] = ...) -> None: ...

class ZeroReply(_message.Message):
    __slots__ = ("instance",)
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    instance: str
    def __init__(self, instance: _Optional[str] = ...) -> None: ...

class ExtentsRequest(_message.Message):
    __slots__ = ("disk", "identity", "offset", "length")
    DISK_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    disk: str
    identity: str
    offset: int
    length: int
    def __init__(self, disk: _Optional[str] = ..., identity: _Optional[str] = ..., offset: _Optional[int] = ..., length: _Optional[int] = ...) -> None: ...

class ExtentsReply(_message.Message):
    __slots__ = ("lengths", "states")
    LENGTHS_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    lengths: _containers.RepeatedScalarFieldContainer[int]
    states: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, lengths: _Optional[_Iterable[int]] = ..., states: _Optional[_Iterable[int]] = ...) -> None: ...

class CacheRequest(_message.Message):
    __slots__ = ("disk", "identity", "offset", "length")
    DISK_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    disk: str
    identity: str
    offset: int
    length: int
    def __init__(self, disk: _Optional[str] = ..., identity: _Optional[str] = ..., offset: _Optional[int] = ..., length: _Optional[int] = ...) -> None: ...

class CacheReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SessionRequest(_message.Message):
    __slots__ = ("client", "attempt", "disk", "identity", "open", "ids", "operations", "offsets", "lengths", "payload")
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    DISK_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    OFFSETS_FIELD_NUMBER: _ClassVar[int]
    LENGTHS_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    client: bytes
    attempt: int
    disk: str
    identity: str
    open: SessionOpen
    ids: _containers.RepeatedScalarFieldContainer[int]
    operations: _containers.RepeatedScalarFieldContainer[int]
    offsets: _containers.RepeatedScalarFieldContainer[int]
    lengths: _containers.RepeatedScalarFieldContainer[int]
    payload: bytes
    def __init__(self, client: _Optional[bytes] = ..., attempt: _Optional[int] = ..., disk: _Optional[str] = ..., identity: _Optional[str] = ..., open: _Optional[_Union[SessionOpen, _Mapping]] = ..., ids: _Optional[_Iterable[int]] = ..., operations: _Optional[_Iterable[int]] = ..., offsets: _Optional[_Iterable[int]] = ..., lengths: _Optional[_Iterable[int]] = ..., payload: _Optional[bytes] = ...) -> None: ...

class SessionOpen(_message.Message):
    __slots__ = ("maximum_in_flight_requests", "maximum_in_flight_bytes", "maximum_message")
    MAXIMUM_IN_FLIGHT_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_IN_FLIGHT_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    maximum_in_flight_requests: int
    maximum_in_flight_bytes: int
    maximum_message: int
    def __init__(self, maximum_in_flight_requests: _Optional[int] = ..., maximum_in_flight_bytes: _Optional[int] = ..., maximum_message: _Optional[int] = ...) -> None: ...

class SessionReply(_message.Message):
    __slots__ = ("identity", "instance", "attempt", "opened", "ids", "lengths", "errors", "description", "payload")
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    OPENED_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    LENGTHS_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    identity: str
    instance: str
    attempt: int
    opened: SessionOpened
    ids: _containers.RepeatedScalarFieldContainer[int]
    lengths: _containers.RepeatedScalarFieldContainer[int]
    errors: _containers.RepeatedCompositeFieldContainer[SessionError]
    description: DescribeReply
    payload: bytes
    def __init__(self, identity: _Optional[str] = ..., instance: _Optional[str] = ..., attempt: _Optional[int] = ..., opened: _Optional[_Union[SessionOpened, _Mapping]] = ..., ids: _Optional[_Iterable[int]] = ..., lengths: _Optional[_Iterable[int]] = ..., errors: _Optional[_Iterable[_Union[SessionError, _Mapping]]] = ..., description: _Optional[_Union[DescribeReply, _Mapping]] = ..., payload: _Optional[bytes] = ...) -> None: ...

class SessionOpened(_message.Message):
    __slots__ = ("description", "maximum_in_flight_requests", "maximum_in_flight_bytes", "maximum_message")
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_IN_FLIGHT_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_IN_FLIGHT_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    description: DescribeReply
    maximum_in_flight_requests: int
    maximum_in_flight_bytes: int
    maximum_message: int
    def __init__(self, description: _Optional[_Union[DescribeReply, _Mapping]] = ..., maximum_in_flight_requests: _Optional[int] = ..., maximum_in_flight_bytes: _Optional[int] = ..., maximum_message: _Optional[int] = ...) -> None: ...

class SessionError(_message.Message):
    __slots__ = ("id", "kind", "errno", "message")
    ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ERRNO_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    id: int
    kind: str
    errno: int
    message: str
    def __init__(self, id: _Optional[int] = ..., kind: _Optional[str] = ..., errno: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...
