"""Disks for tests, served as FILE.py:Class."""

from __future__ import annotations

import asyncio
import random
import sys
import threading

from g2disk.clock import SystemClock
from g2disk.disk import Buffer, Disk, Done, Extent
from g2disk.errors import Invalid, OutOfSpace
from g2disk.request import Request
from g2disk.stores.memory import MemoryDisk


class SlowDisk(Disk):
    """A ramdisk whose writes take a while, and which reports its flush on standard error."""

    size = 1 << 20

    def __init__(self, seconds: str = "1") -> None:
        self._seconds = float(seconds)
        self._data = bytearray(self.size)

    async def read(self, offset: int, length: int) -> Buffer:
        return bytes(self._data[offset : offset + length])

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        print("write started", file=sys.stderr, flush=True)
        await SystemClock().sleep(self._seconds)
        self._data[offset : offset + len(data)] = data
        print("write finished", file=sys.stderr, flush=True)

    async def flush(self) -> None:
        print("flushed", file=sys.stderr, flush=True)


class QuotaExceeded(OutOfSpace):
    """A kind of a disk's own."""


class BrokenDisk(Disk):
    """Each half-mebibyte goes wrong in its own way."""

    size = 4 << 20

    async def read(self, offset: int, length: int) -> Buffer:
        match offset >> 19:
            case 0:
                return bytes(length - 1)
            case 1:
                return bytes(length + 1)
            case 2:
                raise ZeroDivisionError("a bug")
            case 3:
                raise PermissionError(13, "Permission denied")
            case 4:
                raise OutOfSpace("the store is full; make room")
            case 5:
                await asyncio.Event().wait()
            case 7:
                raise Invalid("ä" * 20_000)
        return bytes(length)

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        raise QuotaExceeded("the store is full; make room")


class Plain:
    """No Disk at all, only the three things that a disk must have, and synchronous."""

    def __init__(self) -> None:
        self.size = 1 << 20
        self._data = bytearray(self.size)

    def read(self, offset: int, length: int) -> bytes:
        return bytes(self._data[offset : offset + length])

    def write(self, offset: int, data: bytes) -> None:
        self._data[offset : offset + len(data)] = data


class StuckDisk:
    """Its reads never end, in a thread that nothing can interrupt."""

    size = 1 << 20

    def read(self, offset: int, length: int) -> bytes:
        print("read started", file=sys.stderr, flush=True)
        threading.Event().wait()
        return b""


class NoDisk:
    """Lacks everything."""


def refuses(colour: str = "red") -> Disk:
    """A factory that refuses its argument."""
    raise Invalid(f"there is no disk in {colour}; take blue")


def stalls() -> Disk:
    """A factory that never gets done."""
    print("being made", file=sys.stderr, flush=True)
    threading.Event().wait()
    raise AssertionError


def breaks() -> Disk:
    """A factory with a bug."""
    raise ZeroDivisionError("by zero")


class ShufflingDisk(MemoryDisk):
    """A memory disk of coroutines, some of which take effect a little after they were called."""

    def __init__(self, seed: str) -> None:
        super().__init__(2 << 20)
        self._random = random.Random(int(seed))

    def submit(self, requests: list[Request], done: Done) -> list[Request]:
        return requests

    async def read(self, offset: int, length: int) -> Buffer:
        await self._wait()
        return await super().read(offset, length)

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        await self._wait()
        await super().write(offset, data, fua)

    async def trim(self, offset: int, length: int, fua: bool = False) -> None:
        await self._wait()
        await super().trim(offset, length, fua)

    async def zero(
        self, offset: int, length: int, fua: bool = False, may_trim: bool = True, fast: bool = False
    ) -> None:
        await self._wait()
        await super().zero(offset, length, fua, may_trim, fast)

    async def extents(self, offset: int, length: int) -> list[Extent]:
        await self._wait()
        return await super().extents(offset, length)

    async def _wait(self) -> None:
        if self._random.randrange(2):
            await SystemClock().sleep(self._random.randrange(3) / 1000)
