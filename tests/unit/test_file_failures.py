"""What the operating system refuses the file store."""

from __future__ import annotations

import errno
import os

import pytest

from g2disk.errors import Corrupt, DiskError, Invalid, OutOfSpace, Unavailable
from g2disk.stores.file.failures import explain


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOSPC, OutOfSpace), (errno.ENOTDIR, Invalid), (errno.EIO, Corrupt), (errno.EMFILE, Unavailable)],
)
def test_the_kind_says_whether_a_repeat_helps(number: int, kind: type[DiskError]) -> None:
    """A bad medium is no passing trouble, which clients repeat for a minute: it is Corrupt."""
    error = explain(OSError(number, os.strerror(number)), "reading /x")

    assert kind is type(error)
    assert "reading /x: " in str(error)
    assert "; " in str(error)
