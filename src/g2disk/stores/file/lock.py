"""The lock of a store's directory: one server writes, or any number read."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from g2disk.errors import Busy
from g2disk.stores.file.failures import explained

_NAME = ".lock"


class Lock:
    """A lock that is held until it is released, or the process ends, however it does."""

    def __init__(self, file: int, *, shared: bool) -> None:
        self._file = file
        self._shared = shared

    def release(self) -> None:
        """Let others have it."""
        if not self._shared:
            os.ftruncate(self._file, 0)
        os.close(self._file)


def take_lock(directory: int, path: str) -> Lock:
    """The lock of the open `directory`, for a server that writes.  Raises `Busy`, naming who has it."""
    with explained(f"locking the store {path}"):
        file = os.open(_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600, dir_fd=directory)
        _lock(file, fcntl.LOCK_EX, path)
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
    return Lock(file, shared=False)


def share_lock(directory: int, path: str) -> Lock | None:
    """The lock of the open `directory`, for a server that only reads; it is not changed.  None where no server has ever
    written, so that there is no lock.  Raises `Busy`.
    """
    with explained(f"locking the store {path}"):
        try:
            file = os.open(_NAME, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=directory)
        except FileNotFoundError:
            return None
        _lock(file, fcntl.LOCK_SH, path)
    return Lock(file, shared=True)


def _lock(file: int, kind: int, path: str) -> None:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = _holder(file)
        os.close(file)
        raise Busy(f"the store {path} is in use by {holder}; stop that, or take another directory") from error
    except OSError:
        os.close(file)
        raise


def _holder(file: int) -> str:
    """Who holds the lock, for people: what the file says may be of a process that was killed."""
    written = os.pread(file, 20, 0).strip()
    if written.isdigit() and Path(f"/proc/{int(written)}").exists():
        return f"process {int(written)}"
    return "another process"
