"""`Files`, the seam between a journal and the disk that it is on; `DirectoryFiles`, the real one.

A simulation puts another in its place, one that loses what was not synced.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from g2disk.disk import Buffer
from g2disk.errors import Busy, DiskError, OutOfSpace, from_os_error
from g2disk.threads import Runner

_MOST_BUFFERS = 1024
"""Buffers that one system call takes (IOV_MAX of Linux; writev(2))."""
_LOCK = ".lock"
_ADVICE = {
    errno.ENOSPC: "; free space there, or give a smaller journal size",
    errno.EDQUOT: "; raise the quota, or free space there",
    errno.EROFS: "; make that file system writable",
    errno.EACCES: "; give this user access to it, or take another directory with --journal",
    errno.EIO: "; see the kernel's log (`dmesg`)",
}


class File(Protocol):
    """One file of a journal, open for reading and writing."""

    @property
    def size(self) -> int:
        """Bytes in the file when it was opened, `create_size` for a new one."""
        ...

    def write(self, position: int, buffers: Sequence[Buffer]) -> None:
        """Put the buffers, one behind the other, at `position`: into memory, without waiting for the disk.

        Raises `OutOfSpace`, `Unavailable`: then any part of it may have been written.
        """
        ...

    def read(self, position: int, length: int) -> Buffer:
        """`length` bytes, fewer only where the file ends.  Raises `Unavailable`."""
        ...

    async def sync(self) -> None:
        """Return when all that was written before is on stable storage.

        Once it raised (`Unavailable`, `OutOfSpace`), it raises for ever, since the kernel may have dropped what it
        could not write.  When it is cancelled, nothing is known, except that a failure is still reported by the next
        one.
        """
        ...

    def close(self) -> None:
        """Close the file.  A sync that is running ends first, a later one returns at once."""
        ...


class Files(Protocol):
    """The files of one journal, and of nobody else."""

    def names(self) -> list[str]:
        """The names of all files that the journal may have made, in any order."""
        ...

    async def open(self, name: str, create_size: int = 0) -> File:
        """The file of that name; raises `NotFound`.  What an existing one holds is on stable storage when this returns.

        With `create_size` a new one of that many zeroes, whose space is its own; the file and its name are durable when
        this returns.  Raises `OutOfSpace`.
        """
        ...

    async def remove(self, name: str) -> None:
        """Delete a file, which may be open; it stays deleted after a power cut.  A missing one is fine."""
        ...

    def close(self) -> None:
        """Let others have the directory.  All files are closed."""
        ...


class DirectoryFiles:
    """The files of a directory, which is made where it is missing and locked: raises `Busy` where another process has
    it.

    Blocks while it is made.  What blocks later goes through `runner`.
    """

    def __init__(self, path: Path, runner: Runner) -> None:
        self._path = path
        self._runner = runner
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise _explain(error, f"opening the journal's directory {path}") from error
        try:
            self._lock = self._take_lock()
        except BaseException:
            os.close(self._directory)
            raise

    def names(self) -> list[str]:
        """See `Files.names`."""
        try:
            return [entry.name for entry in os.scandir(self._path) if entry.name != _LOCK and entry.is_file()]
        except OSError as error:
            raise _explain(error, f"listing {self._path}") from error

    async def open(self, name: str, create_size: int = 0) -> File:
        """See `Files.open`."""
        return await self._runner.run(self._open, name, create_size)

    async def remove(self, name: str) -> None:
        """See `Files.remove`."""
        await self._runner.run(self._remove, name)

    def close(self) -> None:
        """See `Files.close`."""
        os.close(self._lock)
        os.close(self._directory)

    def _open(self, name: str, create_size: int) -> DirectoryFile:
        path = self._path / name
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT | os.O_TRUNC if create_size else 0)
        try:
            file = os.open(name, flags, 0o600, dir_fd=self._directory)
        except OSError as error:
            raise _explain(error, f"opening {path}") from error
        try:
            if create_size:
                os.posix_fallocate(file, 0, create_size)
                os.fsync(file)
                os.fsync(self._directory)
            else:
                _forget(file)
            return DirectoryFile(file, path, os.fstat(file).st_size, self._runner)
        except OSError as error:
            os.close(file)
            if create_size:
                os.unlink(name, dir_fd=self._directory)
            raise _explain(error, f"making {path}") from error

    def _remove(self, name: str) -> None:
        try:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self._directory)
            os.fsync(self._directory)
        except OSError as error:
            raise _explain(error, f"removing {self._path / name}") from error

    def _take_lock(self) -> int:
        doing = f"locking the journal's directory {self._path}"
        try:
            file = os.open(_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600, dir_fd=self._directory)
        except OSError as error:
            raise _explain(error, doing) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(file)
            raise Busy(f"{self._path} is in use by another process; stop that, or take another directory") from error
        except OSError as error:
            os.close(file)
            raise _explain(error, doing) from error
        return file


class DirectoryFile:
    """A file of `DirectoryFiles`."""

    def __init__(self, file: int, path: Path, size: int, runner: Runner) -> None:
        self._file = file
        self._path = path
        self._size = size
        self._runner = runner
        self._failure: DiskError | None = None
        self._syncs = 0
        self._closed = False

    @property
    def size(self) -> int:
        """See `File.size`."""
        return self._size

    def write(self, position: int, buffers: Sequence[Buffer]) -> None:
        """See `File.write`."""
        try:
            done = os.pwritev(self._file, buffers, position) if len(buffers) <= _MOST_BUFFERS else 0
            if done != sum(map(len, buffers)):
                self._write_each(position, buffers)
        except OSError as error:
            raise _explain(error, f"writing to {self._path}") from error

    def read(self, position: int, length: int) -> Buffer:
        """See `File.read`."""
        try:
            return os.pread(self._file, length, position)
        except OSError as error:
            raise _explain(error, f"reading {self._path}") from error

    async def sync(self) -> None:
        """See `File.sync`."""
        if self._closed:
            return
        self._syncs += 1
        try:
            await self._runner.run(self._sync)
        finally:
            self._syncs -= 1
            if self._closed and not self._syncs:
                os.close(self._file)

    def close(self) -> None:
        """See `File.close`."""
        self._closed = True
        if not self._syncs:
            os.close(self._file)

    def _sync(self) -> None:
        # The failure is kept here, and not where the call was made: that may have been cancelled meanwhile, and the
        # kernel tells it only once (fsync(2), "Notes").
        if self._failure is None:
            try:
                os.fdatasync(self._file)
            except OSError as error:
                self._failure = _explain(error, f"syncing {self._path}")
        if self._failure is not None:
            raise type(self._failure)(str(self._failure))

    def _write_each(self, position: int, buffers: Sequence[Buffer]) -> None:
        for buffer in buffers:
            view = memoryview(buffer)
            while len(view):
                done = os.pwrite(self._file, view, position)
                position += done
                view = view[done:]


def _forget(file: int) -> None:
    """Have what is in memory written, and then read from the disk: when an earlier sync failed, memory may hold what is
    not on the disk and will never be written (fsync(2), "Notes").
    """
    os.fdatasync(file)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)


def _explain(error: OSError, doing: str) -> DiskError:
    failure = OutOfSpace(f"{doing}: {error.strerror}") if error.errno == errno.EFBIG else from_os_error(error, doing)
    return type(failure)(f"{failure}{_ADVICE.get(error.errno or 0, '')}")
