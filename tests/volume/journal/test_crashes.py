"""Journals on a disk that loses, tears and reorders what was not synced, and in processes that end at any moment."""

import asyncio
import random
from contextlib import suppress
from typing import Any

import pytest
from tests.volume.journal.power_cut import PowerCut, SimulatedDisk, turn

from g2disk.errors import DiskError, OutOfSpace
from g2disk.volume.journal.journal import WRITE, ZERO, Change, Entry, Journal

VOLUME = "ab" * 16
BLOCK = 4096
LIMIT = 2 << 20  # eight files
Content = tuple[int, int, int, bytes]


class Model:
    """What was appended, and what of it must be there."""

    def __init__(self, seed: int, key: bytes | None) -> None:
        self.rng = random.Random(seed)
        self.key = key
        self.contents: dict[int, Content] = {}
        """Of the entries that `append` returned, the newest by sequence."""
        self.attempts: list[Content] = []
        """Changes of appends that failed or were cut off: they may be there, in part."""
        self.appended = self.committed = self.released = 0
        self.killed = False
        """Whether the last process only ended, so that the disk lost nothing."""

    def check(self, journal: Journal) -> None:
        """What was recovered is contiguous, has all that must be there, and nothing that was never appended."""
        entries = journal.recovered
        assert [entry.sequence for entry in entries] == list(
            range(entries[0].sequence, entries[0].sequence + len(entries)) if entries else ()
        )
        last = entries[-1].sequence if entries else 0
        must = self.appended if self.killed else self.committed
        if last > self.released:
            assert entries[0].sequence <= self.released + 1  # nothing is missing in front of what is there
        assert last >= must or must <= self.released
        for entry in entries:
            found = self.content(journal, entry)
            if entry.sequence <= must or self.contents.get(entry.sequence) == found:
                assert self.contents[entry.sequence] == found
            else:
                assert any(_within(found, attempt) for attempt in self.attempts), entry
            self.contents[entry.sequence] = found
        self.appended = self.committed = max(last, self.released)
        self.contents = {number: content for number, content in self.contents.items() if number <= self.appended}

    def content(self, journal: Journal, entry: Entry) -> Content:
        length = entry.count * BLOCK if entry.kind == WRITE else 0
        return entry.kind, entry.block, entry.count, bytes(journal.read(entry.position, length))

    def batch(self) -> list[Change]:
        rng = self.rng
        changes: list[Change] = []
        for _ in range(rng.choice((1, 1, 3, 20))):
            if rng.random() < 0.2:
                changes.append((ZERO, rng.randrange(1 << 40), rng.randrange(1, 1 << 40), None))
            else:
                count = rng.choice((1, 1, 2, 9))
                changes.append((WRITE, rng.randrange(1 << 40), count, rng.randbytes(count * BLOCK)))
        return changes

    def appended_as(self, entries: list[Entry], changes: list[Change]) -> None:
        """Note what `append` returned, which must be the changes, perhaps parted."""
        sizes = [(kind, block, count, data or b"") for kind, block, count, data in changes]
        for entry in entries:
            kind, block, count, data = sizes[0]
            length = entry.count * BLOCK if kind == WRITE else 0
            assert (entry.sequence, entry.kind, entry.block) == (self.appended + 1, kind, block)
            self.appended = entry.sequence
            self.contents[entry.sequence] = kind, block, entry.count, bytes(data[:length])
            sizes[0] = kind, block + entry.count, count - entry.count, data[length:]
            if not sizes[0][2]:
                sizes.pop(0)
        assert not sizes


def _within(part: Content, whole: Content) -> bool:
    kind, block, count, data = part
    at = (block - whole[1]) * BLOCK
    if kind != whole[0] or not whole[1] <= block <= block + count <= whole[1] + whole[2]:
        return False
    return kind == ZERO or whole[3][at : at + len(data)] == data


