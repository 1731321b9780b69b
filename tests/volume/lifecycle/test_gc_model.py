"""Whatever happens, garbage collection deletes nothing that a head can reach, and in the end all that none can: the
decisions alone, against a model that keeps every state.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import numpy as np
import pytest

from g2disk.volume.format.manifest import Head, PageReference, Run
from g2disk.volume.format.names import SegmentName
from g2disk.volume.gc.orphans import Bounds
from g2disk.volume.gc.policy import victims
from g2disk.volume.map.table import SegmentTable

BLOCKS = 24
PAGE = PageReference(1, 1, 0, 1)


@dataclass
class Segment:
    """An object in the store."""

    epoch: int
    blocks: list[int]
    zeroes: list[int]


@dataclass
class Saved:
    """A head, with all that it stands for."""

    head: Head
    root: dict[int, int]
    table: SegmentTable
    state: dict[int, int]


@dataclass
class Model:
    """A volume without bytes: states are dictionaries from block to location."""

    random: Random
    store: dict[int, Segment] = field(default_factory=dict)
    snapshots: dict[str, Saved] = field(default_factory=dict)
    epoch: int = 1
    next: int = 1
    checkpoints: int = 0

    def __post_init__(self) -> None:
        self.state: dict[int, int] = {}
        self.table = SegmentTable()
        self.committed = Saved(Head(), {}, SegmentTable(), {})

    def put(self, blocks: list[int], zeroes: list[int]) -> None:
        self.store[self.next] = Segment(self.epoch, blocks, zeroes)
        apply(self.state, self.table, self.next, self.store[self.next])
        self.next += 1

    def write(self) -> None:
        self.put(
            sorted(self.random.sample(range(BLOCKS), self.random.randrange(5))),
            self.random.sample(range(BLOCKS), self.random.choice((0, 0, 1, 9))),
        )

    def head(self) -> Head:
        """As `settle_to_store` says."""
        old = self.committed.head
        if self.next == old.next:
            return old
        run = Run(first=old.next, end=self.next, epoch=self.epoch)
        return Head(
            root=old.root,
            table=old.table,
            checkpoint=old.checkpoint,
            applied=old.applied,
            runs=(*old.runs, run),
            next=self.next,
        )

    def checkpoint(self) -> None:
        self.checkpoints += 1
        head = Head(root=PAGE, table=PAGE, checkpoint=self.checkpoints, applied=self.next, next=self.next)
        self.committed = Saved(head, dict(self.state), self.table.copy(), dict(self.state))

    def snapshot(self) -> None:
        head = self.head()
        saved = Saved(head, self.committed.root, self.committed.table, dict(self.state))
        self.committed = Saved(head, self.committed.root, self.committed.table, dict(self.state))
        self.snapshots[f"s{self.next}-{self.random.random()}"] = saved

    def forget(self) -> None:
        if self.snapshots:
            del self.snapshots[self.random.choice(sorted(self.snapshots))]

    def rollback(self) -> None:
        if not self.snapshots:
            return
        saved = self.snapshots[self.random.choice(sorted(self.snapshots))]
        table, state = saved.table.copy(), dict(saved.root)
        for number in runs_of(saved.head):
            apply(state, table, number, self.store[number])
        self.table.rebase(table, self.next, self.checkpoints + 1)
        self.state = state
        self.checkpoint()

    def move(self) -> None:
        """Store anew what is live in some segments."""
        heads = [saved.head for saved in self.snapshots.values()]
        names = victims(self.table, heads, 1, self.random.random())
        numbers = {name.number for name in names}
        blocks = sorted(block for block, at in self.state.items() if at >> 24 in numbers)
        if blocks:
            self.put(blocks, [])

    def delete(self) -> None:
        """As the collector does, and killed at any moment of it."""
        killed = self.random.choice((None, None, "before the commit", "after the commit"))
        coming = Head(root=PAGE, table=PAGE, checkpoint=self.checkpoints, applied=self.next, next=self.next)
        heads = [saved.head for saved in self.snapshots.values()]
        segments, maps = self.table.deletable(coming, heads)
        assert not maps
        self.table.remove(segments, maps)
        if killed == "before the commit":
            self.crash()
            return
        self.checkpoint()
        for name in segments[: len(segments) // 2 if killed else None]:
            del self.store[name.number]
        if killed:
            self.crash()

    def orphans(self) -> None:
        bounds = Bounds(self.epoch, self.committed.head.applied, 1)
        for number in list(self.store):
            name = SegmentName(number, self.store[number].epoch)
            if bounds.settled(name) and self.table.segments.epoch(number) != name.epoch:
                del self.store[number]

    def crash(self) -> None:
        """Open again: what is behind the committed head is found, as far as it is without a gap."""
        head = self.committed.head
        self.state, self.table = dict(self.committed.root), self.committed.table.copy()
        numbers = runs_of(head)
        behind = head.next
        while behind in self.store and self.store[behind].epoch == self.epoch:
            numbers.append(behind)
            behind += 1
        for number in numbers:
            apply(self.state, self.table, number, self.store[number])
        self.next = behind
        self.committed = Saved(self.head(), self.committed.root, self.committed.table, dict(self.state))
        self.epoch += 1
        self.checkpoints = head.checkpoint

    def check(self) -> None:
        for saved in (self.committed, *self.snapshots.values()):
            state = dict(saved.root)
            for number in runs_of(saved.head):
                apply(state, None, number, self.store[number])
            assert saved.state == state
            assert all(at >> 24 in self.store for at in state.values())


def apply(state: dict[int, int], table: SegmentTable | None, number: int, segment: Segment) -> None:
    """The effect of a segment, as `BlockMap.apply` has it."""
    if table is not None:
        table.segments.add(number, segment.epoch, len(segment.blocks), 100, number)
    changed = dict.fromkeys(segment.zeroes, 0)
    if table is not None:
        take(table, state, changed, number)
    change(state, changed)
    changed = {block: (number << 24) + ordinal for ordinal, block in enumerate(segment.blocks)}
    if table is not None:
        take(table, state, changed, number)
        table.segments.settle(number, number)
    change(state, changed)


def take(table: SegmentTable, state: dict[int, int], changed: dict[int, int], number: int) -> None:
    old = np.array([state.get(block, 0) for block in changed], np.uint64)
    table.take(old, np.array(list(changed.values()), np.uint64), number)


def change(state: dict[int, int], changed: dict[int, int]) -> None:
    for block, at in changed.items():
        state.pop(block, None)
        if at:
            state[block] = at


def runs_of(head: Head) -> list[int]:
    return [number for run in head.runs for number in range(run.first, run.end)]


STEPS = ("write",) * 8 + ("checkpoint", "snapshot", "forget", "rollback", "move", "move", "delete", "orphans", "crash")


@pytest.mark.parametrize("seed", range(150))
def test_nothing_that_a_head_reaches_is_deleted_and_in_the_end_all_else_is(seed: int) -> None:
    """After each step every head has all its segments; without snapshots, only what the disk uses is left."""
    random = Random(seed)
    model = Model(random)
    for _ in range(80):
        getattr(model, random.choice(STEPS))()
        model.check()

    model.snapshots.clear()
    model.checkpoint()
    for _ in range(2):
        coming = Head(root=PAGE, table=PAGE, checkpoint=model.checkpoints, applied=model.next, next=model.next)
        segments, maps = model.table.deletable(coming, [])
        model.table.remove(segments, maps)
        model.write()
        model.checkpoint()
        for name in segments:
            model.store.pop(name.number, None)
        model.orphans()
        model.check()
    live = {at >> 24 for at in model.state.values()}
    died = model.table.segments.died
    assert live | set(model.table.segments.number[died > 0].tolist()) == set(model.store)
