"""`FileDisk`, a disk in a sparse file."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from g2disk.disk import Buffer, Disk, DiskInfo, Extent
from g2disk.errors import DiskError, Fenced, OutOfRange, ReadOnly, Unsupported
from g2disk.stores.file import linux
from g2disk.stores.file.commit import Commit
from g2disk.stores.file.failures import explain
from g2disk.threads import Crew, Usage
from g2disk.units import MIB

T = TypeVar("T")

_log = logging.getLogger(__name__)

_AT_ONCE = MIB
"""Bytes up to which a transfer from or to the page cache is done without a thread: it takes less time than the hop."""

_ZEROES_AT_ONCE = 16 * MIB
"""Bytes of zeroes that a thread writes in one call, where zeroes must be written; a cancellation waits for one."""

_MOST_EXTENTS = 1024


class FileDisk(Disk):
    """A disk in an open file, which it owns.

    Reads of what is in the page cache, and writes where the file system can do them without blocking, run on the event
    loop; all else runs in threads.  Calls end only when their threads have, also when they are cancelled.

    `flush`, and `fua` on any request, are one fdatasync for all who wait.  When it fails, the kernel has forgotten what
    it could not write, and another fdatasync would succeed: so the disk is lost from then on, and every change and
    every flush raises `Fenced`, until the store is opened again.  The same happens when the file turns out to be
    deleted.  Reads go on, for those who want to save what is there.

    `zero` without `may_trim` keeps the range allocated.  `extents` reports space that is allocated and was never
    written as a hole, as the kernel does.
    """

    def __init__(self, file: int, info: DiskInfo, crew: Crew, path: str, on_loss: Callable[[], object]) -> None:
        """A disk in `file`, with the size, identity, instance and description of `info`; its capabilities are filled
        in here.  `path` names it in messages.  `on_loss` is called in a thread when an fdatasync has failed, again and
        again until it does not raise: it makes the instance another one for whoever opens the disk next.
        """
        self._file = file
        self._crew = crew
        self._path = path
        self._on_loss = on_loss
        self._loss_noted = True
        self._usage = Usage()
        self._commit = Commit(crew, self._usage, self._sync)
        self._gone: DiskError | None = None
        self._lost = ""
        self._reads_at_once = True
        self._writes_at_once = True
        self._zeroes_ranges = True
        self._punches = not info.read_only and linux.punches_holes(file)
        self.size = info.size
        self._info = replace(
            info,
            trim=self._punches,
            zero=self._punches,
            fast_zero=self._punches,
            extents=True,
            cache=True,
        )

    def info(self) -> DiskInfo:
        """The disk as it is now."""
        return self._info

    async def read(self, offset: int, length: int) -> Buffer:
        """See `Disk.read`."""
        self._admit(offset, length)
        if length <= _AT_ONCE and self._reads_at_once:
            try:
                data = linux.read_cached(self._file, offset, length)
            except OSError as error:  # the thread finds out what is wrong, if anything is
                self._reads_at_once = error.errno != errno.EOPNOTSUPP
            else:
                if data is not None:
                    return data
        return await self._run("reading", linux.read_all, offset, length)

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        """See `Disk.write`."""
        length = len(data)
        self._admit_change(offset, length)
        done = 0
        if length <= _AT_ONCE and self._writes_at_once:
            try:
                done = linux.write_now(self._file, offset, data)
            except OSError as error:  # likewise
                self._writes_at_once = error.errno != errno.EOPNOTSUPP
        if done < length:
            await self._run("writing", linux.write_all, offset + done, memoryview(data)[done:] if done else data)
        if fua:
            await self._commit.wait()

    async def flush(self) -> None:
        """See `Disk.flush`."""
        if self._gone is not None:
            raise _again(self._gone)
        if not self._info.read_only:
            await self._commit.wait()

    async def trim(self, offset: int, length: int, fua: bool = False) -> None:
        """See `Disk.trim`.  The range reads as zeroes, unless the file system cannot punch holes."""
        self._admit_change(offset, length)
        if self._punches:
            await self._run("trimming", linux.punch_hole, offset, length)
        if fua:
            await self._commit.wait()

    async def zero(
        self, offset: int, length: int, fua: bool = False, may_trim: bool = True, fast: bool = False
    ) -> None:
        """See `Disk.zero`."""
        self._admit_change(offset, length)
        if may_trim and self._punches:
            await self._run("zeroing", linux.punch_hole, offset, length)
        elif not await self._zero_range(offset, length):
            if fast:
                raise Unsupported("the file system of this disk has no fast way to zero; write zeroes")
            await self._write_zeroes(offset, length)
        if fua:
            await self._commit.wait()

    async def extents(self, offset: int, length: int) -> list[Extent]:
        """See `Disk.extents`."""
        self._admit(offset, length)
        return await self._run("mapping", linux.find_extents, offset, offset + length, _MOST_EXTENTS)

    async def cache(self, offset: int, length: int) -> None:
        """See `Disk.cache`."""
        self._admit(offset, length)
        await self._run("caching", os.posix_fadvise, offset, length, os.POSIX_FADV_WILLNEED)

    def resized(self, size: int) -> None:
        """Say and keep to another size; the file is the store's business."""
        self.size = size
        self._info = replace(self._info, size=size)

    async def settled(self) -> None:
        """Return when every call that is in a thread now has ended."""
        await self._usage.over()

    async def vanish(self, reason: DiskError) -> None:
        """Close the file; every later request raises the like of `reason`."""
        if self._gone is None:
            self._gone = reason
            await self._usage.idle()
            os.close(self._file)

    async def close(self) -> None:
        """See `Disk.close`."""
        await self.vanish(Unsupported("the disk was closed"))

    def _admit(self, offset: int, length: int) -> None:
        if self._gone is not None:
            raise _again(self._gone)
        if offset + length > self.size:
            raise OutOfRange(f"bytes {offset} to {offset + length} reach beyond the disk's end at {self.size}")

    def _admit_change(self, offset: int, length: int) -> None:
        self._admit(offset, length)
        if self._lost:
            raise Fenced(self._lost)
        if self._info.read_only:
            raise ReadOnly(f"{self._path} was opened read-only; open the store for writing")

    async def _run(self, doing: str, call: Callable[..., T], *arguments: int | Buffer) -> T:
        """`call` on the file, in a thread."""
        over = self._usage.begin()
        try:
            return await self._crew.run(call, self._file, *arguments)
        except OSError as error:
            raise explain(error, f"{doing} {self._path}") from error
        finally:
            over()

    async def _zero_range(self, offset: int, length: int) -> bool:
        """Zero a range and keep it allocated; False, and nothing done, where the file system cannot."""
        if self._zeroes_ranges:
            try:
                await self._run("zeroing", linux.zero_range, offset, length)
            except Unsupported:
                self._zeroes_ranges = False
        return self._zeroes_ranges

    async def _write_zeroes(self, offset: int, length: int) -> None:
        end = offset + length
        while offset < end:
            self._admit_change(offset, end - offset)
            step = min(end - offset, _ZEROES_AT_ONCE)
            await self._run("zeroing", linux.write_zeroes, offset, step)
            offset += step

    def _sync(self) -> None:
        """Make everything durable, in a thread."""
        if not self._lost:
            try:
                os.fdatasync(self._file)
            except OSError as error:
                self._loss_noted = False
                self._lose(f"{error.strerror}; see the kernel's log (`dmesg`), mend the cause, and restart the server")
            if not os.fstat(self._file).st_nlink:
                self._lose("the file was deleted; restart the server, and restore the disk from a copy")
        if not self._loss_noted:
            try:
                self._on_loss()
                self._loss_noted = True
            except DiskError as error:
                _log.error("cannot note that %s lost data: %s", self._path, error)
        if self._lost:
            raise Fenced(self._lost)

    def _lose(self, reason: str) -> None:
        # Here, and not where the error arrives: whoever waited may have been cancelled.
        self._lost = f"what was written to {self._path} since its last flush may be lost: {reason}"
        _log.error("%s", self._lost)


def _again(error: DiskError) -> DiskError:
    """The same error, to be raised once more."""
    return type(error)(*error.args)
