"""Snapshots of a volume: made, looked at, rolled back to, cloned and deleted, and the books about them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random

from g2disk.errors import Busy, DiskError, Fenced, NotFound
from g2disk.volume import snapshots
from g2disk.volume.chain import ManifestChain
from g2disk.volume.snapshot_disk import open_snapshot
from g2disk.volume.volume import Volume
from tests.volume_simulation.checker import Line
from tests.volume_simulation.server import Dead, Host, Server
from tests.volume_simulation.subject import Opening, Subject, look


@dataclass
class Snapshot:
    """What is known of one."""

    line: Line
    """The volume's log when it was made, or when nobody could make it any more."""
    begun: int
    ended: float
    certain: bool
    """It is there."""
    content: dict[int, int] | None = None
    """As it was first seen."""


class Keeper:
    """Has the snapshots of one volume.  None of its calls may be made while another one runs."""

    def __init__(self, subject: Subject, rng: Random) -> None:
        self.snapshots: dict[str, Snapshot] = {}
        self._subject = subject
        self._rng = rng
        self._names = 0

    async def create(self, opening: Opening) -> None:
        """Make one."""
        subject = self._subject
        self._names += 1
        name = f"s{self._names}"
        begun = subject.tick()
        certain = await self._ask(opening, lambda: snapshots.create_snapshot(_volume(opening), name))
        self.snapshots[name] = Snapshot(subject.line.copy(), begun, subject.tick(), certain)
        if certain:
            subject.flushed(opening, begun, stored=True)

    async def delete(self, opening: Opening) -> None:
        """Delete one."""
        if name := self._any():
            snapshot = self.snapshots[name]
            was_certain, snapshot.certain = snapshot.certain, False
            try:
                if await self._ask(opening, lambda: snapshots.delete_snapshot(_volume(opening), name)):
                    del self.snapshots[name]
            except NotFound:
                self._missing(name, was_certain)
            except Busy:  # cloned
                snapshot.certain = was_certain

    async def roll_back(self, host: Host) -> None:
        """Roll the volume back to one, while nobody else has requests."""
        name = self._any()
        if not name or not await self.look(name, host):
            return
        subject, seen = self._subject, self.snapshots[name].content
        assert seen is not None
        opening = await subject.alone()
        if opening is None:
            return
        if opening.current:
            subject.rolled_back = dict(seen)
            if await self._ask(opening, lambda: snapshots.rollback(_volume(opening), name)):
                subject.replaced(opening, seen)
                subject.rolled_back = None
        subject.go_on(opening)

    async def clone(self, opening: Opening, volume: str, host: Host) -> Subject | None:
        """A new volume that begins as one of them; None where it did not come to that."""
        name = self._any()
        if not name or not await self.look(name, host):
            return None
        if not await self._ask(opening, lambda: snapshots.clone_snapshot(_volume(opening), name, volume)):
            return None
        clone = Subject(self._subject.world, volume)
        clone.line.ground = dict(self.snapshots[name].content or {})
        return clone

    async def look(self, name: str, host: Host) -> bool:
        """Look at one from that machine, and judge it.  False where it is not there, or the reader died."""
        subject, snapshot = self._subject, self.snapshots[name]
        reader = Server(subject.world, host, f"reader {subject.tick()} on {host.name}")
        try:
            seen = await reader.run(lambda: self._read(reader, name))
        except NotFound:
            self._missing(name, snapshot.certain)
            return False
        except Dead:
            return False
        except DiskError as error:
            subject.wrong.append(f"snapshot {name} cannot be read: {type(error).__name__}: {error}")
            return False
        finally:
            reader.kill()
        snapshot.certain = True
        self._judge(name, seen)
        return True

    def _judge(self, name: str, seen: dict[int, int]) -> None:
        subject, snapshot = self._subject, self.snapshots[name]
        if snapshot.content is None:
            wrong = snapshot.line.snapshot(seen, snapshot.begun, snapshot.ended)
            subject.wrong += [f"snapshot {name} ({snapshot.begun}..{snapshot.ended}): {what}" for what in wrong[:3]]
            snapshot.content = seen
        changed = [unit for unit, value in seen.items() if value != snapshot.content[unit]]
        if changed:
            subject.wrong.append(f"snapshot {name} is not what it was: units {changed[:9]}")

    async def _read(self, reader: Server, name: str) -> dict[int, int]:
        subject, world = self._subject, reader.world
        resources = reader.resources(reader.name)
        chain = ManifestChain(resources.objects, subject.volume, resources.clock, resources.random)
        while True:
            try:
                manifest = await chain.load()
                break
            except NotFound:
                raise
            except DiskError:
                await resources.clock.sleep(1.0)
        disk = await open_snapshot(manifest, name, resources, world.settings, world.key)
        try:
            return await look(disk)
        finally:
            await disk.close()

    def _any(self) -> str:
        return self._rng.choice([*self.snapshots]) if self.snapshots else ""

    def _missing(self, name: str, certain: bool) -> None:
        if certain:
            self._subject.wrong.append(f"snapshot {name} is gone")
        del self.snapshots[name]

    async def _ask(self, opening: Opening, work: Callable[[], Awaitable[object]]) -> bool:
        """Whether it was done for sure.  Raises `NotFound` and `Busy`."""

        async def done(_: object) -> None:
            await work()

        try:
            await opening.server.do(done)
        except Dead:
            return False
        except Fenced as error:
            self._subject.refused(opening, error)
            return False
        except (NotFound, Busy):
            raise
        except DiskError as error:
            self._subject.wrong.append(f"{opening.server.name} answered {type(error).__name__}: {error}")
            return False
        return True


def _volume(opening: Opening) -> Volume:
    volume = opening.server.volume
    assert volume is not None
    return volume
