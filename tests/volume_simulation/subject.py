"""A volume, its servers one after the other, and the books about what was done with it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from g2disk.disk import Disk
from g2disk.disk.perform import perform
from g2disk.errors import Busy, DiskError, Fenced, Invalid
from g2disk.request import FLUSH, FUA, READ, TRIM, WRITE, Request
from g2disk.request import ZERO as ZEROES
from g2disk.volume.volume import Volume
from tests.simulation import checker as reads
from tests.volume_simulation.checker import ZERO, Change, Kept, Line
from tests.volume_simulation.layout import SIZE, UNITS, Units, content, islands, values
from tests.volume_simulation.server import Dead, Host, Server, World

T = TypeVar("T")
Work: TypeAlias = Callable[[Volume], Coroutine[Any, Any, T]]


@dataclass
class Standing:
    """What a machine's journal must hold of a volume."""

    kept: Kept = Kept.STORED
    foreign: bool = False
    """Another machine has opened the volume since, so that this one's journal may be refused."""

    def worse(self, kept: Kept) -> None:
        """No more than this, from now on."""
        self.kept = max(self.kept, kept, key=list(Kept).index)


@dataclass(eq=False)
class Opening:
    """One server's time with the volume."""

    server: Server
    history: reads.History = field(default_factory=reads.History)
    changes: list[Change] = field(default_factory=list)
    """That it was asked for."""
    current: bool = True
    """No later one has seen the volume."""
    closed: bool = False
    """It was asked to close."""
    refused: str = ""
    """Why it does nothing any more."""


