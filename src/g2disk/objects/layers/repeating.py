"""What the layers that repeat have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import TypeVar

from g2disk.disk import Buffer
from g2disk.objects.layers.wrapper import Wrapper
from g2disk.objects.store import ObjectEntry

T = TypeVar("T")

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
"""Seconds: how late a store that is back may be noticed."""


def pause(attempts: int, random: Random) -> float:
    """Seconds to wait after that many attempts: doubling, and jittered, so that not all come back at once."""
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(attempts - 1, 16)) * random.uniform(0.5, 1)


class Repeating(Wrapper):
    """A layer whose `repeat` makes the calls that may be made again: all but `create`."""

    async def repeat(self, call: Callable[[], Awaitable[T]]) -> T:
        """What `call` returns, in the end."""
        raise NotImplementedError

    async def put(self, key: str, data: Sequence[Buffer]) -> None:
        """See `ObjectStore.put`."""
        await self.repeat(lambda: self.inner.put(key, data))

    async def get(self, key: str) -> Buffer:
        """See `ObjectStore.get`."""
        return await self.repeat(lambda: self.inner.get(key))

    async def get_range(self, key: str, offset: int, length: int) -> Buffer:
        """See `ObjectStore.get_range`."""
        return await self.repeat(lambda: self.inner.get_range(key, offset, length))

    async def list(self, prefix: str, after: str = "") -> list[ObjectEntry]:
        """See `ObjectStore.list`."""
        return await self.repeat(lambda: self.inner.list(prefix, after))

    async def delete(self, key: str) -> None:
        """See `ObjectStore.delete`."""
        await self.repeat(lambda: self.inner.delete(key))
