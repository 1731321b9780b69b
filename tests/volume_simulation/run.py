"""One run: programs that use a volume while its servers, machines and store fail, all of it decided by a seed, and the
verdict.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from g2disk.errors import DiskError
from g2disk.units import KIB
from g2disk.volume.creating import Form, create_volume, open_key
from g2disk.volume.format.compression import Compression
from g2disk.volume.format.keys import Secret
from g2disk.volume.fsck.check import Checker
from g2disk.volume.fsck.report import Report
from g2disk.volume.gc import Collector
from g2disk.volume.settings import Settings
from g2disk.volume.volume import Volume
from tests.simulation.loop import Stuck, VirtualLoop
from tests.volume_simulation.acts import Acts
from tests.volume_simulation.bucket import Bucket, Weather
from tests.volume_simulation.layout import ISLAND, SIZE, UNITS, Units
from tests.volume_simulation.server import Server, World
from tests.volume_simulation.subject import Opening, Subject

_LONGEST = 14
"""Units of a request."""
_PATIENCE = 900.0
"""Seconds in which everything must be answered once all is well again."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a run."""

    seed: int
    wrong: tuple[str, ...]
    """What must not be; empty for a run that is right."""
    steps: int
    seconds: float
    """Virtual ones."""
    events: tuple[str, ...]
    """What happened in the simulated world, in order."""
    answered: int
    """Requests that were done."""