class Life:
    """One process with the journal, from its opening to its end."""

    def __init__(self, model: Model, disk: SimulatedDisk, epoch: int) -> None:
        self.model, self.disk, self.epoch = model, disk, epoch
        self.rng = model.rng
        self.positions: dict[int, int] = {}

    async def run(self) -> None:
        model, rng = self.model, self.rng
        journal = await Journal.open(self.disk.files(), VOLUME, BLOCK, LIMIT, model.key, rng)
        try:
            model.check(journal)
            self.positions = {entry.sequence: entry.position for entry in journal.recovered}
            await journal.begin(self.epoch, model.appended + 1)
            for _ in range(rng.randrange(1, 80)):
                await rng.choice((self.append, self.append, self.append, self.commit, self.release, self.read))(journal)
        finally:
            with suppress(PowerCut):
                await journal.close()

    async def append(self, journal: Journal) -> None:
        model, changes = self.model, self.model.batch()
        need = sum(count * BLOCK * (kind == WRITE) + 64 for kind, _, count, _ in changes)
        if journal.room() < need:
            self.release_up_to(journal, model.appended)
            await journal.wait_for_room(need)
        attempts = [(kind, block, count, bytes(data or b"")) for kind, block, count, data in changes]
        try:
            entries = journal.append(changes)
        except (OutOfSpace, PowerCut):
            model.attempts += attempts
            raise
        assert journal.used <= journal.limit + (256 << 10)
        self.positions |= {entry.sequence: entry.position for entry in entries}
        model.appended_as(entries, changes)

    async def commit(self, journal: Journal) -> None:
        async def one() -> None:
            reached = self.model.appended
            await journal.commit()
            self.model.committed = max(self.model.committed, reached)

        tasks = [asyncio.create_task(one()) for _ in range(self.rng.randrange(1, 4))]
        cancelled = asyncio.create_task(journal.commit())
        if self.rng.random() < 0.5:
            cancelled.cancel()
        try:
            if self.rng.random() < 0.5:
                await turn()
                await self.append(journal)  # while the sync runs, perhaps
                tasks.append(asyncio.create_task(one()))
        finally:
            results = await asyncio.gather(*tasks, cancelled, return_exceptions=True)
        for result in results[:-1]:
            if result is not None:
                raise result

    async def release(self, journal: Journal) -> None:
        self.release_up_to(journal, self.rng.randint(self.model.released, self.model.appended))

    def release_up_to(self, journal: Journal, sequence: int) -> None:
        self.model.released = max(self.model.released, sequence)
        journal.release(self.positions.get(sequence + 1, journal.end))

    async def read(self, journal: Journal) -> None:
        model = self.model
        if model.appended > model.released:
            sequence = self.rng.randint(model.released + 1, model.appended)
            kind, block, count, data = model.contents[sequence]
            entry = Entry(sequence, kind, block, count, self.positions[sequence])
            assert model.content(journal, entry) == (kind, block, count, data)


async def _live(
    seed: int, lives: int, *, write_failures: float = 0.0, sync_failures: float = 0.0, space: int = 1 << 60
) -> None:
    rng = random.Random(seed)
    model = Model(seed, rng.choice((None, b"k" * 32)))
    disk = SimulatedDisk(seed, 0, write_failures=write_failures, sync_failures=sync_failures)
    disk.space = space
    for epoch in range(1, lives + 1):
        disk.dead, disk.crash_in = False, rng.randrange(1, 500)
        model.killed = False
        try:
            with suppress(PowerCut, DiskError):
                await Life(model, disk, epoch).run()
            model.killed = not sync_failures and rng.random() < 0.5
        finally:
            if not model.killed:
                disk.cut_power()


def _seeds(count: int, quick: int) -> list[Any]:
    """The first few run always, the others in the soak."""
    return [pytest.param(seed, marks=[pytest.mark.soak] if seed >= quick else []) for seed in range(count)]


@pytest.mark.parametrize("seed", _seeds(60, quick=20))
async def test_what_was_committed_is_there_after_any_crash(seed: int) -> None:
    """After a power cut all that was committed is there, after a kill all that was appended, in order, and nothing that
    was not appended, through many lives of one directory.
    """
    await _live(seed, 12)


@pytest.mark.parametrize("seed", _seeds(30, quick=10))
async def test_refused_writes_change_nothing_of_that(seed: int) -> None:
    """Where the system refuses writes, those appends fail, and nothing of them is in the way of others."""
    await _live(seed, 12, write_failures=0.05)


@pytest.mark.parametrize("seed", _seeds(30, quick=10))
async def test_failed_syncs_change_nothing_of_that(seed: int) -> None:
    """Where a sync fails, and the kernel forgets what it could not write, no commit says that it is durable."""
    await _live(seed, 12, write_failures=0.02, sync_failures=0.05)


@pytest.mark.parametrize("seed", _seeds(20, quick=8))
async def test_a_full_disk_changes_nothing_of_that(seed: int) -> None:
    """Where the disk has room for few files, some appends fail, and the others are as safe as ever."""
    await _live(seed, 12, write_failures=0.01, space=seed % 4 * (256 << 10))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1000, 1100))
async def test_many_lives(seed: int) -> None:
    """The same for hundreds of processes, one after the other, in one directory."""
    failing = seed % 3
    await _live(seed, 150, write_failures=0.03 * (failing > 0), sync_failures=0.02 * (failing > 1))
