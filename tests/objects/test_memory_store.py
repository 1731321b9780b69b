"""`MemoryObjects` keeps the contract."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from g2disk.objects import ObjectStore
from g2disk.objects.memory import MemoryObjects
from g2disk.testing import check_object_store


async def test_objects_in_memory_keep_the_contract() -> None:
    """A dictionary is an object store."""
    store = MemoryObjects()

    @asynccontextmanager
    async def opened() -> AsyncIterator[ObjectStore]:
        yield store

    await check_object_store(opened, seed=1, effort=5)
    assert not await store.list("")
