"""What keeps a process alive and unblocked that the machine's own file systems depend on.

Such a process must not wait for memory that can only be freed by writing to its own device, nor be killed for want of
memory or at shutdown while its device is mounted.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
from pathlib import Path
from typing import Final

_PR_SET_IO_FLUSHER: Final = 57
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
_NEVER_KILLED: Final = -1000
"""oom_score_adj of what the kernel does not kill for want of memory; nbd-client takes it too."""
_ARG_START, _ARG_END = 45, 46
"""Fields of /proc/PID/stat behind the name, counted from 0: the 48th and 49th of proc_pid_stat(5)."""

_libc = ctypes.CDLL(None, use_errno=True)


def protect() -> list[str]:
    """Protect this process as far as it may; what could not be done, a line each, for the log.

    - It is an I/O flusher (PR_SET_IO_FLUSHER): memory is found for it without waiting for writes to its own device.
    - Its memory stays in memory (mlockall).  What is there now is loaded as a whole; what comes later stays from its
      first use on, since threads reserve more than they use: with eight of them, 34 MiB more would be taken.
    - It is never chosen when memory runs out.
    - Its name begins with '@', so systemd does not kill it at shutdown before file systems are unmounted
      (https://systemd.io/ROOT_STORAGE_DAEMONS).

    Programs that it starts inherit the first and the third.  Call it before threads are started.
    """
    steps = (_become_io_flusher, _lock_memory, _escape_the_killer, _mark_the_name)
    return [problem for step in steps if (problem := step())]


def _become_io_flusher() -> str:
    one, zero = ctypes.c_ulong(1), ctypes.c_ulong(0)
    if _libc.prctl(_PR_SET_IO_FLUSHER, one, zero, zero, zero) == 0:
        return ""
    return f"memory may be waited for by writing to the own device: {_reason()} (it takes CAP_SYS_RESOURCE)"


def _lock_memory() -> str:
    """Only where nothing bounds it: beyond a bound, later allocations would fail."""
    if not (_raise_limit() or _is_unlimited()):
        limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
        return f"memory is not locked: {limit} bytes is the most here; set LimitMEMLOCK=infinity (ulimit -l unlimited)"
    if _libc.mlockall(_MCL_CURRENT) or _libc.mlockall(_MCL_FUTURE | _MCL_ONFAULT):
        return f"memory is not locked: {_reason()}"
    return ""


def _raise_limit() -> bool:
    """Have no bound on locked memory; whether that is so."""
    try:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except (ValueError, OSError):  # the hard limit is lower, and this process may not raise it
        return False
    return True


def _is_unlimited() -> bool:
    """Whether this process may lock memory whatever the limit (CAP_IPC_LOCK in the first user namespace): then it may
    with a limit of 0 (mlock(2), EPERM).
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    with mmap.mmap(-1, mmap.PAGESIZE) as page:
        address = ctypes.addressof(ctypes.c_char.from_buffer(page))
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, hard))
        try:
            return bool(_libc.mlock(ctypes.c_void_p(address), ctypes.c_size_t(mmap.PAGESIZE)) == 0)
        finally:
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (soft, hard))


def _escape_the_killer() -> str:
    try:
        Path("/proc/self/oom_score_adj").write_text(str(_NEVER_KILLED))
    except OSError as error:
        return f"it may be killed when memory runs out: {error.strerror} (it takes CAP_SYS_RESOURCE)"
    return ""


def _mark_the_name() -> str:
    """Overwrite the first byte of the arguments where the kernel shows them."""
    # The name in parentheses may hold anything, spaces and parentheses too.
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[_ARG_START]), int(fields[_ARG_END])
    if not 0 < start < end:
        return "systemd may kill it at shutdown: the kernel does not show where its arguments are"
    ctypes.memset(start, ord("@"), 1)
    return ""


def _reason() -> str:
    return os.strerror(ctypes.get_errno())
