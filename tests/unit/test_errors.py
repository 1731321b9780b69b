"""The error kinds and their tables."""

from __future__ import annotations

import errno

import pytest

from g2disk import errors
from g2disk.cli.exit_codes import EXIT_CODE, USAGE
from g2disk.errors import (
    KINDS,
    DiskError,
    OutOfSpace,
    Unavailable,
    from_os_error,
    kind_named,
    kind_of_errno,
    kind_of_error,
)
from g2disk.nbd.errors import NBD_ERRNO, nbd_errno
from g2disk.remote.status import STATUS, kind_of, trailers_of


def test_every_kind_is_in_every_table() -> None:
    """gRPC, NBD and the exit codes know all kinds, and no others."""
    declared = {
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, DiskError) and value is not DiskError
    }

    assert declared == set(KINDS) == set(STATUS) == set(NBD_ERRNO) == set(EXIT_CODE)
    assert not {0, 1, USAGE} & set(EXIT_CODE.values())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_travels_over_grpc(kind: type[DiskError]) -> None:
    """A kind's status and trailers give the kind back; the errno alone gives one with the same errno."""
    error = kind("why")
    trailers = trailers_of(error)

    assert kind is kind_of(STATUS[kind], trailers)
    assert kind is kind_named(kind.__name__)
    assert kind.errno == kind_of(STATUS[kind], trailers[1:]).errno


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_an_errno_that_nbd_knows(kind: type[DiskError]) -> None:
    """Only what the NBD protocol lists goes to clients."""
    names = ("EPERM", "EIO", "ENOMEM", "EINVAL", "ENOSPC", "EOVERFLOW", "ENOTSUP", "ESHUTDOWN")
    known = {getattr(errno, name) for name in names}

    assert nbd_errno(kind("why")) in known
    assert nbd_errno(kind("why"), writing=True) in known


def test_a_write_beyond_the_end_is_enospc() -> None:
    """Reads, trims and zeroes beyond the end are EINVAL, writes ENOSPC, as the NBD protocol asks."""
    error = errors.OutOfRange("why")

    assert errno.EINVAL == nbd_errno(error)
    assert errno.ENOSPC == nbd_errno(error, writing=True)


def test_a_class_of_a_disks_own_is_of_its_kind() -> None:
    """A disk may derive errors from ours: every table finds the kind; a mere DiskError is Internal."""

    class QuotaExceeded(OutOfSpace):
        """A disk's own."""

    error = QuotaExceeded("why")

    assert OutOfSpace is kind_of_error(error)
    assert trailers_of(OutOfSpace("why")) == trailers_of(error)
    assert errno.ENOSPC == nbd_errno(error)
    assert errors.Internal is kind_of_error(DiskError("why"))


def test_system_errors_become_kinds_that_name_the_cause() -> None:
    """A full file system is OutOfSpace, anything unknown an I/O error; the message says what was being done."""
    full = from_os_error(OSError(errno.ENOSPC, "No space left on device"), "writing to /x")

    assert isinstance(full, OutOfSpace)
    assert "writing to /x: No space left on device" == str(full)
    assert Unavailable is kind_of_errno(errno.EXDEV)
