"""The system calls of the file store, as whole transfers.  All of them may block, except where they say otherwise; what
the kernel answers is raised as OSError.
"""

from __future__ import annotations

import ctypes
import errno
import os

from g2disk.disk import Buffer, Extent
from g2disk.errors import Corrupt
from g2disk.units import MAXIMUM_DISK_SIZE, MIB, SECTOR

_MAXIMUM_TRANSFER = 0x7FFFF000
"""Bytes that Linux transfers in one call at most (read(2), "Notes")."""

_KEEP_SIZE, _PUNCH_HOLE, _ZERO_RANGE = 0x01, 0x02, 0x10  # linux/falloc.h
_ZEROES = memoryview(bytes(MIB))

_libc = ctypes.CDLL(None, use_errno=True)
_fallocate = getattr(_libc, "fallocate64", None) or _libc.fallocate
_fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


def read_all(file: int, offset: int, length: int) -> Buffer:
    """Exactly `length` bytes.  Raises `Corrupt` where the file ends before."""
    data = os.pread(file, min(length, _MAXIMUM_TRANSFER), offset)
    if len(data) == length:
        return data
    whole = memoryview(bytearray(length))
    done = len(data)
    whole[:done] = data
    while done < length:
        got = os.preadv(file, [whole[done : done + _MAXIMUM_TRANSFER]], offset + done)
        if not got:
            raise Corrupt(f"the file ends at {offset + done}, inside the disk: somebody cut it; restart the server")
        done += got
    return whole


def read_cached(file: int, offset: int, length: int) -> Buffer | None:
    """Exactly `length` bytes, or None if not all of them are in memory.  Does not block.

    Raises OSError with EOPNOTSUPP where the file system cannot tell.
    """
    data = bytearray(length)
    try:
        got = os.preadv(file, (data,), offset, os.RWF_NOWAIT)
    except BlockingIOError:
        return None
    return data if got == length else None


def write_all(file: int, offset: int, data: Buffer) -> None:
    """Write all of `data`."""
    done = os.pwrite(file, data, offset)
    if done == len(data):
        return
    view = memoryview(data)
    while done < len(view):
        done += os.pwrite(file, view[done : done + _MAXIMUM_TRANSFER], offset + done)


def write_now(file: int, offset: int, data: Buffer) -> int:
    """Write what can be written to memory at once, and return how many bytes that were.  Does not block.

    Raises OSError with EOPNOTSUPP where the file system cannot tell.
    """
    try:
        return os.pwritev(file, (data,), offset, os.RWF_NOWAIT)
    except BlockingIOError:
        return 0


def punch_hole(file: int, offset: int, length: int) -> None:
    """Make a range zeroes and give its space back."""
    _allocate(file, _PUNCH_HOLE | _KEEP_SIZE, offset, length)


def zero_range(file: int, offset: int, length: int) -> None:
    """Make a range zeroes and give it space, without writing all of it."""
    _allocate(file, _ZERO_RANGE | _KEEP_SIZE, offset, length)


def write_zeroes(file: int, offset: int, length: int) -> None:
    """Make a range zeroes by writing them."""
    end = offset + length
    while offset < end:
        offset += os.pwrite(file, _ZEROES[: end - offset], offset)


def punches_holes(file: int) -> bool:
    """Whether `punch_hole` works on this file, which must be open for writing.  Changes nothing."""
    try:
        punch_hole(file, os.fstat(file).st_size, 1)  # behind the end
    except OSError as error:
        # A file of the largest size has nothing behind its end (EFBIG), which says nothing about holes.
        return error.errno != errno.EOPNOTSUPP
    return True


def find_extents(file: int, offset: int, end: int, most: int) -> list[Extent]:
    """Data and holes from `offset` on, neighbours never alike; about `most` of them, unless the end comes first.

    Space that is allocated and was never written counts as a hole, as the kernel has it.
    """
    found: list[Extent] = []
    at = offset
    while at < end and len(found) < most:
        data = min(_seek(file, at, os.SEEK_DATA, end), end)
        if data > at:
            found.append(Extent(at, data - at, hole=True, zero=True))
        hole = min(_seek(file, data, os.SEEK_HOLE, end), end) if data < end else end
        if hole > data:
            found.append(Extent(data, hole - data))
        at = hole
    return found


def largest_file(file: int) -> int:
    """The size in bytes, of those that a disk may have, that a file beside this one can have at most.  Changes the
    file's size.
    """
    possible, impossible = 0, MAXIMUM_DISK_SIZE // SECTOR + 1
    while impossible - possible > 1:
        middle = (possible + impossible) // 2
        try:
            os.ftruncate(file, middle * SECTOR)
        except OSError:
            impossible = middle
        else:
            possible = middle
    return possible * SECTOR


def _seek(file: int, offset: int, whence: int, end: int) -> int:
    try:
        return os.lseek(file, offset, whence)
    except OSError as error:
        if error.errno == errno.ENXIO:  # nothing of that kind up to the end
            return end
        raise


def _allocate(file: int, mode: int, offset: int, length: int) -> None:
    while _fallocate(file, mode, offset, length):
        number = ctypes.get_errno()
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))
