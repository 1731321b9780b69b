"""What the operating system refuses the file store, as g2disk's errors that say what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from g2disk.errors import Corrupt, DiskError, Invalid, from_os_error

_ADVICE = {
    errno.ENOSPC: "free space in that file system",
    errno.EDQUOT: "raise the quota, or free space in that file system",
    errno.EROFS: "make it writable, or open the store read-only",
    errno.EACCES: "give this user access to it, or take another directory",
    errno.EPERM: "give this user access to it (see also `lsattr`), or take another directory",
    errno.EMFILE: "raise the limit of open files (`ulimit -n`)",
    errno.ENOTDIR: "check the path",
    errno.ELOOP: "check the path",
    errno.EIO: "see the kernel's log (`dmesg`)",
}


def explain(error: OSError, doing: str) -> DiskError:
    """The g2disk error for what the operating system answered while `doing` something ("reading /a/b")."""
    failure = from_os_error(error, doing)
    if error.errno in (errno.ENOTDIR, errno.ELOOP):
        failure = Invalid(str(failure))
    elif error.errno == errno.EIO:
        # The medium is bad.  A repeat does not help, and as Unavailable clients would go on repeating until their time
        # is up, for every bad block.
        failure = Corrupt(str(failure))
    advice = _ADVICE.get(error.errno or 0)
    return type(failure)(f"{failure}; {advice}") if advice else failure


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Raise the block's OSErrors as `explain` puts them."""
    try:
        yield
    except OSError as error:
        raise explain(error, doing) from error
