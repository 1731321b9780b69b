"""Errors of NBD: the one table from the kinds of g2disk to what a reply can carry (NBD protocol, "Error values")."""

from __future__ import annotations

import errno

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
    kind_of_error,
)


class NbdProtocolError(Corrupt):
    """The stream is not NBD, or out of step: nothing more can be read from it, and the connection has to end."""


NBD_ERRNO: dict[type[DiskError], int] = {
    Invalid: errno.EINVAL,
    OutOfRange: errno.EINVAL,
    OutOfSpace: errno.ENOSPC,
    ReadOnly: errno.EPERM,
    Unsupported: errno.EOPNOTSUPP,
    NotFound: errno.EIO,
    Exists: errno.EIO,
    Busy: errno.EIO,
    Denied: errno.EPERM,
    Unavailable: errno.EIO,
    Fenced: errno.EIO,
    Corrupt: errno.EIO,
    Internal: errno.EIO,
}


def nbd_errno(error: DiskError, *, writing: bool = False) -> int:
    """The errno for a reply; a write beyond the end of the disk is ENOSPC, as the protocol asks."""
    if writing and isinstance(error, OutOfRange):
        return errno.ENOSPC
    return NBD_ERRNO[kind_of_error(error)]
