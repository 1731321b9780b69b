"""How a Session's stream ends: g2disk's errors as statuses of gRPC."""

from __future__ import annotations

from typing import Any

from g2disk.errors import DiskError, kind_of_error
from g2disk.remote.status import STATUS, trailers_of
from g2disk.remote.stream import Status
from g2disk.servers.grpc.session_batches import shortened

OK = 0
RESOURCE_EXHAUSTED = 8


def status_of(error: DiskError) -> Status:
    """How a call ends that failed with `error`."""
    code: Any = STATUS[kind_of_error(error)]
    number: int = code.value[0] if isinstance(code.value, tuple) else code
    return Status(number, shortened(str(error)), dict(trailers_of(error)))
