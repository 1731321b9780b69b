"""A disk in memory as an nbdkit plugin in Python: what nbdkit and Python reach together, with no network behind them.

nbdkit python bench/subjects/bytearray_plugin.py size=BYTES
"""

from __future__ import annotations

import nbdkit

API_VERSION = 2

_disk = bytearray()


def config(key: str, value: str) -> None:
    """One parameter of the command line."""
    if key != "size":
        raise ValueError(f"there is no parameter {key}")
    _disk.extend(bytes(int(value)))


def thread_model() -> int:
    """Requests run on many threads at once."""
    return int(nbdkit.THREAD_MODEL_PARALLEL)


def open(_readonly: bool) -> int:  # noqa: A001
    """A client connects."""
    return 1


def get_size(_handle: int) -> int:
    """Bytes."""
    return len(_disk)


def can_multi_conn(_handle: int) -> bool:
    """All connections see the same bytes."""
    return True


def pread(_handle: int, buf: memoryview, offset: int, _flags: int) -> None:
    """Fill `buf` from the disk."""
    buf[:] = memoryview(_disk)[offset : offset + len(buf)]


def pwrite(_handle: int, buf: memoryview, offset: int, _flags: int) -> None:
    """Store `buf` on the disk."""
    memoryview(_disk)[offset : offset + len(buf)] = buf


def flush(_handle: int, _flags: int) -> None:
    """Memory is as durable as it gets."""
