"""`check_object_store` finds stores that do not keep the contract: one mutant for each promise that it could miss."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from g2disk.disk import Buffer
from g2disk.errors import Exists, Unavailable
from g2disk.objects import ObjectEntry
from g2disk.objects.layers import Wrapper
from g2disk.objects.memory import MemoryObjects
from g2disk.testing import BrokenPromise, check_object_store, turns


class LosesTheLastBuffer(Wrapper):
    """what_was_put_is_got"""

    async def put(self, key: str, data: Sequence[Buffer]) -> None:
        await self.inner.put(key, data[:-1] if len(data) > 3 else data)


class NeverReplaces(Wrapper):
    """a_put_replaces"""

    async def put(self, key: str, data: Sequence[Buffer]) -> None:
        try:
            await self.inner.create(key, data)
        except Exists:
            return


class IgnoresConditions(Wrapper):
    """a_create_never_replaces"""

    async def create(self, key: str, data: Sequence[Buffer]) -> None:
        await self.inner.put(key, data)


class TakesTheSameBytes(Wrapper):
    """a_create_never_replaces"""

    async def create(self, key: str, data: Sequence[Buffer]) -> None:
        try:
            await self.inner.create(key, data)
        except Exists:
            if await self.inner.get(key) != b"".join(data):
                raise


class ChecksThenPuts(Wrapper):
    """one_of_many_creators_wins"""

    async def create(self, key: str, data: Sequence[Buffer]) -> None:
        if any(entry.key == key for entry in await self.inner.list(key)):
            raise Exists(key)
        await asyncio.wait({asyncio.ensure_future(self.inner.list(""))})
        await self.inner.put(key, data)


class GivesNothingForMissing(Wrapper):
    """what_is_not_there_is_not_found"""

    async def get_range(self, key: str, offset: int, length: int) -> Buffer:
        if not any(entry.key == key for entry in await self.inner.list(key)):
            return b""
        return await self.inner.get_range(key, offset, length)


class FailsBehindTheEnd(Wrapper):
    """ranges_are_exact"""

    async def get_range(self, key: str, offset: int, length: int) -> Buffer:
        data = await self.inner.get_range(key, offset, length)
        if not data:
            raise Unavailable("416")
        return data


class KeepsBuffers(Wrapper):
    """buffers_are_not_kept"""

    def __init__(self) -> None:
        super().__init__(MemoryObjects())
        self.kept: dict[str, Sequence[Buffer]] = {}

    async def put(self, key: str, data: Sequence[Buffer]) -> None:
        await self.inner.put(key, data)
        self.kept[key] = data

    async def get(self, key: str) -> Buffer:
        return b"".join(self.kept[key]) if key in self.kept else await self.inner.get(key)


class ListsFolders(Wrapper):
    """listings_are_complete_and_in_order"""

    async def list(self, prefix: str, after: str = "") -> list[ObjectEntry]:
        found = await self.inner.list(prefix, after)
        return [entry for entry in found if prefix.endswith("/") or entry.key.startswith(prefix + "/")]


class IgnoresAfter(Wrapper):
    """listings_begin_where_they_are_told"""

    async def list(self, prefix: str, after: str = "") -> list[ObjectEntry]:
        return await self.inner.list(prefix)


class IncludesAfter(Wrapper):
    """listings_begin_where_they_are_told"""

    async def list(self, prefix: str, after: str = "") -> list[ObjectEntry]:
        return [entry for entry in await self.inner.list(prefix) if entry.key >= after]


class DeletesNothing(Wrapper):
    """what_is_deleted_is_gone"""

    async def delete(self, key: str) -> None:
        if "what-is-deleted" not in key:
            await self.inner.delete(key)


class IgnoresCase(Wrapper):
    """keys_are_told_apart"""

    async def put(self, key: str, data: Sequence[Buffer]) -> None:
        await self.inner.put(key.lower() if "told-apart" in key else key, data)

    async def get(self, key: str) -> Buffer:
        return await self.inner.get(key.lower() if "told-apart" in key else key)


class WritesInTwoSteps(Wrapper):
    """objects_are_seen_whole"""

    async def put(self, key: str, data: Sequence[Buffer]) -> None:
        whole = b"".join(data)
        await self.inner.put(key, [whole[: len(whole) // 2]])
        await asyncio.wait({asyncio.ensure_future(self.inner.list("none"))})
        await self.inner.put(key, [whole])


class ReadsBuffersAfterCancelling(Wrapper):
    """cancelled_puts_let_go_of_the_buffers"""

    async def put(self, key: str, data: Sequence[Buffer]) -> None:
        try:
            await asyncio.wait({asyncio.ensure_future(self.inner.list("none"))})
        except asyncio.CancelledError:
            self.late = asyncio.ensure_future(self._later(key, data))
            raise
        await self.inner.put(key, data)

    async def _later(self, key: str, data: Sequence[Buffer]) -> None:
        await turns(6)
        await self.inner.put(key, data)


MUTANTS = (
    LosesTheLastBuffer,
    NeverReplaces,
    IgnoresConditions,
    TakesTheSameBytes,
    ChecksThenPuts,
    GivesNothingForMissing,
    FailsBehindTheEnd,
    ListsFolders,
    IgnoresAfter,
    IncludesAfter,
    DeletesNothing,
    IgnoresCase,
    WritesInTwoSteps,
    ReadsBuffersAfterCancelling,
)


@pytest.mark.parametrize("mutant", [*MUTANTS, KeepsBuffers])
async def test_a_broken_store_is_found(mutant: type[Wrapper]) -> None:
    """Each mutant breaks the promise that its docstring names."""
    store = KeepsBuffers() if mutant is KeepsBuffers else mutant(MemoryObjects())

    @asynccontextmanager
    async def opened() -> AsyncIterator[Wrapper]:
        yield store

    with pytest.raises(BrokenPromise) as caught:
        await check_object_store(opened, seed=1)
    assert caught.value.promise == mutant.__doc__
