"""One run: programs that use the disk while things go wrong, all of it decided by a seed, and the verdict."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import dataclass
from pathlib import Path
from random import Random

from g2disk.request import TRIM, ZERO
from tests.simulation.checker import check
from tests.simulation.client import Kernel, Options
from tests.simulation.faults import Faults
from tests.simulation.loop import Stuck, VirtualLoop
from tests.simulation.network import Network
from tests.simulation.pipe import Weather
from tests.simulation.server import Server

SHARED = 6
"""Blocks that all programs use; behind them each has one of its own."""
_LONGEST = 3
"""Blocks of a request."""
_PATIENCE = 900.0
"""Seconds in which everything must be answered once all is well again."""
_FOR_EVER = 10_000_000
"""Bytes of unflushed changes that no run reaches."""


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
    """What went wrong in the simulated world, in order."""
    fenced: int
    """Requests that failed because the disk was no more."""


class Run:
    """The world of one run."""

    def __init__(self, seed: int, directory: Path | None = None) -> None:
        self.seed = seed
        self.loop = VirtualLoop()  # type: ignore[abstract]
        self.events: list[str] = []
        self._rng = Random(f"{seed} faults")
        rng = Random(f"{seed} world")
        self.weather = Weather(
            Random(f"{seed} network"),
            usual=rng.choice((1, 4, 20)),
            slow=rng.choice((0.0, 0.02, 0.1)),
            cut=rng.choice((0.0, 0.0, 0.02, 0.1)),
            ghosts=rng.choice((0.0, 0.5)),
        )
        self.programs = rng.randint(1, 4)
        self.operations = rng.randint(4, 12)
        self.faults = rng.randint(1, 6)
        self.options = Options(rng.choice((4096, 8192, _FOR_EVER)), rng.random() < 0.7, directory)
        self._world = rng

    async def main(self) -> Kernel:
        """All of it."""
        rng, loop = self._world, self.loop
        self.network = Network(loop, self.weather)
        blocks = SHARED + self.programs
        self.server = Server(self.network, blocks, Random(f"{self.seed} disk"), rng.random() < 0.3, self._lost)
        self.kernel = Kernel(self.network, self.server, self.options)
        self.server.failing_flushes = rng.choice((0.0, 0.0, 0.1, 0.3))
        self.server.start()
        self.kernel.start()
        programs = [loop.create_task(self._program(number)) for number in range(self.programs)]
        faults = Faults(self.kernel, self.server, self._rng, self.events)
        for number in range(self.faults):
            await faults.one(last=number == self.faults - 1)
        self.weather.calm()
        self.server.heal()
        self.kernel.go_on()
        deadline = loop.time() + _PATIENCE
        while not all(program.done() for program in programs):
            if self.kernel.ended_for_good:
                return self.kernel
            if loop.time() > deadline:
                self.kernel.wrong.append(f"requests are unanswered {_PATIENCE:g} s after all was well again")
                return self.kernel
            await loop.sleep(0.25)
        for program in programs:
            program.result()
        await self._end()
        return self.kernel

    async def _end(self) -> None:
        """A flush, a crash that loses all that may be lost, and a look at everything."""
        kernel = self.kernel
        if self._rng.random() < 0.8:
            await kernel.flush()
        if self._rng.random() < 0.8:
            self.server.crash(worst=True)
            self.server.start()
        await kernel.read(0, self.server.blocks)
        await kernel.flush()

    async def _program(self, number: int) -> None:
        """What one program does: some requests one after the other, and some side by side."""
        rng = Random(f"{self.seed} program {number}")
        for _ in range(self.operations):
            if self.kernel.ended_for_good:
                return
            if rng.random() < 0.3:
                await self.loop.sleep(rng.choice((0.001, 0.05, 2.0)) * rng.random())
            if rng.random() < 0.2:
                count = rng.randint(2, 3)
                await asyncio.gather(*[self._operation(rng, SHARED + number, single=False) for _ in range(count)])
            else:
                await self._operation(rng, SHARED + number, single=True)

    async def _operation(self, rng: Random, own: int, single: bool) -> None:
        kernel, kind, fua = self.kernel, rng.random(), rng.random() < 0.25
        count = rng.randint(1, _LONGEST)
        first = rng.randint(0, SHARED - count)
        if kind < 0.35:
            await kernel.write(first, count, fua)
        elif kind < 0.6:
            await (kernel.read(first, count) if rng.random() < 0.7 else kernel.read(own, 1))
        elif kind < 0.75 and single:  # the kernel has no other request for the block while it repeats one
            await kernel.write(own, 1, fua, twice=rng.random() < 0.7)
        elif kind < 0.86:
            await kernel.flush()
        else:
            await kernel.clear(first, count, fua, ZERO if rng.random() < 0.5 else TRIM)

    def _lost(self) -> None:
        self.kernel.history.losses.append(self.kernel.tick())


def simulate(seed: int, directory: Path | None = None) -> Verdict:
    """Run the schedule of this seed, with the gateways' records in this directory (None: in memory)."""
    run = Run(seed, directory)
    wrong: list[str] = []
    try:
        kernel = run.loop.run(run.main())
    except Stuck as error:
        wrong.append(f"stuck: {error}")
        kernel = run.kernel
    except Exception as error:
        error.add_note(f"in the run of seed {seed}")
        raise
    wrong += [*run.loop.errors, *kernel.wrong, *check(kernel.history)]
    return Verdict(seed, tuple(wrong), run.loop.steps, run.loop.time(), tuple(run.events), kernel.fenced)


def simulate_all(seeds: range) -> list[Verdict]:
    """The verdicts of these, in order.  Without the collector of cycles, which would take half of the time."""
    gc.collect()
    gc.disable()
    try:
        verdicts = []
        for seed in seeds:
            verdicts.append(simulate(seed))
            if seed % 50 == 0:
                gc.collect()
        return verdicts
    finally:
        gc.enable()
