"""Errors on the wire: one table between the kinds of g2disk and gRPC's status codes, used by both ends.

Source: proto/g2disk/v1/disk.proto, "ERRORS".
"""

from __future__ import annotations

from collections.abc import Iterable

from grpc import StatusCode

from g2disk.errors import (
    Busy,
    Corrupt,
    Denied,
    DiskError,
    Exists,
    Fenced,
    Internal,
    Invalid,
    NotFound,
    OutOfRange,
    OutOfSpace,
    ReadOnly,
    Unavailable,
    Unsupported,
    kind_named,
    kind_of_errno,
    kind_of_error,
)

KIND_KEY = "g2disk-kind"
ERRNO_KEY = "g2disk-errno"

STATUS: dict[type[DiskError], StatusCode] = {
    Invalid: StatusCode.INVALID_ARGUMENT,
    OutOfRange: StatusCode.OUT_OF_RANGE,
    OutOfSpace: StatusCode.RESOURCE_EXHAUSTED,
    ReadOnly: StatusCode.FAILED_PRECONDITION,
    Unsupported: StatusCode.UNIMPLEMENTED,
    NotFound: StatusCode.NOT_FOUND,
    Exists: StatusCode.ALREADY_EXISTS,
    Busy: StatusCode.ABORTED,
    Denied: StatusCode.PERMISSION_DENIED,
    Unavailable: StatusCode.UNAVAILABLE,
    Fenced: StatusCode.FAILED_PRECONDITION,
    Corrupt: StatusCode.DATA_LOSS,
    Internal: StatusCode.INTERNAL,
}

_KIND: dict[StatusCode, type[DiskError]] = {status: kind for kind, status in STATUS.items()}
_KIND[StatusCode.UNAUTHENTICATED] = Denied
_KIND[StatusCode.CANCELLED] = Unavailable
_KIND[StatusCode.DEADLINE_EXCEEDED] = Unavailable


def trailers_of(error: DiskError) -> tuple[tuple[str, str], ...]:
    """The trailing metadata that carries `error`'s kind and errno."""
    return (KIND_KEY, kind_of_error(error).__name__), (ERRNO_KEY, str(error.errno))


def kind_of(status: StatusCode, trailers: Iterable[tuple[str, str | bytes]]) -> type[DiskError]:
    """The kind that a failed call stands for: the trailer's kind, else its errno, else the status's row."""
    said = {key: value for key, value in trailers if isinstance(value, str)}
    named = kind_named(said.get(KIND_KEY, ""))
    if named is not None:
        return named
    number = said.get(ERRNO_KEY, "")
    if number.isascii() and number.isdecimal():
        return kind_of_errno(int(number))
    return _KIND.get(status, Internal)
