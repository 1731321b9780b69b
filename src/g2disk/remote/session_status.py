"""Why a Session's stream ended, as an error of g2disk."""

from __future__ import annotations

from typing import Any

from g2disk.errors import DiskError, Internal, Unavailable, kind_named
from g2disk.remote.connection import UnknownMethod
from g2disk.remote.status import KIND_KEY, STATUS
from g2disk.remote.stream import Status

_OK, _CANCELLED, _UNIMPLEMENTED, _UNAVAILABLE = 0, 1, 12, 14


def _number(code: Any) -> int:
    number: int = code.value[0] if isinstance(code.value, tuple) else code
    return number


_KINDS: dict[int, type[DiskError]] = {_number(code): kind for kind, code in reversed(STATUS.items())}


def error_of(status: Status, endpoint: str) -> DiskError:
    """The error for a session with the server at `endpoint` that ended with `status`."""
    named = kind_named(status.trailers.get(KIND_KEY, ""))
    if named is not None:
        return named(status.message)
    where = f"the server at {endpoint}"
    if status.code == _UNIMPLEMENTED:
        return UnknownMethod(f"{where} has no Session: {status.message}")
    if status.code == _OK:
        return Unavailable(f"{where} ended the session")
    if status.code in (_CANCELLED, _UNAVAILABLE):
        return Unavailable(f"the connection to {endpoint} broke during Session: {status.message}")
    kind = _KINDS.get(status.code, Internal)
    return kind(f"{where} ended the session with status {status.code}: {status.message}")
