"""Which objects anybody needs: the rule against the sets that heads really reach."""

from __future__ import annotations

from random import Random

import msgspec
import numpy as np
import pytest

from g2disk.errors import Corrupt, NotFound
from g2disk.volume.format.manifest import Head, Run
from g2disk.volume.format.names import SegmentName
from g2disk.volume.format.pages import DATA_SEGMENT, TablePage
from g2disk.volume.map.block_map import BlockMap
from g2disk.volume.map.table import SegmentTable
from tests.volume.map.ground import Store, segment

SPAN = 400


class Disk:
    """A disk with a history: what every head reaches is kept beside it, found by looking and not by the rule."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.store = Store(object_bytes=self.random.choice((400, 1 << 24)))
        self.map = BlockMap(self.store.source)
        self.number = 1
        self.segments: dict[int, object] = {}
        self.contents: dict[int, dict[int, int]] = {0: {}}
        """By checkpoint: where each block is."""
        self.pages: dict[int, set[int]] = {0: set()}
        """By checkpoint: the map objects that it uses."""
        self.head = Head()
        self.snapshots: list[Head] = []

    async def write(self) -> None:
        blocks = sorted(self.random.sample(range(SPAN), self.random.choice((1, 10, 150))))
        zero = [(self.random.randrange(SPAN), 60)] if self.random.random() < 0.3 else []
        if self.random.random() < 0.1:
            blocks, zero = [], [(0, SPAN)]
        index = segment(self.number, [(block, 1) for block in blocks], zero)
        self.segments[self.number] = index
        await self.map.apply(index)
        self.number += 1

    async def checkpoint(self) -> None:
        self.head = await self.store.checkpoint(self.map, self.number)
        await self.look()

    async def look(self) -> None:
        """Find out what the checkpoint of now consists of."""
        fresh = await BlockMap.open(self.store.source, self.head)
        self.contents[self.head.checkpoint] = {
            block + each: location + each async for block, count, location in fresh.walk() for each in range(count)
        }
        assert self.head.root is not None
        assert self.head.table is not None
        pages = {self.head.root.number, self.head.table.number}
        for node in fresh._tree.index.nodes:
            if node.reference is not None:
                content = await fresh._tree.content(node)
                assert content is not None
                pages.update([node.reference.number, *content.references.numbers.tolist()])
        self.pages[self.head.checkpoint] = pages

    def now(self) -> Head:
        """A head of this moment, as a snapshot keeps it."""
        if self.number == self.head.applied:
            return self.head
        run = Run(first=self.head.applied, end=self.number, epoch=1)
        return msgspec.structs.replace(self.head, runs=(run,), next=self.number)

    async def rollback(self, target: Head) -> None:
        """To a snapshot, as the table's docstring says."""
        old = await BlockMap.open(self.store.source, target)
        for number in range(target.applied, target.next):
            await old.apply(self.segments[number])  # type: ignore[arg-type]
        table = self.map.table
        table.rebase(old.table, self.number, self.map.checkpoints + 1)
        old.table, old.checkpoints = table, self.map.checkpoints
        self.map = old
        await self.checkpoint()

    def reached(self, head: Head, end: int) -> tuple[set[int], set[int]]:
        """Segments and map objects that a head uses, where its segments end before `end`."""
        segments = {location >> 24 for location in self.contents[head.checkpoint].values()}
        return segments | set(range(head.applied, end)), self.pages[head.checkpoint]

    def needed(self) -> tuple[set[int], set[int]]:
        heads = [self.reached(self.head, self.number)] + [self.reached(each, each.next) for each in self.snapshots]
        segments, maps = (set().union(*sets) for sets in zip(*heads, strict=True))
        return segments, maps

    async def act(self) -> None:
        action = self.random.random()
        if action < 0.5:
            await self.write()
        elif action < 0.7:
            await self.checkpoint()
        elif action < 0.8:
            self.snapshots.append(self.now())
        elif action < 0.87 and self.snapshots:
            self.snapshots.pop(self.random.randrange(len(self.snapshots)))
        elif action < 0.9 and self.snapshots:
            await self.rollback(self.random.choice(self.snapshots))
        else:
            segments, maps = self.map.table.deletable(self.head, self.snapshots)
            self.map.table.remove(segments, maps)
            await self.checkpoint()
            for name in maps:
                await self.store.objects.delete(self.store.key(name))


