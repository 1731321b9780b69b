"""The C library's allocator, told to expect buffers of megabytes that come and go."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # mallopt(3)
_LARGE = 4 << 20
_KEEP = 16 << 20


def keep_freed_memory() -> None:
    """Have malloc reuse buffers of less than 4 MiB, and keep up to 16 MiB of them at the end of each heap.

    glibc begins with limits of 128 KiB.  Beyond them a buffer goes back to the kernel as soon as it is free and comes
    again page by page, each page a fault: with requests of 1 MiB half of a target server's processor time.  For the
    whole process; another C library than glibc is left as it is.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
        mallopt(_M_TRIM_THRESHOLD, _KEEP)
