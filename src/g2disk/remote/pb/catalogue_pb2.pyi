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
    __slots__ = ("name", "size", "description", "options")
    class OptionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    name: str
    size: int
    description: str
    options: _containers.ScalarMap[str, str]
    def __init__(self, name: _Optional[str] = ..., size: _Optional[int] = ..., description: _Optional[str] = ..., options: _Optional[_Mapping[str, str]] = ...) -> None: ...

class CreateReply(_message.Message):
    __slots__ = ("disk", "options")
    class OptionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    DISK_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    disk: DiskEntry
    options: _containers.ScalarMap[str, str]
    def __init__(self, disk: _Optional[_Union[DiskEntry, _Mapping]] = ..., options: _Optional[_Mapping[str, str]] = ...) -> None: ...

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
    __slots__ = ("name", "with_state")
    NAME_FIELD_NUMBER: _ClassVar[int]
    WITH_STATE_FIELD_NUMBER: _ClassVar[int]
    name: str
    with_state: bool
    def __init__(self, name: _Optional[str] = ..., with_state: _Optional[bool] = ...) -> None: ...

class GetReply(_message.Message):
    __slots__ = ("disk", "state")
    class StateEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: StateValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[StateValue, _Mapping]] = ...) -> None: ...
    DISK_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    disk: DiskEntry
    state: _containers.MessageMap[str, StateValue]
    def __init__(self, disk: _Optional[_Union[DiskEntry, _Mapping]] = ..., state: _Optional[_Mapping[str, StateValue]] = ...) -> None: ...

class StateValue(_message.Message):
    __slots__ = ("count", "amount", "text", "flag")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    FLAG_FIELD_NUMBER: _ClassVar[int]
    count: int
    amount: float
    text: str
    flag: bool
    def __init__(self, count: _Optional[int] = ..., amount: _Optional[float] = ..., text: _Optional[str] = ..., flag: _Optional[bool] = ...) -> None: ...

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

class SnapshotEntry(_message.Message):
    __slots__ = ("name", "created", "size", "clones")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    CLONES_FIELD_NUMBER: _ClassVar[int]
    name: str
    created: float
    size: int
    clones: int
    def __init__(self, name: _Optional[str] = ..., created: _Optional[float] = ..., size: _Optional[int] = ..., clones: _Optional[int] = ...) -> None: ...

class CreateSnapshotRequest(_message.Message):
    __slots__ = ("disk", "snapshot")
    DISK_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    disk: str
    snapshot: str
    def __init__(self, disk: _Optional[str] = ..., snapshot: _Optional[str] = ...) -> None: ...

class CreateSnapshotReply(_message.Message):
    __slots__ = ("snapshot",)
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    snapshot: SnapshotEntry
    def __init__(self, snapshot: _Optional[_Union[SnapshotEntry, _Mapping]] = ...) -> None: ...

class ListSnapshotsRequest(_message.Message):
    __slots__ = ("disk",)
    DISK_FIELD_NUMBER: _ClassVar[int]
    disk: str
    def __init__(self, disk: _Optional[str] = ...) -> None: ...

class ListSnapshotsReply(_message.Message):
    __slots__ = ("snapshots",)
    SNAPSHOTS_FIELD_NUMBER: _ClassVar[int]
    snapshots: _containers.RepeatedCompositeFieldContainer[SnapshotEntry]
    def __init__(self, snapshots: _Optional[_Iterable[_Union[SnapshotEntry, _Mapping]]] = ...) -> None: ...

class DeleteSnapshotRequest(_message.Message):
    __slots__ = ("disk", "snapshot")
    DISK_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    disk: str
    snapshot: str
    def __init__(self, disk: _Optional[str] = ..., snapshot: _Optional[str] = ...) -> None: ...

class DeleteSnapshotReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RollbackRequest(_message.Message):
    __slots__ = ("disk", "identity", "snapshot")
    DISK_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    disk: str
    identity: str
    snapshot: str
    def __init__(self, disk: _Optional[str] = ..., identity: _Optional[str] = ..., snapshot: _Optional[str] = ...) -> None: ...

class RollbackReply(_message.Message):
    __slots__ = ("disk",)
    DISK_FIELD_NUMBER: _ClassVar[int]
    disk: DiskEntry
    def __init__(self, disk: _Optional[_Union[DiskEntry, _Mapping]] = ...) -> None: ...

class CloneRequest(_message.Message):
    __slots__ = ("disk", "snapshot", "new_name")
    DISK_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    NEW_NAME_FIELD_NUMBER: _ClassVar[int]
    disk: str
    snapshot: str
    new_name: str
    def __init__(self, disk: _Optional[str] = ..., snapshot: _Optional[str] = ..., new_name: _Optional[str] = ...) -> None: ...

class CloneReply(_message.Message):
    __slots__ = ("disk",)
    DISK_FIELD_NUMBER: _ClassVar[int]
    disk: DiskEntry
    def __init__(self, disk: _Optional[_Union[DiskEntry, _Mapping]] = ...) -> None: ...

class MapRequest(_message.Message):
    __slots__ = ("disk", "offset", "length", "cells")
    DISK_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    CELLS_FIELD_NUMBER: _ClassVar[int]
    disk: str
    offset: int
    length: int
    cells: int
    def __init__(self, disk: _Optional[str] = ..., offset: _Optional[int] = ..., length: _Optional[int] = ..., cells: _Optional[int] = ...) -> None: ...

class MapReply(_message.Message):
    __slots__ = ("cell_bytes", "written", "oldest", "newest", "segment_number", "segment_epoch", "segment_total", "segment_live", "segment_stored", "segment_is_map")
    CELL_BYTES_FIELD_NUMBER: _ClassVar[int]
    WRITTEN_FIELD_NUMBER: _ClassVar[int]
    OLDEST_FIELD_NUMBER: _ClassVar[int]
    NEWEST_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_TOTAL_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_LIVE_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_STORED_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_IS_MAP_FIELD_NUMBER: _ClassVar[int]
    cell_bytes: int
    written: _containers.RepeatedScalarFieldContainer[int]
    oldest: _containers.RepeatedScalarFieldContainer[int]
    newest: _containers.RepeatedScalarFieldContainer[int]
    segment_number: _containers.RepeatedScalarFieldContainer[int]
    segment_epoch: _containers.RepeatedScalarFieldContainer[int]
    segment_total: _containers.RepeatedScalarFieldContainer[int]
    segment_live: _containers.RepeatedScalarFieldContainer[int]
    segment_stored: _containers.RepeatedScalarFieldContainer[int]
    segment_is_map: _containers.RepeatedScalarFieldContainer[bool]
    def __init__(self, cell_bytes: _Optional[int] = ..., written: _Optional[_Iterable[int]] = ..., oldest: _Optional[_Iterable[int]] = ..., newest: _Optional[_Iterable[int]] = ..., segment_number: _Optional[_Iterable[int]] = ..., segment_epoch: _Optional[_Iterable[int]] = ..., segment_total: _Optional[_Iterable[int]] = ..., segment_live: _Optional[_Iterable[int]] = ..., segment_stored: _Optional[_Iterable[int]] = ..., segment_is_map: _Optional[_Iterable[bool]] = ...) -> None: ...