@pytest.mark.parametrize("seed", range(12))
async def test_nothing_that_a_head_reaches_is_ever_deletable(seed: int) -> None:
    """With snapshots taken and deleted, checkpoints, rollbacks and deletions at any moment; and without snapshots all
    garbage can go in the end."""
    disk = Disk(seed)
    for _ in range(80):
        await disk.act()
        needed, needed_maps = disk.needed()
        segments, maps = disk.map.table.deletable(disk.head, disk.snapshots)
        assert not needed & {name.number for name in segments}
        assert not needed_maps & {name.number for name in maps}
        listed = disk.map.table
        assert needed <= set(listed.segments.number.tolist())
        assert needed_maps <= set(listed.maps.number.tolist())
    disk.snapshots.clear()
    for _ in range(3):  # a rollback's deaths are a moment late
        await disk.write()
        await disk.checkpoint()
        disk.map.table.remove(*disk.map.table.deletable(disk.head, []))
    needed, needed_maps = disk.reached(disk.head, disk.number)
    assert needed == set(disk.map.table.segments.number.tolist())
    assert needed_maps <= set(disk.map.table.maps.number.tolist())
    assert len(disk.map.table.maps) <= len(needed_maps) + 8


async def test_what_a_checkpoint_in_the_making_wrote_is_not_deletable() -> None:
    """Its map objects are younger than the committed head, which has no end."""
    store = Store()
    mapping = BlockMap(store.source)
    await mapping.apply(segment(1, [(0, 10)]))
    committed = await store.checkpoint(mapping, 2)
    await mapping.apply(segment(2, [(0, 10)]))
    await store.checkpoint(mapping, 3)  # nobody commits it
    assert mapping.table.deletable(committed, []) == ([], [])


async def test_a_clone_deletes_nothing_of_its_ancestors() -> None:
    """Numbers below its own first belong to others."""
    store = Store()
    mapping = BlockMap(store.source)
    await mapping.apply(segment(1, [(0, 10)]))
    await store.checkpoint(mapping, 2)
    await mapping.apply(segment(2, [(0, 10)]))
    await mapping.apply(segment(3, [(0, 10)]))
    head = await store.checkpoint(mapping, 4)
    assert mapping.table.deletable(head, [])[0] == [SegmentName(1, 1), SegmentName(2, 1)]
    assert mapping.table.deletable(head, [], first=2)[0] == [SegmentName(2, 1)]
    assert mapping.table.deletable(head, [], first_map=99)[1] == []


async def test_candidates_are_those_whose_move_frees_them() -> None:
    """The emptiest first; none that a snapshot or an ancestor needs."""
    mapping = BlockMap(Store().source)
    for number in range(1, 4):
        await mapping.apply(segment(number, [(number * 100, 100)]))
    await mapping.apply(segment(4, [(100, 60), (200, 90), (300, 10)]))
    table = mapping.table
    assert table.candidates(0.5) == [SegmentName(2, 1), SegmentName(1, 1)]
    assert table.candidates(0.2) == [SegmentName(2, 1)]
    assert table.candidates(0.5, [Head(runs=(Run(1, 2, 1),), next=2)]) == [SegmentName(2, 1)]
    assert table.candidates(0.5, first=3) == []
    assert (table.live_blocks, table.stored_blocks) == (300, 460)


def test_a_table_that_contradicts_itself_is_corrupt() -> None:
    """More in use than there is, or rows out of order."""

    def page(numbers: list[int], live: list[int]) -> TablePage:
        rows = len(numbers)
        zeroes, ones = np.zeros(rows, "<u8"), np.ones(rows, "<u4")
        kinds = np.full(rows, DATA_SEGMENT, "u1")
        return TablePage(np.array(numbers, "<u8"), zeroes, zeroes, zeroes, ones, np.array(live, "<u4"), ones, kinds)

    assert SegmentTable.decode(page([1, 2], [1, 0])).epoch(2) == 1
    for damaged in (page([2, 1], [1, 0]), page([1, 1], [1, 0]), page([1, 2], [2, 0])):
        with pytest.raises(Corrupt):
            SegmentTable.decode(damaged)


async def test_counts_that_do_not_fit_the_map_are_corrupt() -> None:
    """A segment that the map uses and the table does not list, or counts too low."""
    mapping = BlockMap(Store().source)
    await mapping.apply(segment(1, [(0, 10)]))
    mapping.table.segments.live[:] = 3
    with pytest.raises(Corrupt, match="counts wrong"):
        await mapping.apply(segment(2, [(0, 10)]))
    mapping.table = SegmentTable()
    with pytest.raises(Corrupt, match="does not list"):
        await mapping.apply(segment(3, [(0, 10)]))
    with pytest.raises(NotFound):
        mapping.table.epoch(1)
