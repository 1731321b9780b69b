from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DiskEntry(_message.Message):
    __slots__ = ("name", "identity", "size", "allocated", "read_only", "description")
    NAME_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    ALLOCATED_FIELD_NUMBER: _ClassVar[int]
    READ_ONLY_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    name: str
    identity: str
    size: int
    allocated: int
    read_only: bool
    description: str
    def __init__(self, name: _Optional[str] = ..., identity: _Optional[str] = ..., size: _Optional[int] = ..., allocated: _Optional[int] = ..., read_only: _Optional[bool] = ..., description: _Optional[str] = ...) -> None: ...

class CreateRequest(_message.Message):
    __slots__ = ("name", "size", "description")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    name: str
    size: int
    description: str
    def __init__(self, name: _Optional[str] = ..., size: _Optional[int] = ..., description: _Optional[str] = ...) -> None: ...

class CreateReply(_message.Message):
    __slots__ = ("disk",)
    DISK_FIELD_NUMBER: _ClassVar[int]
    disk: DiskEntry
    def __init__(self, disk: _Optional[_Union[DiskEntry, _Mapping]] = ...) -> None: ...

class ListRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListReply(_message.Message):
    __slots__ = ("disks", "next_page_token", "default_disk")
    DISKS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_DISK_FIELD_NUMBER: _ClassVar[int]
    disks: _containers.RepeatedCompositeFieldContainer[DiskEntry]
    next_page_token: str
    default_disk: str
    def __init__(self, disks: _Optional[_Iterable[_Union[DiskEntry, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., default_disk: _Optional[str] = ...) -> None: ...

class GetRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetReply(_message.Message):
    __slots__ = ("disk",)
    DISK_FIELD_NUMBER: _ClassVar[int]
    disk: DiskEntry
    def __init__(self, disk: _Optional[_Union[DiskEntry, _Mapping]] = ...) -> None: ...

class ResizeRequest(_message.Message):
    __slots__ = ("name", "identity", "size", "allow_shrink")
    NAME_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    ALLOW_SHRINK_FIELD_NUMBER: _ClassVar[int]
    name: str
    identity: str
    size: int
    allow_shrink: bool
    def __init__(self, name: _Optional[str] = ..., identity: _Optional[str] = ..., size: _Optional[int] = ..., allow_shrink: _Optional[bool] = ...) -> None: ...

class ResizeReply(_message.Message):
    __slots__ = ("disk",)
    DISK_FIELD_NUMBER: _ClassVar[int]
    disk: DiskEntry
    def __init__(self, disk: _Optional[_Union[DiskEntry, _Mapping]] = ...) -> None: ...

class DeleteRequest(_message.Message):
    __slots__ = ("name", "identity")
    NAME_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    name: str
    identity: str
    def __init__(self, name: _Optional[str] = ..., identity: _Optional[str] = ...) -> None: ...

class DeleteReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
