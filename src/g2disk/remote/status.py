"""Errors on the wire: one table between the kinds of g2disk and gRPC's status codes, used by both ends.

Sources: proto/g2disk/v1/disk.proto, "ERRORS"; gRPC's "Status codes and their use".
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

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
from g2disk.remote.stream import Status


class StatusCode(enum.IntEnum):
    """gRPC's status codes."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


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

_LONGEST = 600
"""Characters of an error's message.  Peers refuse more than 8 KiB of metadata, and say something else instead; a
character takes up to 12 bytes there."""

_KIND: dict[int, type[DiskError]] = {status: kind for kind, status in STATUS.items()}
_KIND[StatusCode.UNAUTHENTICATED] = Denied
_KIND[StatusCode.CANCELLED] = Unavailable
_KIND[StatusCode.DEADLINE_EXCEEDED] = Unavailable


def trailers_of(error: DiskError) -> tuple[tuple[str, str], ...]:
    """The trailing metadata that carries `error`'s kind and errno."""
    return (KIND_KEY, kind_of_error(error).__name__), (ERRNO_KEY, str(error.errno))


def status_of(error: DiskError) -> Status:
    """How a call ends that failed with `error`."""
    message = str(error)
    if len(message) > _LONGEST:
        message = f"{message[: _LONGEST - 1]}…"
    return Status(STATUS[kind_of_error(error)], message, dict(trailers_of(error)))


def kind_of(status: int, trailers: Iterable[tuple[str, str]]) -> type[DiskError]:
    """The kind that a failed call stands for: the trailer's kind, else its errno, else the status's row."""
    said = dict(trailers)
    named = kind_named(said.get(KIND_KEY, ""))
    if named is not None:
        return named
    number = said.get(ERRNO_KEY, "")
    if number.isascii() and number.isdecimal():
        return kind_of_errno(int(number))
    return _KIND.get(status, Internal)
