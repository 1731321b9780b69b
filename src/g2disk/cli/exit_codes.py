"""What the process's exit code says; documented in docs/cli.md."""

from __future__ import annotations

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
)

USAGE = 2
"""The command line itself is wrong."""

EXIT_CODE: dict[type[DiskError], int] = {
    Invalid: 3,
    OutOfRange: 3,
    NotFound: 4,
    Exists: 5,
    Busy: 6,
    Denied: 7,
    ReadOnly: 8,
    OutOfSpace: 9,
    Unavailable: 10,
    Unsupported: 11,
    Fenced: 12,
    Corrupt: 13,
    Internal: 70,
}