class Subject:
    """One volume; at any time at most one act opens it."""

    def __init__(self, world: World, volume: str) -> None:
        self.world = world
        self.volume = volume
        self.line = Line()
        self.wrong: list[str] = []
        self.openings: list[Opening] = []
        self.now: Opening | None = None
        """Where requests go; None while nobody has the volume."""
        self.answered = 0
        self.rolled_back: dict[int, int] | None = None
        """What a rollback of uncertain outcome would have left."""
        self._remote = world.settings.durability == "remote"
        self._standings: dict[Host, Standing] = {}
        self._time = self._values = 0
        self._up = asyncio.Event()
        self._waiting = 0
        """Requests that have no answer."""
        self._quiet = asyncio.Event()

    def tick(self) -> int:
        """The time of an event."""
        self._time += 1
        return self._time

    def standing(self, host: Host) -> Standing:
        """What that machine's journal is good for."""
        return self._standings.setdefault(host, Standing())

    async def open(self, host: Host) -> bool:
        """Open the volume on that machine, and make its server the one that requests go to.  False where it died or
        was refused; it may be tried again.
        """
        standing = self.standing(host)
        if host.drive.failed:  # so that the kernel may have dropped what was not flushed
            standing.worse(Kept.FLUSHED)
        for other in self._standings:
            if other is not host:
                self._standings[other] = Standing(Kept.STORED, foreign=True)
        opening = Opening(Server(self.world, host, f"server {len(self.openings)} on {host.name}"))
        self.openings.append(opening)
        try:
            await opening.server.open(self.volume)
            seen = await opening.server.do(_open)
        except (Dead, Busy):
            opening.server.kill()
            return False
        except Fenced as error:
            opening.server.kill()
            if not standing.foreign and not host.drive.failed:
                self.wrong.append(f"{opening.server.name} was refused its own journal: {error}")
            host.drive.wipe(self.volume)
            self._standings[host] = Standing(Kept.STORED, foreign=True)
            return False
        except DiskError as error:
            opening.server.kill()
            self.wrong.append(f"{opening.server.name} could not open: {type(error).__name__}: {error}")
            self.standing(host).worse(Kept.STORED)
            host.drive.wipe(self.volume)  # so that the run goes on
            return False
        self._opened(opening, seen)
        return True

    def power_cut(self, host: Host) -> None:
        """That machine's power was cut."""
        self.standing(host).worse(Kept.FLUSHED)

    def down(self) -> None:
        """The server that requests went to may be dead."""
        if self.now is not None and not self.now.server.alive:
            self.now = None
            self._up.clear()

    async def alone(self) -> Opening | None:
        """Let no further requests come, and return the opening when none waits; `go_on` comes after it.  None where
        nobody has the volume.
        """
        opening, self.now = self.now, None
        self._up.clear()
        while self._waiting:
            self._quiet.clear()
            await self._quiet.wait()
        return opening

    def go_on(self, opening: Opening) -> None:
        """Let requests come again."""
        if opening.current and opening.server.alive and self.now is None:
            self.now = opening
            self._up.set()

    def replaced(self, opening: Opening, seen: dict[int, int]) -> None:
        """It was rolled back to this, durably, by that server."""
        self.line.replace(seen)
        self.wrong += self.judge(opening)
        opening.history = self._begin(seen)
        opening.changes.clear()

    # Requests

    async def write(self, units: Units, fua: bool, opening: Opening | None = None) -> None:
        """New values."""
        made = {unit: self._value() for unit in units}
        data = content([*made.values()])
        await self._change(made, WRITE, units, fua, data, opening)

    async def clear(self, units: Units, fua: bool, trim: bool, opening: Opening | None = None) -> None:
        """Zeroes.  A volume's trim leaves zeroes in whole blocks; what else it touches is not asked for."""
        made = dict.fromkeys(units, ZERO)
        await self._change(made, TRIM if trim else ZEROES, units, fua, None, opening)

    async def cut_off(self, first: int) -> None:
        """Shrink the disk, so that it loses the units from `first` on, and grow it again; nobody else has requests."""
        opening = await self.alone()
        if opening is None:
            return
        units = Units(first, UNITS - first)
        begun = self.tick()
        change = reads.Change(dict.fromkeys(units, ZERO), begun)
        opening.history.changes.append(change)
        logged = [self._log(opening, unit, ZERO, begun) for unit in units]
        change.certain = await self._do(opening, lambda disk: _cut_off(disk, units.offset)) is not None
        change.ended = self.tick()
        for each in logged:
            each.ended = min(each.ended, change.ended)
            if change.certain and not each.lost:
                each.certain = each.flushed = each.stored = True
        self.go_on(opening)

    async def read(self, units: Units, opening: Opening | None = None) -> None:
        """A look at some units."""
        opening = opening or await self._current()
        begun = self.tick()
        data = await self._do(opening, lambda disk: ask(disk, Request(READ, 0, units.offset, units.length)))
        if data is not None:
            ended = self.tick()
            for unit, value in zip(units, values(data), strict=True):
                opening.history.sights.append(reads.Sight(unit, value, begun, ended))

    async def flush(self, opening: Opening | None = None) -> None:
        """As fsync does."""
        opening = opening or await self._current()
        begun = self.tick()
        if await self._do(opening, lambda disk: ask(disk, Request(FLUSH, 0, 0, 0))):
            self.flushed(opening, begun, self._remote)

    def flushed(self, opening: Opening, begun: int, stored: bool) -> None:
        """A flush, or what has the same meaning, has succeeded."""
        if opening.current:
            self.line.flushed(begun, stored)
        elif stored:
            covered = [change for change in opening.changes if change.certain and change.ended < begun]
            self.wrong += [
                f"{opening.server.name} stored {change.value}, which the next server does not know"
                for change in covered
                if change.lost
            ][:1]

    def judge(self, opening: Opening) -> list[str]:
        """What is wrong with the reads of an opening."""
        return [f"{opening.server.name}: {what}" for what in reads.check(opening.history)[:3]]

    def _opened(self, opening: Opening, seen: dict[int, int]) -> None:
        host = opening.server.host
        kept = self.standing(host).kept
        wrong = self.line.opened(seen, self.tick(), kept)
        if wrong:
            if self.rolled_back != seen:
                self.wrong += [f"{opening.server.name}, {kept.name}: {what}" for what in wrong[:3]]
            self.line.replace(seen)
        self.rolled_back = None
        for each in self.openings:
            each.current = each is opening
        self._standings[host] = Standing(Kept.ALL)
        opening.history = self._begin(seen)
        self.now = opening
        self._up.set()

    def _begin(self, seen: dict[int, int]) -> reads.History:
        return reads.History([reads.Change(dict(seen), self.tick(), self.tick(), certain=True)])

    def _value(self) -> int:
        self._values += 1
        return self._values

    async def _current(self) -> Opening:
        while self.now is None:
            await self._up.wait()
        return self.now

    async def _change(
        self, made: dict[int, int], operation: int, units: Units, fua: bool, data: bytes | None, opening: Opening | None
    ) -> None:
        opening = opening or await self._current()
        history, begun = opening.history, self.tick()
        change = reads.Change(made, begun)
        history.changes.append(change)
        logged = [self._log(opening, unit, value, begun) for unit, value in made.items()]
        opening.changes += logged

        request = Request(operation, FUA if fua else 0, units.offset, units.length, data=data)
        done = await self._do(opening, lambda disk: ask(disk, request)) is not None
        change.certain, change.ended = done, self.tick()
        for each in logged:
            each.ended = min(each.ended, change.ended)
            each.certain = each.certain or (done and not each.lost)
            if done and fua:
                self._kept_by_itself(opening, each)

    def _log(self, opening: Opening, unit: int, value: int, begun: int) -> Change:
        """What a server is asked after the next one has seen the volume must never be seen there."""
        return self.line.begin(unit, value, begun) if opening.current else Change(value, begun, lost=True)

    def _kept_by_itself(self, opening: Opening, change: Change) -> None:
        if opening.current:
            change.flushed, change.stored = True, change.stored or self._remote
        elif change.lost and self._remote:
            self.wrong.append(f"{opening.server.name} stored {change.value}, which the next server does not know")

    async def _do(self, opening: Opening, work: Work[T]) -> T | None:
        """What came of it; None where the server died or does nothing any more."""
        self._waiting += 1
        try:
            result = await opening.server.do(work)
        except Dead:
            return None
        except Fenced as error:
            self.refused(opening, error)
            return None
        except DiskError as error:
            self.wrong.append(f"{opening.server.name} answered {type(error).__name__}: {error}")
            return None
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._quiet.set()
        self.answered += 1
        return result

    def refused(self, opening: Opening, error: Fenced) -> None:
        """A server says that it cannot go on."""
        host = opening.server.host
        opening.refused = opening.refused or str(error)
        if opening.current and not self.standing(host).foreign and not host.drive.failed:
            self.wrong.append(f"{opening.server.name} is fenced without a cause: {error}")
        if self.now is opening:
            self.now = None
            self._up.clear()


async def look(disk: Disk) -> dict[int, int]:
    """The value of each unit; zero behind the disk's end."""
    seen: dict[int, int] = {}
    for island in islands():
        there = min(island.length, disk.info().size - island.offset)
        found = values(await disk.read(island.offset, there)) if there > 0 else []
        seen.update(zip(island, [*found, *[ZERO] * (island.count - len(found))], strict=True))
    return seen


async def _open(volume: Volume) -> dict[int, int]:
    """Look, and let the disk have its size again if it was being shrunk."""
    seen = await look(volume)
    if volume.size < SIZE:
        await volume.resize(SIZE)
    return seen


async def _cut_off(volume: Volume, size: int) -> bool:
    with contextlib.suppress(Invalid):  # is to be said twice
        await volume.resize(size)
        raise AssertionError("the disk shrank at once")
    await volume.resize(size)
    await volume.resize(SIZE)
    return True


async def ask(disk: Disk, request: Request) -> Any:
    """What is read, or True.  Goes the way of servers: `submit`, and what that leaves by itself.  Raises its error."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    for left in disk.submit([request], lambda _: future.set_result(None)):
        await perform(disk, left)
        future.set_result(None)
    await future
    if request.error is not None:
        raise request.error
    return request.data if request.operation == READ else True
