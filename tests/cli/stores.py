"""Stores for tests, served as FILE.py:Class: memory disks that misbehave."""

from __future__ import annotations

import asyncio
import sys

from g2disk.disk import Buffer, Disk
from g2disk.disk.layers.wrapper import Wrapper
from g2disk.stores.memory import MemoryStore


class Misbehaving(MemoryStore):
    """A store whose disks are wrapped, each in one wrapper for all time."""

    wrapper: type[Wrapper] = Wrapper

    def __init__(self) -> None:
        super().__init__()
        self._wrapped: dict[Disk, Disk] = {}

    async def open(self, name: str) -> Disk:
        disk = await super().open(name)
        return self._wrapped.setdefault(disk, self.wrapper(disk))


class _StuckWriting(Wrapper):
    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        print("stuck", file=sys.stderr, flush=True)
        await asyncio.Event().wait()


class StuckWriting(Misbehaving):
    """Writes never end."""

    wrapper = _StuckWriting


class _StuckReading(Wrapper):
    async def read(self, offset: int, length: int) -> Buffer:
        print("stuck", file=sys.stderr, flush=True)
        await asyncio.Event().wait()
        return b""


class StuckReading(Misbehaving):
    """Reads never end."""

    wrapper = _StuckReading


class _Forgetful(Wrapper):
    async def read(self, offset: int, length: int) -> Buffer:
        data = bytearray(await self.inner.read(offset, length))
        data[-1] ^= 1
        return data


class Forgetful(Misbehaving):
    """Reads give one wrong bit."""

    wrapper = _Forgetful
