"""`Observing`, the base of the layers that watch requests and change nothing."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from g2disk.disk.disk import Buffer
from g2disk.disk.info import Extent
from g2disk.disk.layers.wrapper import Wrapper

T = TypeVar("T")


class Observing(Wrapper):
    """Hands every request to `observe`, together with what there is to tell of it."""

    async def observe(
        self, operation: str, offset: int, length: int, flags: tuple[str, ...], request: Awaitable[T]
    ) -> T:
        """Await `request` and return its answer, or raise what it raised.

        `operation` is the name of a method of `Disk`; `offset` and `length` are 0 where it has none; `flags` names the
        flags that are set.
        """
        raise NotImplementedError

    async def read(self, offset: int, length: int) -> Buffer:
        """See `Disk.read`."""
        return await self.observe("read", offset, length, (), self.inner.read(offset, length))

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        """See `Disk.write`."""
        await self.observe("write", offset, len(data), _set(fua=fua), self.inner.write(offset, data, fua))

    async def flush(self) -> None:
        """See `Disk.flush`."""
        await self.observe("flush", 0, 0, (), self.inner.flush())

    async def trim(self, offset: int, length: int, fua: bool = False) -> None:
        """See `Disk.trim`."""
        await self.observe("trim", offset, length, _set(fua=fua), self.inner.trim(offset, length, fua))

    async def zero(
        self, offset: int, length: int, fua: bool = False, may_trim: bool = True, fast: bool = False
    ) -> None:
        """See `Disk.zero`."""
        flags = _set(fua=fua, may_trim=may_trim, fast=fast)
        await self.observe("zero", offset, length, flags, self.inner.zero(offset, length, fua, may_trim, fast))

    async def extents(self, offset: int, length: int) -> list[Extent]:
        """See `Disk.extents`."""
        return await self.observe("extents", offset, length, (), self.inner.extents(offset, length))

    async def cache(self, offset: int, length: int) -> None:
        """See `Disk.cache`."""
        await self.observe("cache", offset, length, (), self.inner.cache(offset, length))


def _set(**flags: bool) -> tuple[str, ...]:
    return tuple(name for name, value in flags.items() if value)
