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
