"""`NbdDisk`, an NBD export as a Disk, by libnbd: what a client sees, held to the contract."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import nbd

from g2disk.cancellation import to_the_end
from g2disk.disk import Buffer, Disk, DiskInfo, Extent
from g2disk.errors import ReadOnly, Unsupported, kind_of_errno
from g2disk.remote.pieces import cut
from tests.support.nbd_client import allocation, connected

T = TypeVar("T")


class NbdDisk(Disk):
    """One NBD connection for each thread, so that requests are in flight together."""

    def __init__(self, handles: asyncio.Queue[Any], threads: ThreadPoolExecutor, info: DiskInfo) -> None:
        self._handles, self._threads, self._info = handles, threads, info

    def info(self) -> DiskInfo:
        return self._info

    async def read(self, offset: int, length: int) -> Buffer:
        return bytes(await self._ask(lambda handle: handle.pread(length, offset)))

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        await self._ask(lambda handle: handle.pwrite(bytearray(data), offset, _flags(fua=fua)))

    async def flush(self) -> None:
        await self._ask(lambda handle: handle.flush())

    async def trim(self, offset: int, length: int, fua: bool = False) -> None:
        for start, step in _fitting(offset, length) if self._info.trim else ():
            await self._ask(partial(_trim, start, step, _flags(fua=fua)))

    async def zero(
        self, offset: int, length: int, fua: bool = False, may_trim: bool = True, fast: bool = False
    ) -> None:
        if fast and not self._info.fast_zero:
            raise Unsupported("not advertised")
        flags = _flags(fua=fua, no_hole=not may_trim, fast_zero=fast)
        for start, step in _fitting(offset, length):
            await self._ask(partial(_zero, start, step, flags))

    async def extents(self, offset: int, length: int) -> list[Extent]:
        if not self._info.extents:
            return await super().extents(offset, length)
        asked = min(length, (1 << 32) - 65536)
        end = offset + asked
        found: list[Extent] = []
        for size, state in await self._ask(lambda handle: allocation(handle, offset, asked)):
            start = found[-1].end if found else offset
            if start < end:
                step = min(size, end - start)
                found.append(Extent(start, step, bool(state & nbd.STATE_HOLE), bool(state & nbd.STATE_ZERO)))
        return found

    async def _ask(self, request: Callable[[Any], T]) -> T:
        return await to_the_end(self._ask_with_a_handle(request))

    async def _ask_with_a_handle(self, request: Callable[[Any], T]) -> T:
        handle = await self._handles.get()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, request, handle)
        except nbd.Error as error:
            number = getattr(errno, error.errno or "EIO")
            if number == errno.EPERM:
                raise ReadOnly(error.string) from error
            raise kind_of_errno(number)(error.string) from error
        finally:
            self._handles.put_nowait(handle)


@contextlib.asynccontextmanager
async def nbd_disk(socket: Path, export: str = "", connections: int = 4) -> AsyncIterator[NbdDisk]:
    """The export behind the Unix socket."""
    handles: asyncio.Queue[Any] = asyncio.Queue()
    with contextlib.ExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor(connections))
        for _ in range(connections):
            handles.put_nowait(stack.enter_context(connected(socket, export)))
        handle = handles.get_nowait()
        info = DiskInfo(
            size=handle.get_size(),
            minimum_block=handle.get_block_size(nbd.SIZE_MINIMUM) or 1,
            read_only=handle.is_read_only(),
            flush=handle.can_flush(),
            trim=handle.can_trim(),
            zero=handle.can_zero(),
            fast_zero=handle.can_fast_zero(),
            extents=handle.can_meta_context(nbd.CONTEXT_BASE_ALLOCATION),
        )
        handles.put_nowait(handle)
        yield NbdDisk(handles, threads, info)


def _fitting(offset: int, length: int) -> Iterator[tuple[int, int]]:
    """The range in pieces whose length fits NBD's 32 bits, as clients do."""
    return cut(offset, length, 1 << 31)


def _trim(offset: int, length: int, flags: int, handle: Any) -> None:
    handle.trim(length, offset, flags)


def _zero(offset: int, length: int, flags: int, handle: Any) -> None:
    handle.zero(length, offset, flags)


def _flags(*, fua: bool = False, no_hole: bool = False, fast_zero: bool = False) -> int:
    return fua * int(nbd.CMD_FLAG_FUA) | no_hole * int(nbd.CMD_FLAG_NO_HOLE) | fast_zero * int(nbd.CMD_FLAG_FAST_ZERO)
