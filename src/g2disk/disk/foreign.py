"""What code that is not g2disk's raises, turned into the errors of g2disk."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from g2disk.errors import DiskError, Internal, from_os_error

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)


def as_disk_error(error: Exception, doing: str) -> DiskError:
    """The g2disk error for what was raised while `doing` something ("read of a Ramdisk").

    What the operating system answered becomes the kind that its errno names.  Anything else is a bug in the disk: it
    becomes `Internal`, and the traceback is logged.
    """
    if isinstance(error, DiskError):
        return error
    if isinstance(error, OSError):
        return from_os_error(error, doing)
    log.error("! %s raised %s", doing, type(error).__name__, exc_info=error)
    reason = f": {error}" if str(error) else ""
    return Internal(f"{doing} raised {type(error).__name__}{reason}; the log has the traceback, mend the disk")


async def ask(owner: str, method: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `method` of `owner` answers; what it raises becomes a `DiskError`, except a cancellation."""
    try:
        return await method(*args, **kwargs)
    except DiskError:
        raise
    except Exception as error:
        raise as_disk_error(error, f"{getattr(method, '__name__', 'request')} of {owner}") from error
