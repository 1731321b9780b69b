"""Reading a map while others read, change and store it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator
from random import Random

import pytest

from g2disk.errors import Corrupt, NotFound
from g2disk.volume.format.manifest import Head
from g2disk.volume.format.names import MapName
from g2disk.volume.format.segment import SegmentIndex
from g2disk.volume.map.block_map import BlockMap
from g2disk.volume.map.sharing import SharedLoads
from tests.volume.map.ground import GIANT, Model, Store, live, segment, step


async def after(turns: int, work: Awaitable[object]) -> object:
    """`work`, begun that many turns of the event loop later."""
    for _ in range(turns):
        await Turn()
    return await work


class Turn:
    """Awaited, one turn of the event loop."""

    def __await__(self) -> Generator[None, None, None]:
        yield


async def stored(count: int = 3000, gap: int = 1024) -> tuple[Store, BlockMap, Model, Head]:
    """A map just opened, of `count` blocks `gap` apart."""
    store, model = Store(), Model()
    mapping = BlockMap(store.source)
    index = segment(1, [(block * gap, 1) for block in range(count)])
    await mapping.apply(index)
    model.apply(index)
    head = await store.checkpoint(mapping, 2)
    opened = await BlockMap.open(store.source, head)
    store.objects.gets.clear()
    return store, opened, model, head


async def test_two_who_need_one_leaf_share_one_read() -> None:
    """Also when one of them is cancelled; and nothing is read twice later."""
    store, mapping, model, _ = await stored()
    waiters = [asyncio.ensure_future(mapping.find(2048, 1)) for _ in range(5)]
    await step()
    waiters[0].cancel()
    found = await asyncio.gather(*waiters, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert found[1:] == [model.find(2048, 1)] * 4
    assert len(store.objects.gets) == 2  # the index page and the leaf
    assert mapping.find_now(2048, 1) == model.find(2048, 1)


async def test_a_load_that_nobody_waits_for_is_cancelled() -> None:
    """And one that comes afterwards begins anew."""
    store, mapping, model, _ = await stored()
    store.objects.free.clear()
    waiters = [asyncio.ensure_future(mapping.find(2048, 1)) for _ in range(2)]
    for _ in range(5):
        await step()
    for waiter in waiters:
        waiter.cancel()
    await asyncio.wait(waiters)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    store.objects.free.set()
    assert await mapping.find(2048, 1) == model.find(2048, 1)


async def test_who_comes_while_a_load_is_being_cancelled_is_served() -> None:
    """The cancellation is not its own."""
    begun: list[int] = []
    held = asyncio.Event()

    async def load(keys: list[int]) -> dict[int, int]:
        begun.append(len(begun))
        try:
            await held.wait()
        except asyncio.CancelledError:
            await step()
            raise
        return {key: key for key in keys}

    loads: SharedLoads[int, int] = SharedLoads(load, lambda _: None)
    first = asyncio.ensure_future(loads.get([1, 2]))
    await step()
    first.cancel()
    await step()
    second = asyncio.ensure_future(loads.get([2]))
    held.set()
    assert await second == {2: 2}
    await asyncio.wait([first])
    assert first.cancelled()
    assert len(begun) == 2


async def test_neighbours_are_read_together() -> None:
    """A range of many leaves takes few requests."""
    store, mapping, model, _ = await stored()
    assert await mapping.find(0, 3000 * 1024) == model.find(0, 3000 * 1024)
    assert len(store.objects.gets) < 3000 // 20


async def test_an_empty_part_of_a_giant_disk_is_read_from_the_index_alone() -> None:
    """8 EiB of nothing cost as many requests as there are index pages."""
    store, mapping, _, _ = await stored(count=3, gap=1)
    assert await mapping.find(1 << 30, GIANT - (1 << 30)) == [(1 << 30, GIANT - (1 << 30), 0)]
    assert len(store.objects.gets) == 1
    assert mapping.find_now(1 << 40, 1) == [(1 << 40, 1, 0)]


@pytest.mark.parametrize("turns", range(12))
async def test_what_was_on_its_way_before_a_change_is_not_taken_for_what_is_after_it(turns: int) -> None:
    """A reader has a new leaf looked for just before it is made, along with one that takes long.  When the leaf is
    made, stored and forgotten, another reader finds it, though the first still waits."""
    store, mapping, model, _ = await stored(count=3)
    await mapping.find(0, 1)
    index = segment(2, [(20 * 1024, 1)])
    store.objects.free.clear()
    applied = asyncio.ensure_future(mapping.apply(index))
    early = asyncio.ensure_future(after(turns, mapping.find(1024, 20 * 1024)))
    for _ in range(40):
        await step()
    if not applied.done():  # it waits for the reader's load
        store.objects.free.set()
    await applied
    model.apply(index)
    await store.checkpoint(mapping, 3)
    mapping._tree.leaves.evict(1 << 40, ())
    assert 20 not in mapping._tree.leaves
    late = asyncio.ensure_future(mapping.find(20 * 1024, 1))
    for _ in range(20):
        await step()
    store.objects.free.set()
    assert await late == model.find(20 * 1024, 1)
    await early


class Contest:
    """A writer and readers of one map; of each block all locations that it ever had are known."""

    SPAN = 60 * 1024

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.store = Store(object_bytes=3000)
        self.model = Model()
        self.map = BlockMap(self.store.source, memory_limit=30_000)
        self.history: dict[int, list[int]] = {}
        self.settled: dict[int, int] = {}
        """Of each block, which of its locations has taken effect for certain."""
        self.done = False

    async def write(self) -> None:
        for number in range(1, 30):
            index = self.segment(number)
            self.model.apply(
                segment(number, [], zip(index.zero_blocks.tolist(), index.zero_counts.tolist(), strict=True))
            )
            self.note()  # zeroes come first, and may be seen
            self.model.apply(index)
            self.note()
            await self.map.apply(index)
            self.settled.update({block: len(each) - 1 for block, each in self.history.items()})
            if self.random.random() < 0.5:
                head = await self.store.checkpoint(self.map, number + 1)
                for name in self.map.table.deletable(head, [])[1]:
                    await self.store.objects.delete(self.store.key(name))
        self.done = True

    def note(self) -> None:
        for block in {*self.history, *self.model.at}:
            location = self.model.at.get(block, 0)
            if self.history.setdefault(block, [0])[-1] != location:
                self.history[block].append(location)

    def segment(self, number: int) -> SegmentIndex:
        blocks = sorted(self.random.sample(range(self.SPAN), 60))
        zeroes = [(self.random.randrange(self.SPAN), 3000)] if self.random.random() < 0.4 else []
        return segment(number, [(block, 1) for block in blocks], zeroes)

    async def read(self) -> None:
        while not self.done:
            block = self.random.randrange(self.SPAN)
            count = min(self.random.choice((1, 1, 100, 5000)), self.SPAN - block)
            before = dict(self.settled)
            place = block
            for first, length, location in await self.map.find(block, count):
                assert first == place
                place += length
                for each in range(first, first + length):
                    at = location + each - first if location else 0
                    assert at in self.history.get(each, [0])[before.get(each, 0) :]
            assert place == block + count
            await step()


@pytest.mark.parametrize("seed", range(6))
async def test_reads_go_on_while_segments_are_applied_and_checkpoints_written(seed: int) -> None:
    """A reader finds each block where it was at some moment of its read, whatever is loaded and forgotten meanwhile,
    also when the map objects of old checkpoints are deleted under it."""
    contest = Contest(seed)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(contest.write())
        for _ in range(3):
            tasks.create_task(contest.read())
    assert live(contest.map) == contest.model.live()


@pytest.mark.parametrize("what", ["apply", "checkpoint"])
@pytest.mark.parametrize("steps", [0, 1, 2, 5, 9, 14, 20])
async def test_what_was_cancelled_can_be_done_again(what: str, steps: int) -> None:
    """Half an apply, repeated, is one apply; half a checkpoint is none."""
    store, mapping, model, head = await stored(count=400)
    index = segment(2, [(block * 3000, 2) for block in range(200)], [(5000, 90_000)])
    model.apply(index)

    async def work() -> None:
        await mapping.apply(index)
        if what == "checkpoint":
            await store.checkpoint(mapping, 3)

    if what == "checkpoint":
        await mapping.apply(index)
    count = mapping.checkpoints
    task = asyncio.ensure_future(work())
    for _ in range(steps):
        await step()
    task.cancel()
    await asyncio.wait([task])
    store.next += 100 if task.cancelled() else 0  # numbers are never used again
    assert task.cancelled() or mapping.checkpoints >= count
    await mapping.apply(index)
    assert live(mapping) == model.live()
    again = await BlockMap.open(store.source, await store.checkpoint(mapping, 3))
    for opened in (mapping, again):
        assert await opened.find(0, 700_000) == model.find(0, 700_000)
    old = await BlockMap.open(store.source, head)
    assert (await old.find(1024, 1))[0][2] >> 24 == 1


async def test_a_checkpoint_that_fails_changes_nothing() -> None:
    """The next one is complete."""
    store, mapping, model, _ = await stored(count=50)
    index = segment(2, [(5, 3)])
    await mapping.apply(index)
    model.apply(index)

    class Broken(Exception):
        pass

    async def refuse(*_: object) -> None:
        raise Broken

    writer = store.writer()
    store.next += 10
    writer._put = refuse  # type: ignore[method-assign,assignment]
    with pytest.raises(Broken):
        await mapping.checkpoint(writer)
    assert mapping.checkpoints == 1
    again = await BlockMap.open(store.source, await store.checkpoint(mapping, 3))
    assert again.checkpoints == 2
    assert await again.find(0, 60_000) == model.find(0, 60_000)


async def test_a_map_object_that_is_gone_is_corrupt() -> None:
    """Not an endless search: nothing moved the page."""
    store, mapping, _, head = await stored()
    assert head.root is not None
    await store.objects.delete(store.key(MapName(head.root.number, head.root.epoch)))
    with pytest.raises(Corrupt, match="g2disk fsck"):
        await mapping.find(0, 1)
    with pytest.raises(NotFound):
        await BlockMap.open(store.source, head)


async def test_memory_stays_within_its_limit() -> None:
    """However much is looked at; and a checkpoint brings it back when changes went beyond."""
    limit = 300_000
    store, _, model, head = await stored(count=5000, gap=700)
    mapping = await BlockMap.open(store.source, head, limit)
    async for _ in mapping.walk():
        assert mapping._tree.memory <= limit + 32 * 8400
    mapping._tree.shrink()
    assert mapping._tree.memory <= limit
    assert not mapping.wants_checkpoint
    number = 2
    while not mapping.wants_checkpoint:
        index = segment(number, [(number * 100_000 + each * 2000, 1) for each in range(40)])
        await mapping.apply(index)
        model.apply(index)
        number += 1
    await store.checkpoint(mapping, number)
    assert mapping._tree.memory <= limit
    assert live(mapping) == model.live()
