"""Every object store keeps the contract."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from g2disk.clock import SystemClock
from g2disk.objects import ObjectStore
from g2disk.objects.memory import MemoryObjects
from g2disk.objects.opening import open_object_store
from g2disk.objects.probing import probe
from g2disk.testing import ObjectStoreFactory, check_object_store
from tests.support.object_servers import NewBucket

SEED = 1


def opening(url: str) -> ObjectStoreFactory:
    """The store of that URL, opened anew each time."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[ObjectStore]:
        store = await open_object_store(url)
        try:
            await probe(store, SystemClock())
            yield store
        finally:
            await store.close()

    return opened


async def assert_empty(url: str) -> None:
    async with opening(url)() as store:
        assert [entry.key for entry in await store.list("")] == []


async def test_objects_in_memory_keep_the_contract() -> None:
    """A dictionary is an object store."""
    store = MemoryObjects()

    @asynccontextmanager
    async def opened() -> AsyncIterator[ObjectStore]:
        yield store

    await probe(store, SystemClock())
    await check_object_store(opened, seed=SEED, effort=5)
    assert not await store.list("")


async def test_a_directory_keeps_the_contract(tmp_path: Path) -> None:
    """Files in a directory are an object store, and nothing stays behind."""
    url = f"objects:{tmp_path}/store"
    await check_object_store(opening(url), seed=SEED, effort=5)
    await assert_empty(url)
    assert [path for path in (tmp_path / "store").rglob("*") if path.is_file()] == []


async def test_s3_keeps_the_contract(s3: NewBucket) -> None:
    """S3, as moto serves it, through obstore."""
    url = s3()
    await check_object_store(opening(url), seed=SEED)
    await assert_empty(url)


async def test_azure_keeps_the_contract(azure: NewBucket) -> None:
    """Azure Blob Storage, as Azurite serves it, through obstore."""
    url = azure()
    await check_object_store(opening(url), seed=SEED)
    await assert_empty(url)


async def test_google_cloud_storage_keeps_the_contract(google: NewBucket) -> None:
    """Google's XML API, as our fake serves it in pages of 50 keys, through obstore."""
    url = google()
    await check_object_store(opening(url), seed=SEED, effort=3)
    await assert_empty(url)


@pytest.mark.soak
async def test_long_listings_keep_the_contract(s3: NewBucket) -> None:
    """More keys than S3 lists at once."""
    await check_object_store(opening(s3()), seed=SEED, effort=30, patience=300)
