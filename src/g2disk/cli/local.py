"""`LocalFile`, a file or a block device of this machine as one end of a copy."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from g2disk.cancellation import to_the_end
from g2disk.disk import Buffer, Disk, Extent
from g2disk.errors import Busy, Corrupt, Invalid, NotFound, from_os_error
from g2disk.stores.file import linux
from g2disk.units import MIB

P = ParamSpec("P")
T = TypeVar("T")

_BLKZEROOUT = 0x127F  # linux/fs.h
_EXTENTS_AT_ONCE = 1024
_ZEROES_AT_ONCE = 256 * MIB
"""Bytes that one call to the kernel zeroes; a cancellation waits for one."""


class LocalFile(Disk):
    """An open file, which it owns, or a block device.

    Behind the file's own end, up to `size`, reads give zeroes and there is a hole.
    """

    def __init__(self, file: int, path: Path, size: int = 0) -> None:
        """The open `file`, which `path` names in messages; `size` bytes, but at least what it has."""
        self._file, self._path = file, path
        mode = os.fstat(file).st_mode
        self.is_device = stat.S_ISBLK(mode)
        # A block device's length is not in what stat says.
        self.length = os.lseek(file, 0, os.SEEK_END)
        self.size = max(size, self.length)

    async def read(self, offset: int, length: int) -> Buffer:
        """See `Disk.read`.  Raises `Corrupt` where the file became shorter meanwhile."""
        stored = max(0, min(length, self.length - offset))
        data = await self._do("reading", linux.read_all, self._file, offset, stored) if stored else b""
        return data if stored == length else b"".join((data, bytes(length - stored)))

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        """See `Disk.write`; never durable before `flush`."""
        await self._do("writing", linux.write_all, self._file, offset, data)

    async def zero(
        self, offset: int, length: int, fua: bool = False, may_trim: bool = True, fast: bool = False
    ) -> None:
        """See `Disk.zero`; never durable before `flush`."""
        end = offset + length
        while offset < end:
            step = min(_ZEROES_AT_ONCE, end - offset)
            await self._do("zeroing", self._zero, offset, step)
            offset += step

    async def extents(self, offset: int, length: int) -> list[Extent]:
        """See `Disk.extents`; a block device is all data."""
        end = min(offset + length, self.length)
        if offset >= end:
            return [Extent(offset, length, hole=True, zero=True)]
        if self.is_device:
            return [Extent(offset, end - offset)]
        try:
            return await self._do("reading", linux.find_extents, self._file, offset, end, _EXTENTS_AT_ONCE)
        except Invalid:  # a file system that cannot tell
            return [Extent(offset, end - offset)]

    async def flush(self) -> None:
        """Make durable what was written, and forget it, so that it is read back from storage."""
        await self._do("storing", self._flush)

    async def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    async def _do(self, doing: str, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a system call in a thread; to its end, as it must not outlive the open file."""
        try:
            return await to_the_end(asyncio.to_thread(call, *args, **kwargs))
        except OSError as error:
            raise from_os_error(error, f"{doing} {self._path}") from error
        except Corrupt as error:
            raise Corrupt(f"{self._path} became shorter while it was read; repeat when nobody writes to it") from error

    def _zero(self, offset: int, length: int) -> None:
        if self.is_device:
            fcntl.ioctl(self._file, _BLKZEROOUT, struct.pack("QQ", offset, length))
            return
        try:
            linux.punch_hole(self._file, offset, length)
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            linux.write_zeroes(self._file, offset, length)

    def _flush(self) -> None:
        os.fsync(self._file)
        os.posix_fadvise(self._file, 0, 0, os.POSIX_FADV_DONTNEED)


def open_source(path: Path) -> LocalFile:
    """A regular file or a block device, for reading.  Raises `Invalid`, `NotFound`, `Denied`."""
    file = _open(path, os.O_RDONLY)
    mode = os.fstat(file).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
        os.close(file)
        raise Invalid(f"{path} is neither a regular file nor a block device; give one of these")
    return LocalFile(file, path)


def open_device(path: Path) -> LocalFile:
    """A block device, to be overwritten.  Raises `Busy` while it is mounted or otherwise held."""
    return LocalFile(_open(path, os.O_RDWR | os.O_EXCL), path)


def create_file(path: Path, size: int) -> LocalFile:
    """A new file of `size` bytes, all hole."""
    file = _open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        os.ftruncate(file, size)
        return LocalFile(file, path)
    except OSError as error:
        os.close(file)
        path.unlink()
        if error.errno == errno.EFBIG:
            raise Invalid(
                f"a file of {size} bytes is more than the file system of {path.parent} takes; use one that does, such "
                "as XFS"
            ) from error
        raise from_os_error(error, f"making {path}") from error


def rename(old: Path, new: Path, replace: bool) -> None:
    """Give a file another name in its directory, durably.  Raises FileExistsError where the name is taken and may not
    be replaced.
    """
    if not replace:
        try:
            # Unlike a rename, this never replaces a file that appeared meanwhile.
            new.hardlink_to(old)
        except FileExistsError:
            raise
        except OSError:  # a file system without such links
            if new.exists():
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(new)) from None
            old.replace(new)
        else:
            old.unlink()
    else:
        old.replace(new)
    directory = os.open(new.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def remove(path: Path) -> None:
    """Remove a file, if it is there."""
    path.unlink(missing_ok=True)


def _open(path: Path, flags: int) -> int:
    try:
        # Not blocking: a pipe without a writer would.
        return os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK, 0o666)
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise Busy(f"{path} is in use, mounted perhaps; end that first") from error
        if error.errno == errno.ENOENT:
            raise NotFound(f"there is no {path}; check the path") from error
        raise from_os_error(error, f"opening {path}") from error
