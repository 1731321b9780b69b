"""The simulated object store and its network do what real ones do, the bad things included."""

from __future__ import annotations

from collections.abc import Coroutine
from random import Random
from typing import Any

import pytest

from g2disk.errors import Denied, Exists, NotFound, Unavailable
from tests.simulation.loop import Process, VirtualLoop
from tests.volume_simulation.bucket import Bucket, Connection, Weather


@pytest.fixture
def loop() -> VirtualLoop:
    return VirtualLoop()  # type: ignore[abstract]


def store(loop: VirtualLoop, weather: Weather, seed: int = 1) -> tuple[Bucket, Connection]:
    bucket = Bucket(loop, weather, Random(seed))
    return bucket, Connection(bucket)


def test_a_store_that_is_well_does_what_it_is_asked(loop: VirtualLoop) -> None:
    """What was put is read, listed in order, made only once, and gone when deleted."""

    async def main() -> None:
        _, objects = store(loop, Weather())
        await objects.put("a/2", [b"two"])
        await objects.create("a/1", [b"o", b"ne"])
        with pytest.raises(Exists):
            await objects.create("a/1", [b"other"])
        assert await objects.get("a/1") == b"one"
        assert await objects.get_range("a/2", 1, 9) == b"wo"
        assert [entry.key for entry in await objects.list("a/")] == ["a/1", "a/2"]
        assert [entry.key for entry in await objects.list("a/", after="a/1")] == ["a/2"]
        await objects.delete("a/1")
        with pytest.raises(NotFound):
            await objects.get("a/1")

    loop.run(main())


def test_a_lost_answer_leaves_the_change(loop: VirtualLoop) -> None:
    """The create raises, and is done all the same."""

    async def main() -> None:
        bucket, objects = store(loop, Weather(lost=1.0))
        with pytest.raises(Unavailable):
            await objects.create("a", [b"one"])
        assert bucket.objects == {"a": b"one"}

    loop.run(main())


def test_a_late_create_comes_true_long_after_it_failed(loop: VirtualLoop) -> None:
    """Not there when it raised, and there afterwards, with the bytes that it was called with."""

    async def main() -> None:
        bucket, objects = store(loop, Weather(late=1.0))
        data = bytearray(b"one")
        with pytest.raises(Unavailable):
            await objects.create("a", [data])
        data[:] = b"two"
        assert bucket.objects == {}
        await loop.sleep(60.0)
        assert bucket.objects == {"a": b"one"}

    loop.run(main())


def test_puts_overtake_each_other(loop: VirtualLoop) -> None:
    """Of puts that are under way at once, a later one may arrive first."""
    arrived: list[str] = []

    async def main() -> None:
        bucket, objects = store(loop, Weather())

        async def put(name: str) -> None:
            await objects.put(name, [b""])

        await gather(loop, *(put(f"a/{number}") for number in range(8)))
        arrived.extend(bucket.objects)

    loop.run(main())
    assert arrived != sorted(arrived)


def test_what_a_killed_process_had_sent_arrives(loop: VirtualLoop) -> None:
    """A put that is under way when its process is killed is done."""

    async def main() -> None:
        bucket, objects = store(loop, Weather())
        process = Process("victim")
        loop.create_task(objects.put("a", [b"one"]), context=process.context.copy())
        await loop.after_steps(1)
        process.kill()
        assert bucket.objects == {}
        await loop.sleep(1.0)
        assert bucket.objects == {"a": b"one"}

    loop.run(main())


def test_a_stale_listing_shows_the_past(loop: VirtualLoop) -> None:
    """Some listing leaves out what was put last, and shows what was deleted last."""

    async def main() -> None:
        _, objects = store(loop, Weather(stale=1.0))
        for number in range(20):
            await objects.put(f"a/{number:02}", [b""])
        await objects.delete("a/19")
        seen = [[entry.key for entry in await objects.list("a/")] for _ in range(20)]
        assert any("a/19" in keys for keys in seen)
        assert any("a/18" not in keys for keys in seen)

    loop.run(main())


def test_trouble_hits_every_call(loop: VirtualLoop) -> None:
    """With expired credentials nothing is done, and nothing is read."""

    async def main() -> None:
        bucket, objects = store(loop, Weather(trouble=Denied))
        for call in (objects.put("a", [b""]), objects.get("a"), objects.list(""), objects.delete("a")):
            with pytest.raises(Denied):
                await call
        assert bucket.objects == {}

    loop.run(main())


async def gather(loop: VirtualLoop, *work: Coroutine[Any, Any, None]) -> None:
    """All of it at once."""
    for task in [loop.create_task(each) for each in work]:
        await task
