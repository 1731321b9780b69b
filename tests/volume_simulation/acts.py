"""What happens to a volume and its machines while it is used, one thing after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from random import Random
from typing import Any

from g2disk.errors import Denied, DiskError, Fenced, OutOfSpace, Unavailable
from g2disk.volume.gc import Collector
from g2disk.volume.volume import Volume
from tests.simulation.loop import Stuck
from tests.volume_simulation.keeper import Keeper
from tests.volume_simulation.layout import ISLAND, UNITS, Units, islands
from tests.volume_simulation.server import Dead, Host, World
from tests.volume_simulation.subject import Opening, Subject, Work

_PATIENCE = 600.0
"""Seconds in which a volume must be open, or an act be done, once all is well."""


class Acts:
    """Strikes between any two callbacks of the loop."""

    def __init__(self, world: World, subject: Subject, rng: Random, events: list[str]) -> None:
        self.keeper = Keeper(subject, rng)
        self.hosts = [Host(world, 0)]
        self._world = world
        self._subject = subject
        self._rng = rng
        self._events = events
        """What happened, for people."""
        self.clones: list[Subject] = []
        self._collections: list[asyncio.Task[None]] = []
        self._kinds = {
            self._kill: 20,
            self._cut_power: 16,
            self._lose_host: 6,
            self._take_over: 16,
            self._stop: 6,
            self._trouble: 12,
            self._fill_drive: 4,
            self._fail_sync: 3,
            self._snapshot: 14,
            self._delete_snapshot: 5,
            self._look: 4,
            self._roll_back: 6,
            self._collect: 16,
            self._checkpoint: 6,
            self._clone: 5,
            self._resize: 5,
            self._close: 5,
        }

    async def one(self) -> None:
        """Wait some time, and let something happen; the volume is open afterwards."""
        await self._some_time()
        await self._rng.choices([*self._kinds], [*self._kinds.values()])[0]()
        await self.opened()

    async def opened(self) -> None:
        """Return when somebody has the volume open."""
        subject, deadline = self._subject, self._world.loop.time() + _PATIENCE
        while subject.now is None:
            if self._world.loop.time() > deadline:
                raise Stuck(f"nobody could open the volume in {_PATIENCE:g} s")
            await self._open(subject.openings[-1].server.host if subject.openings else self.hosts[0])

    async def heal(self) -> None:
        """Let all be well, and the volume be open."""
        self._world.bucket.weather.calm()
        for host in self.hosts:
            host.drive.full, host.drive.failing_syncs = False, 0.0
        await self.certainly(lambda volume: volume.chain.check())
        for task in self._collections:
            await task

    async def elsewhere(self) -> None:
        """Let another machine take over that has nothing of it yet."""
        self.hosts.append(Host(self._world, len(self.hosts)))
        await self._open(self.hosts[-1])
        await self.opened()

    async def certainly(self, work: Work[object]) -> Opening:
        """Have it done by whoever has the volume, which may have been lost to a server that died; who did it."""
        while True:
            await self.opened()
            opening = self._subject.now
            assert opening is not None
            try:
                await opening.server.do(work)
            except Dead:
                self._subject.down()
            except Fenced as error:
                self._subject.refused(opening, error)
            else:
                return opening

    def older(self) -> list[Opening]:
        """Servers that live, and that another one has replaced."""
        return [opening for opening in self._subject.openings if opening.server.alive and not opening.current]

    async def _open(self, host: Host) -> None:
        self._note(f"{host.name} opens the volume")
        for opening in self._subject.openings:
            if opening.server.alive and opening.server.host is host and (opening.refused or self._rng.random() < 0.9):
                opening.server.kill()  # as whoever starts a service again does; else the directory is in use
        self._subject.down()
        killed = self._rng.random() < 0.15
        task = self._world.loop.create_task(self._subject.open(host))
        if killed:
            await self._steps(self._rng.randint(1, 150))
            self._subject.openings[-1].server.kill()
            self._note(f"{self._subject.openings[-1].server.name} is killed early")
            self._subject.down()
        opened = await task
        self._note(f"{host.name} has {'' if opened else 'not '}opened it")
        self._subject.down()
        if not opened:
            await self._world.loop.sleep(self._rng.random())

    async def _kill(self) -> None:
        if opening := self._subject.now:
            self._note(f"{opening.server.name} is killed")
            opening.server.kill()
            self._subject.down()

    async def _cut_power(self) -> None:
        if opening := self._subject.now:
            host = opening.server.host
            self._note(f"{host.name} has no power")
            host.cut_power()
            self._subject.power_cut(host)
            self._subject.down()

    async def _lose_host(self) -> None:
        if opening := self._subject.now:
            self._note(f"{opening.server.host.name} is lost")
            opening.server.host.cut_power()
            self._subject.down()
            await self.elsewhere()

    async def _take_over(self) -> None:
        now = self._subject.now
        others = [host for host in self.hosts if now is None or host is not now.server.host]
        if not others or (len(self.hosts) < 3 and self._rng.random() < 0.5):
            others = [Host(self._world, len(self.hosts))]
            self.hosts += others
        await self._open(self._rng.choice(others))

    async def _stop(self) -> None:
        if opening := self._subject.now:
            self._note(f"{opening.server.name} is stopped")
            opening.server.process.stopped = True
            if self._rng.random() < 0.7:
                await self._take_over()
            else:
                await self._some_time()
            self._note(f"{opening.server.name} goes on")
            self._world.loop.resume(opening.server.process)

    async def _trouble(self) -> None:
        weather = self._world.bucket.weather
        weather.trouble = self._rng.choice((Unavailable, Unavailable, Denied, OutOfSpace))
        self._note(f"the store answers {weather.trouble.__name__}")
        seconds = self._rng.choice((1.0, 10.0, 90.0)) * self._rng.random()
        await self._world.loop.sleep(seconds)
        if self._rng.random() < 0.3:
            await self._rng.choice((self._kill, self._cut_power))()
            await self._world.loop.sleep(seconds)
        self._note("the store is well")
        weather.trouble = None

    async def _fill_drive(self) -> None:
        if opening := self._subject.now:
            self._note(f"the drive of {opening.server.host.name} is full")
            opening.server.host.drive.full = True
            await self._some_time()
            opening.server.host.drive.full = False

    async def _fail_sync(self) -> None:
        if opening := self._subject.now:
            self._note(f"the drive of {opening.server.host.name} fails")
            opening.server.host.drive.failing_syncs = 0.5
            await self._some_time()
            opening.server.host.drive.failing_syncs = 0.0

    async def _snapshot(self) -> None:
        if opening := self._subject.now:
            self._note("a snapshot is made")
            await self._or_killed(opening, self.keeper.create(opening))

    async def _delete_snapshot(self) -> None:
        if opening := self._subject.now:
            self._note("a snapshot is deleted")
            await self._or_killed(opening, self.keeper.delete(opening))

    async def _look(self) -> None:
        for name in [*self.keeper.snapshots]:
            self._note(f"snapshot {name} is looked at")
            await self.keeper.look(name, self._rng.choice(self.hosts))

    async def _roll_back(self) -> None:
        if opening := self._subject.now:
            self._note("the volume is rolled back")
            await self._or_killed(opening, self.keeper.roll_back(self._rng.choice(self.hosts)))

    async def _resize(self) -> None:
        if opening := self._subject.now:
            self._note("the end of the disk is cut off")
            await self._or_killed(opening, self._subject.cut_off(UNITS - self._rng.randint(1, ISLAND)))

    async def _clone(self) -> None:
        opening = self._subject.now
        if opening is None or not self.keeper.snapshots or len(self.clones) > 1:
            return
        self._note("a snapshot is cloned")
        volume = f"{self._world.seed:031x}{'cd'[len(self.clones)]}"
        clone = await self.keeper.clone(opening, volume, self._rng.choice(self.hosts))
        if clone is not None:
            self.clones.append(clone)
            await self.use(clone)

    async def use(self, clone: Subject) -> None:
        """Open a clone, write into it, flush, and leave it."""
        host = self._rng.choice(self.hosts)
        while not await clone.open(host):
            await self._world.loop.sleep(1.0)
        for island in islands():
            await clone.write(Units(island.first + self._rng.randrange(ISLAND - 6), 6), fua=False)
        await clone.flush()
        if (opening := clone.now) is not None:
            await self._collect_with(opening, clone)
            opening.server.kill()
            clone.down()

    async def _collect(self) -> None:
        if opening := self._subject.now:
            self._note("garbage is collected")
            work = self._world.loop.create_task(self._collect_with(opening, self._subject))
            self._collections.append(work)
            if self._rng.random() < 0.6:
                self._collections.append(self._world.loop.create_task(self._overwrite()))
                await self._steps(self._rng.randint(1, 600))
                await self._rng.choice((self._kill, self._cut_power, self._lose_host, self._take_over))()

    async def _overwrite(self) -> None:
        """Write where much was written before, while garbage is collected."""
        island = self._rng.choice(islands())
        for _ in range(self._rng.randint(1, 30)):
            first, count = self._rng.randrange(ISLAND - 8), self._rng.randint(1, 8)
            await self._subject.write(Units(island.first + first, count), fua=False)
            await self._world.loop.sleep(self._rng.choice((0.01, 0.3)) * self._rng.random())

    async def _collect_with(self, opening: Opening, subject: Subject) -> None:
        ratio, grace = self._rng.choice((0.3, 0.8, 1.0)), self._rng.choice((0.0, 120.0))

        async def collect(volume: Volume) -> None:
            collector = Collector(volume)
            await collector.collect(ratio, worth=False)
            await collector.delete_orphans(grace)

        try:
            await opening.server.do(collect)
        except Dead:
            return
        except Fenced as error:
            subject.refused(opening, error)
        except DiskError as error:
            if isinstance(error, Unavailable) and opening.closed:
                return
            subject.wrong.append(f"garbage collection raised {type(error).__name__}: {error}")

    async def _checkpoint(self) -> None:
        if opening := self._subject.now:
            self._note("a checkpoint is asked for")
            begun, drain = self._subject.tick(), self._rng.random() < 0.5
            try:
                if drain:
                    await opening.server.do(lambda volume: volume.drain())
                    self._subject.flushed(opening, begun, stored=True)
                else:
                    await opening.server.do(lambda volume: volume.checkpoint())
            except Dead:
                return
            except Fenced as error:
                self._subject.refused(opening, error)

    async def _close(self) -> None:
        opening = await self._subject.alone()
        if opening is None:
            return
        self._note(f"{opening.server.name} closes the volume")
        opening.closed = True
        try:
            await opening.server.close()
        except (Dead, Fenced):
            self._note("it was broken off")

    async def _or_killed(self, opening: Opening, work: Coroutine[Any, Any, None]) -> None:
        """Have it done, and perhaps the server killed at the same time."""
        task = self._world.loop.create_task(work)
        if self._rng.random() < 0.4:
            await self._steps(self._rng.randint(1, 200))
            if not task.done():
                self._note(f"{opening.server.name} is killed meanwhile")
                opening.server.kill()
                self._subject.down()
        await task

    async def _some_time(self) -> None:
        rng = self._rng
        steps = rng.choice((5, 50, 400)) * rng.randint(0, 10)
        await self._steps(steps, rng.choice((0.05, 2.0, 15.0)) * rng.random())

    async def _steps(self, count: int, seconds: float = 15.0) -> None:
        """Return when a number of callbacks have run, or some time has passed."""
        await asyncio.wait([self._world.loop.after_steps(count)], timeout=seconds)

    def _note(self, event: str) -> None:
        loop = self._world.loop
        self._events.append(f"{loop.steps} {loop.time():.3f} {event}")
