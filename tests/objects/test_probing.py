"""A store that volumes cannot be kept on is refused at the start, with one line that says why."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from g2disk.clock import SystemClock
from g2disk.disk import Buffer
from g2disk.errors import Denied, DiskError, NotFound, Unavailable, Unsupported
from g2disk.objects import ObjectEntry, ObjectStore
from g2disk.objects.layers import Fault, Faulty, Wrapper, script
from g2disk.objects.memory import MemoryObjects
from g2disk.objects.opening import open_object_store
from g2disk.objects.probing import probe
from g2disk.testing import ManualClock
from tests.support.fake_objects import FakeObjects, Trouble, troubles


class IgnoresConditions(Wrapper):
    async def create(self, key: str, data: Sequence[Buffer]) -> None:
        await self.inner.put(key, data)


class HasNoConditions(Wrapper):
    async def create(self, key: str, data: Sequence[Buffer]) -> None:
        raise Unsupported("501")


class IgnoresRanges(Wrapper):
    async def get_range(self, key: str, offset: int, length: int) -> Buffer:
        return await self.inner.get(key)


class ListsNothing(Wrapper):
    async def list(self, prefix: str, after: str = "") -> list[ObjectEntry]:
        return []


class KeepsEverything(Wrapper):
    async def delete(self, key: str) -> None:
        pass


class LosesEverything(Wrapper):
    async def get(self, key: str) -> Buffer:
        raise NotFound(key)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (IgnoresConditions, "ignores put-if-absent"),
        (HasNoConditions, "has no put-if-absent"),
        (IgnoresRanges, "part of an object"),
        (ListsNothing, "listing lacks"),
        (KeepsEverything, "does not delete"),
        (LosesEverything, "just put is not there"),
    ],
)
async def test_a_store_that_lacks_something_is_refused(broken: type[Wrapper], reason: str) -> None:
    """What is missing is named in one line."""
    with pytest.raises(Unsupported, match=reason) as caught:
        await probe(broken(MemoryObjects()), SystemClock())
    assert "\n" not in str(caught.value)


async def test_a_store_with_a_wrong_clock_is_refused() -> None:
    """The clocks may differ by five minutes."""
    store = MemoryObjects(ManualClock(now=1000))
    await probe(store, ManualClock(now=1250))
    with pytest.raises(Unsupported, match="differ by 400 s"):
        await probe(store, ManualClock(now=1400))


@pytest.mark.parametrize("kind", [Denied, Unavailable])
async def test_other_errors_pass(kind: type[DiskError]) -> None:
    """A store that refuses us, or cannot be reached, is no unsuitable one."""
    clock = ManualClock()
    with pytest.raises(kind):
        await probe(Faulty(MemoryObjects(clock), script({"create": [Fault(kind)]}), clock), clock)


async def test_a_probe_leaves_nothing() -> None:
    """Its objects are deleted, also when something is missing."""
    store: ObjectStore = MemoryObjects()
    await probe(store, SystemClock())
    with pytest.raises(Unsupported):
        await probe(IgnoresRanges(store), SystemClock())
    with pytest.raises(Unsupported):
        await probe(IgnoresConditions(store), SystemClock())
    assert await store.list("") == []


async def test_a_server_that_ignores_conditions_is_refused(fake: FakeObjects) -> None:
    """As some look-alikes of S3 do, silently."""
    fake.ignore_conditions = True
    store = await open_object_store(f"s3://bucket?endpoint={fake.endpoint}")
    try:
        with pytest.raises(Unsupported, match="ignores put-if-absent"):
            await probe(store, SystemClock())
        fake.plan = troubles(Trouble(501, "NotImplemented"))
        with pytest.raises(Unsupported, match="has no put-if-absent"):
            await probe(store, SystemClock())
    finally:
        await store.close()


async def test_a_missing_bucket_is_named(fake: FakeObjects) -> None:
    """The first thing that people get wrong."""
    fake.missing = {"bucket"}
    store = await open_object_store(f"s3://bucket?endpoint={fake.endpoint}")
    try:
        with pytest.raises(Unavailable, match="NoSuchBucket: make the bucket, or mend the URL"):
            await probe(store, SystemClock())
    finally:
        await store.close()