class Run:
    """The world of one run."""

    def __init__(self, seed: int) -> None:
        rng = Random(f"{seed} world")
        self.seed = seed
        self.loop = VirtualLoop()  # type: ignore[abstract]
        self.events: list[str] = []
        weather = Weather(
            slowest=rng.choice((0.01, 0.1, 1.0)),
            stalls=rng.choice((0.0, 0.0, 0.03)),
            errors=rng.choice((0.0, 0.02, 0.2)),
            lost=rng.choice((0.0, 0.05, 0.2)),
            late=rng.choice((0.0, 0.05, 0.2)),
            stale=rng.choice((0.0, 0.5)),
        )
        settings = Settings(
            durability=rng.choice(("journal", "remote")),
            segment_bytes=rng.choice((16, 64, 256)) * KIB,
            upload_concurrency=rng.choice((1, 3)),
            upload_delay=rng.choice((0.1, 1.0, 5.0)),
            checkpoint_segments=rng.choice((1, 3, 8)),
            journal_bytes=JOURNAL,
            gc_ratio=rng.choice((0.0, 0.5, 0.9)),
        )
        bucket = Bucket(self.loop, weather, Random(f"{seed} store"))
        self.world = World(self.loop, bucket, settings, rng.choice((0.001, 0.02)), seed)
        self.subject = Subject(self.world, f"{seed:032x}")
        self.acts = Acts(self.world, self.subject, Random(f"{seed} acts"), self.events)
        self.programs = rng.randint(1, 4)
        self.operations = rng.randint(6, 30)
        self.number_of_acts = rng.randint(1, 8)
        self.hot = rng.choice((0.0, 0.5, 0.95))
        """The part of requests that meet in one island."""
        self._rng = rng

    async def main(self) -> None:
        """All of it."""
        await self._create()
        await self.acts.opened()
        programs = [self.loop.create_task(self._program(number)) for number in range(self.programs)]
        programs.append(self.loop.create_task(self._straggler()))
        for _ in range(self.number_of_acts):
            await self.acts.one()
        await self.acts.heal()
        await self._done(programs)
        await end(self)

    async def _create(self) -> None:
        rng, maker = self._rng, Server(self.world, self.acts.hosts[0], "maker")
        secret = Secret("raw", rng.randbytes(32)) if rng.random() < 0.2 else None
        compression = rng.choice((Compression.NONE, Compression.NONE, Compression.ZSTD, Compression.LZ4))
        form = Form(compression=compression, encrypt=secret is not None)

        async def make() -> None:
            resources = maker.resources(maker.name)
            manifest = await create_volume(self.subject.volume, SIZE, form, resources, secret)
            self.world.key = await open_key(manifest, resources, secret)

        await maker.run(make)
        maker.kill()

    async def _done(self, programs: Sequence[asyncio.Task[None]]) -> None:
        """Wait for them.  The volume may be lost to nobody in the meantime."""
        deadline = self.loop.time() + _PATIENCE
        while not all(program.done() for program in programs):
            if self.loop.time() > deadline:
                raise Stuck(f"requests are unanswered {_PATIENCE:g} s after all was well again")
            await self.acts.opened()
            await self.loop.sleep(0.25)
        for program in programs:
            program.result()

    async def _program(self, number: int) -> None:
        """What one program does: some requests one after the other, and some side by side."""
        rng = Random(f"{self.seed} program {number}")
        for _ in range(self.operations):
            if rng.random() < 0.3:
                await self.loop.sleep(rng.choice((0.01, 0.5, 5.0)) * rng.random())
            count = rng.choice((1, 1, 1, 2, 6))
            await asyncio.gather(*[self._operation(rng, None) for _ in range(count)])

    async def _straggler(self) -> None:
        """A program that goes on with servers which were replaced, if there are any."""
        rng = Random(f"{self.seed} straggler")
        for _ in range(self.operations):
            await self.loop.sleep(4.0 * rng.random())
            for opening in self.acts.older():
                await self._operation(rng, opening)

    async def _operation(self, rng: Random, opening: Opening | None) -> None:
        subject, kind, fua = self.subject, rng.random(), rng.random() < 0.2
        count = rng.choice((1, 2, 4, rng.randint(1, _LONGEST)))
        island = 0 if rng.random() < self.hot else rng.randrange(UNITS // ISLAND)
        units = Units(ISLAND * island + rng.randint(0, ISLAND - count), count)
        if kind < 0.5:
            await subject.write(units, fua, opening)
        elif kind < 0.7:
            await subject.read(units, opening)
        elif kind < 0.85:
            await subject.flush(opening)
        else:
            await subject.clear(units, fua, False, opening)


JOURNAL = 512 * KIB
"""Bytes, for runs that fill it."""


async def end(run: Run) -> None:
    """Look at everything, with and without the journal, and let all garbage be collected."""
    subject, acts, rng = run.subject, run.acts, Random(f"{run.seed} end")
    await _refused(run)
    for unit in range(0, UNITS, ISLAND):
        await subject.read(Units(unit, ISLAND))
    if rng.random() < 0.7:
        begun = subject.tick()
        subject.flushed(await acts.certainly(lambda volume: volume.drain()), begun, stored=True)
    run.world.settings = replace(run.world.settings, gc_ratio=0.0)  # from now on only when it is told to
    await acts.elsewhere()
    for name in [*acts.keeper.snapshots]:
        await acts.keeper.look(name, acts.hosts[0])
    await run.loop.sleep(120.0)
    await _collect_all(run, rng)
    await _check(run)
    await acts.elsewhere()
    for name in [*acts.keeper.snapshots]:
        await acts.keeper.look(name, acts.hosts[0])
    for clone in acts.clones:
        await acts.use(clone)
    for each in (subject, *acts.clones):
        for opening in each.openings:
            each.wrong += each.judge(opening)


async def _refused(run: Run) -> None:
    """Every server that was replaced stops in the end."""
    for opening in run.acts.older():
        deadline = run.loop.time() + 60.0
        while opening.server.alive and not opening.refused:
            await run.subject.write(Units(0, 1), False, opening)
            await run.loop.sleep(0.5)
            if run.loop.time() > deadline:
                run.subject.wrong.append(f"{opening.server.name} goes on, though another one has the volume")
                return


async def _collect_all(run: Run, rng: Random) -> None:
    """Delete some snapshots, and collect until nothing is left to collect."""
    for _ in range(rng.randint(0, len(run.acts.keeper.snapshots))):
        if (opening := run.subject.now) is not None:
            await run.acts.keeper.delete(opening)

    async def collect(volume: Volume) -> None:
        collector = Collector(volume)
        for _ in range(4):
            await collector.collect(0.99, worth=False)
            await collector.delete_orphans(0.0)

    await run.acts.certainly(collect)


async def _check(run: Run) -> None:
    """Close the volume, and have fsck read all of it: nothing is wrong, and nothing is left over."""
    subject, world = run.subject, run.world
    await run.acts.certainly(lambda volume: volume.close())
    checker = Server(world, run.acts.hosts[0], "fsck")
    report = Report(subject.volume)

    async def check() -> None:
        resources = checker.resources(checker.name)
        await Checker(resources.objects, resources.runner, report, world.key, data=True).check()

    await checker.run(check)
    checker.kill()
    subject.wrong += [f"fsck: {finding.kind.value}: {finding.message} {finding.key}" for finding in report.findings[:3]]
    subject.wrong += [f"fsck: lost {lost}" for lost in report.lost[:3]]
    subject.down()


def simulate(seed: int) -> Verdict:
    """Run the schedule of this seed."""
    run = Run(seed)
    wrong: list[str] = []
    try:
        run.loop.run(run.main())
    except Stuck as error:
        wrong.append(f"stuck: {error}")
    except DiskError as error:
        wrong.append(f"{type(error).__name__}, which nobody expected: {error}")
    except Exception as error:
        error.add_note(f"in the run of seed {seed}")
        raise
    wrong += [*run.loop.errors, *run.subject.wrong]
    wrong += [f"clone: {what}" for clone in run.acts.clones for what in clone.wrong]
    return Verdict(seed, tuple(wrong), run.loop.steps, run.loop.time(), tuple(run.events), run.subject.answered)


def simulate_all(seeds: range) -> list[Verdict]:
    """The verdicts of these, in order.  Without the collector of cycles, which would take half of the time."""
    gc.collect()
    gc.disable()
    try:
        verdicts = []
        for seed in seeds:
            verdicts.append(simulate(seed))
            if seed % 20 == 0:
                gc.collect()
        return verdicts
    finally:
        gc.enable()
