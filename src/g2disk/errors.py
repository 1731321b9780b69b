"""The error kinds of g2disk.

One small tree.  Each kind is named by what the caller should do, carries the Linux errno that stands for it, and its
message says what to do next.  Adapters (NBD, gRPC, the command line) each hold one table from kind to their own codes,
and a test holds that every kind is in every table.

    DiskError
    +-- Invalid        the request itself is wrong: mend it                        EINVAL
    +-- OutOfRange     it reaches beyond the disk's end: mend it                   EINVAL (ENOSPC for a write over NBD)
    +-- OutOfSpace     the store is full: free space, then repeat                  ENOSPC
    +-- ReadOnly       the disk or the store takes no writes                       EROFS
    +-- Unsupported    this disk cannot do that: do it another way                 EOPNOTSUPP
    +-- NotFound       no such disk                                                ENOENT
    +-- Exists         a disk of that name is there already                        EEXIST
    +-- Busy           somebody else holds it: wait for them, or stop them         EBUSY
    +-- Denied         not allowed: get other credentials or permissions           EACCES
    +-- Unavailable    the service cannot be reached or did not answer: retry      EIO
    +-- Fenced         the disk is another one now, or lost data: stop, do not retry  ESTALE
    +-- Corrupt        stored or received bytes are not what they must be: stop    EBADMSG
    +-- Internal       a bug in g2disk or in a disk: report it                     EIO
"""

from __future__ import annotations

import errno as codes
from typing import ClassVar


class DiskError(Exception):
    """Any failure that g2disk reports.  Only its subclasses are raised."""

    errno: ClassVar[int] = codes.EIO


class Invalid(DiskError):
    """The request itself is wrong, whatever the disk's state."""

    errno = codes.EINVAL


class OutOfRange(DiskError):
    """The request reaches beyond the end of the disk."""

    errno = codes.EINVAL


class OutOfSpace(DiskError):
    """The store has no room for what was to be written."""

    errno = codes.ENOSPC


class ReadOnly(DiskError):
    """The disk or its store takes no writes."""

    errno = codes.EROFS


class Unsupported(DiskError):
    """The disk cannot do this; the caller may reach its aim another way."""

    errno = codes.EOPNOTSUPP


class NotFound(DiskError):
    """There is no such disk, or it was deleted."""

    errno = codes.ENOENT


class Exists(DiskError):
    """A disk of that name is there already."""

    errno = codes.EEXIST


class Busy(DiskError):
    """Somebody else holds the store or the device."""

    errno = codes.EBUSY


class Denied(DiskError):
    """The caller is not allowed to do this."""

    errno = codes.EACCES


class Unavailable(DiskError):
    """The service cannot be reached, or it did not answer in time; a repeat may succeed."""

    errno = codes.EIO


class Fenced(DiskError):
    """The disk is no longer the one that was opened, or it lost what it had acknowledged; a repeat cannot succeed."""

    errno = codes.ESTALE


class Corrupt(DiskError):
    """Stored or received bytes are not what they must be."""

    errno = codes.EBADMSG


class Internal(DiskError):
    """A bug in g2disk or in a disk built on it."""

    errno = codes.EIO


KINDS: tuple[type[DiskError], ...] = (
    Invalid,
    OutOfRange,
    OutOfSpace,
    ReadOnly,
    Unsupported,
    NotFound,
    Exists,
    Busy,
    Denied,
    Unavailable,
    Fenced,
    Corrupt,
    Internal,
)
"""Every kind; each adapter's table has a row for each."""

_BY_NAME = {kind.__name__: kind for kind in KINDS}

_BY_ERRNO: dict[int, type[DiskError]] = {
    codes.EINVAL: Invalid,
    codes.ENAMETOOLONG: Invalid,
    codes.EFBIG: OutOfRange,
    codes.EOVERFLOW: OutOfRange,
    codes.ENOSPC: OutOfSpace,
    codes.EDQUOT: OutOfSpace,
    codes.ENOMEM: OutOfSpace,
    codes.EROFS: ReadOnly,
    codes.EOPNOTSUPP: Unsupported,
    codes.ENOSYS: Unsupported,
    codes.ENOENT: NotFound,
    codes.ENODEV: NotFound,
    codes.EEXIST: Exists,
    codes.EBUSY: Busy,
    codes.EACCES: Denied,
    codes.EPERM: Denied,
    codes.ESTALE: Fenced,
    codes.EBADMSG: Corrupt,
}


def kind_named(name: str) -> type[DiskError] | None:
    """The kind of that name ("OutOfSpace"), or None."""
    return _BY_NAME.get(name)


def kind_of_error(error: DiskError) -> type[DiskError]:
    """The kind that `error` is of, also when a disk made a class of its own of that kind."""
    return next((kind for kind in type(error).__mro__ if kind in KINDS), Internal)


def kind_of_errno(number: int) -> type[DiskError]:
    """The kind that a Linux errno stands for; `Unavailable` (an I/O error) for those that name nothing better."""
    return _BY_ERRNO.get(number, Unavailable)


def from_os_error(error: OSError, doing: str) -> DiskError:
    """The g2disk error for what the operating system answered while `doing` something ("writing to /x")."""
    reason = error.strerror or str(error) or type(error).__name__
    return kind_of_errno(error.errno or codes.EIO)(f"{doing}: {reason}")
