"""The store's map against a dictionary."""

from __future__ import annotations

import asyncio
from random import Random

import numpy as np
import pytest

from g2disk.volume.format.manifest import Head
from g2disk.volume.format.segment import SegmentKind
from g2disk.volume.map.block_map import BlockMap
from tests.volume.map.ground import GIANT, Model, Store, live, segment

SPANS = (40, 3000, 200_000, GIANT)
"""Blocks of the disks that are tried: within one cell, a few leaves, many leaves, the largest."""


def ranges(random: Random, span: int, most: int) -> list[tuple[int, int]]:
    """Ranges apart from each other, ascending, mostly near each other."""
    found: list[tuple[int, int]] = []
    place = random.randrange(span)
    while place < span and len(found) < most:
        count = min(random.choice((1, 1, 2, 7, 64, 500)), span - place)
        found.append((place, count))
        place += count + random.choice((1, 3, 60, 1024, 5000, span // 3 + 1))
    return found


def zeroes(random: Random, span: int) -> list[tuple[int, int]]:
    place = random.randrange(span)
    count = random.choice((1, 30, 1024, 4096, span // 4 + 1, span))
    return [(place, min(count, span - place))] if random.random() < 0.6 else []


async def collected(mapping: BlockMap, model: Model, random: Random, number: int) -> None:
    """Move a few blocks, some of which are not where they are thought to be."""
    if not model.at:
        return
    chosen = sorted(random.sample(sorted(model.at), min(20, len(model.at))))
    expected = np.array([model.at[block] if random.random() < 0.7 else 5 << 24 | 77 for block in chosen], np.uint64)
    index = segment(number, [(block, 1) for block in chosen], kind=SegmentKind.COLLECTED)
    await mapping.apply(index, expected)
    model.apply(index, expected)


async def check(mapping: BlockMap, model: Model, random: Random, span: int) -> None:
    assert live(mapping) == model.live()
    for _ in range(3):
        block = random.choice([*list(model.at)[:50], random.randrange(span)])
        count = min(random.choice((1, 2, 100, 5000, 200_000, span)), span - block)
        now = mapping.find_now(block, count)
        expected = model.find(block, count)
        assert await mapping.find(block, count) == expected
        assert now in (None, expected)


async def pages_are_counted(mapping: BlockMap, store: Store, head: Head) -> None:
    """The table's pages in use are those that a fresh look from the root finds."""
    found: dict[int, int] = {}
    assert head.root is not None
    assert head.table is not None
    for reference in (head.root, head.table):
        found[reference.number] = found.get(reference.number, 0) + 1
    fresh = await BlockMap.open(store.source, head)
    for node in fresh._tree.index.nodes:
        if node.reference is None:
            continue
        found[node.reference.number] = found.get(node.reference.number, 0) + 1
        content = await fresh._tree.content(node)
        assert content is not None
        for number in content.references.numbers.tolist():
            found[number] = found.get(number, 0) + 1
    maps = mapping.table.maps
    alive = maps.died == 0
    assert dict(zip(maps.number[alive].tolist(), maps.live[alive].tolist(), strict=True)) == found


@pytest.mark.parametrize("memory", [20_000, 64 << 20])
@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("seed", range(3))
async def test_a_map_is_a_dictionary_that_survives_reopening(seed: int, span: int, memory: int) -> None:
    """Whatever is applied, checkpointed, forgotten and opened again, blocks are where the last segment put them, and
    the counts of what is in use are exact."""
    random = Random(seed * 1000 + span + memory)
    store, model = Store(object_bytes=random.choice((500, 1 << 24))), Model()
    mapping = BlockMap(store.source, memory)
    head = Head()
    since: list[int] = []
    for number in range(1, 40):
        action = random.random()
        if action < 0.7:
            index = segment(number, ranges(random, span, 30), zeroes(random, span))
            await mapping.apply(index)
            model.apply(index)
        elif action < 0.8:
            await collected(mapping, model, random, number)
        elif action < 0.95:
            head = await store.checkpoint(mapping, number)
            since.clear()
            await pages_are_counted(mapping, store, head)
        else:
            head = await store.checkpoint(mapping, number)
            mapping = await BlockMap.open(store.source, head, memory)
        await check(mapping, model, random, span)
    walked = [run async for run in mapping.walk()]
    assert sum(count for _, count, _ in walked) == len(model.at)
    assert walked == sorted(walked)
    for block, count, location in walked:
        assert all(model.at[block + each] == location + each for each in range(count))
    await asyncio.gather(*(mapping.find(random.randrange(span), 1) for _ in range(10)))


async def test_ranges_that_overlap_are_zeroed_once() -> None:
    """The counts stay exact, whatever the packer leaves in."""
    mapping, model = BlockMap(Store().source), Model()
    for index in (segment(1, [(0, 3000)]), segment(2, [], [(5, 50), (10, 20), (40, 2000), (1000, 700)])):
        await mapping.apply(index)
        model.apply(index)
    assert live(mapping) == model.live()
    assert await mapping.find(0, 3000) == model.find(0, 3000)


async def test_a_disk_that_shrinks_forgets_what_was_behind_its_end() -> None:
    """And when it grows again there are zeroes."""
    store, model = Store(), Model()
    mapping = BlockMap(store.source)
    index = segment(1, [(1000, 5000), (GIANT - 7, 7)])
    await mapping.apply(index)
    await store.checkpoint(mapping, 2)
    await mapping.apply(segment(2, [], [(3001, GIANT - 3001)]))
    model.apply(segment(1, [(1000, 2001)]))
    assert await mapping.find(0, GIANT) == model.find(0, GIANT)
    assert live(mapping) == model.live()
    reopened = await BlockMap.open(store.source, await store.checkpoint(mapping, 3))
    assert await reopened.find(0, GIANT) == model.find(0, GIANT)
