"""An object store beyond a network that delays, reorders and loses, for servers that are killed: what was sent before
a kill may still arrive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass
from random import Random
from typing import Generic, Literal, TypeAlias, TypeVar

from g2disk.disk import Buffer
from g2disk.errors import DiskError, Exists, NotFound, OutOfSpace, Unavailable
from g2disk.objects.keys import check_key
from g2disk.objects.store import ObjectEntry, ObjectStore
from tests.simulation.loop import VirtualLoop
from tests.volume_simulation.machine import VirtualClock, uncancelled

T = TypeVar("T")
_Kind: TypeAlias = Literal["ask", "put", "delete"]

_FORGOTTEN = 64
"""Changes that a listing can be behind, at most."""


@dataclass
class Weather:
    """How the way to the store and the store itself behave; all of it may change in a run.  Parts are from 0 to 1."""

    slowest: float = 0.05
    """Seconds of one way, at most, usually."""
    stalls: float = 0.0
    """The part of calls that take up to 20 s."""
    errors: float = 0.0
    """The part of calls that fail without effect."""
    lost: float = 0.0
    """The part of changes that are done, and the answer is lost."""
    late: float = 0.0
    """The part of changes that fail, and come true up to 40 s later."""
    stale: float = 0.0
    """The part of listings that are behind."""
    trouble: type[DiskError] | None = None
    """What every call raises now; only changes where it is `OutOfSpace`."""

    def calm(self) -> None:
        """All is well from now on."""
        self.stalls = self.errors = self.lost = self.late = self.stale = 0.0
        self.trouble = None


class Bucket:
    """What the store holds."""

    def __init__(self, loop: VirtualLoop, weather: Weather, rng: Random) -> None:
        self.loop = loop
        self.weather = weather
        self.rng = rng
        self.objects: dict[str, bytes] = {}
        self.puts = 0
        self.deletes = 0
        self._modified: dict[str, float] = {}
        self._clock = VirtualClock(loop)
        self._changes: list[tuple[str, ObjectEntry | None]] = []
        """Each key, and what a listing said of it before the change."""

    def put(self, key: str, data: bytes) -> None:
        """At once."""
        self._note(key)
        self.puts += 1
        self.objects[key] = data
        self._modified[key] = self._clock.wall()

    def create(self, key: str, data: bytes) -> None:
        """At once.  Raises `Exists`."""
        if key in self.objects:
            raise Exists(f"there is {key} already")
        self.put(key, data)

    def get(self, key: str) -> bytes:
        """At once.  Raises `NotFound`."""
        if key not in self.objects:
            raise NotFound(f"there is no {key}")
        return self.objects[key]

    def delete(self, key: str) -> None:
        """At once."""
        if key in self.objects:
            self._note(key)
            self.deletes += 1
            del self.objects[key]

    def list(self, prefix: str, after: str, behind: int = 0) -> list[ObjectEntry]:
        """As it was so many changes ago."""
        entries: dict[str, ObjectEntry | None] = {key: self._entry(key) for key in self.objects}
        entries.update(reversed(self._changes[-behind:] if behind else []))
        found = (entry for key, entry in entries.items() if entry and key.startswith(prefix) and key > after)
        return sorted(found, key=lambda entry: entry.key)

    def _entry(self, key: str) -> ObjectEntry | None:
        return ObjectEntry(key, len(self.objects[key]), self._modified[key]) if key in self.objects else None

    def _note(self, key: str) -> None:
        self._changes.append((key, self._entry(key)))
        del self._changes[:-_FORGOTTEN]


class Connection(ObjectStore):
    """One process's way to the bucket."""

    def __init__(self, bucket: Bucket) -> None:
        self.url = "objects beyond a simulated network"
        self._bucket = bucket

    async def put(self, key: str, data: Sequence[Buffer]) -> None:
        await self._change(lambda body: self._bucket.put(check_key(key), body), data, "put")

    async def create(self, key: str, data: Sequence[Buffer]) -> None:
        await self._change(lambda body: self._bucket.create(check_key(key), body), data, "put")

    async def delete(self, key: str) -> None:
        await self._change(lambda _: self._bucket.delete(check_key(key)), (), "delete")

    async def get(self, key: str) -> Buffer:
        return await self._ask(lambda: self._bucket.get(check_key(key)))

    async def get_range(self, key: str, offset: int, length: int) -> Buffer:
        return await self._ask(lambda: self._bucket.get(check_key(key))[offset : offset + length])

    async def list(self, prefix: str, after: str = "") -> list[ObjectEntry]:
        bucket = self._bucket
        behind = bucket.rng.randint(1, 12) if bucket.rng.random() < bucket.weather.stale else 0
        return await self._ask(lambda: bucket.list(prefix, after, behind))

    async def close(self) -> None:
        """There is nothing to be let go of."""

    async def _ask(self, work: Callable[[], T]) -> T:
        return await _Call(self._bucket, work, "ask").answer

    async def _change(self, work: Callable[[bytes], None], data: Sequence[Buffer], kind: _Kind) -> None:
        # What is sent is read when it arrives: whoever changes it meanwhile sends something else.
        body: list[bytes] = []

        def apply() -> None:
            if not body:
                body.append(b"".join(data))
            work(body[0])

        try:
            await uncancelled(_Call(self._bucket, apply, kind).answer)
        finally:
            if not body:
                body.append(b"".join(data))


class _Call(Generic[T]):
    """One call on its way: sent when it is made, and from then on no business of the process that made it."""

    def __init__(self, bucket: Bucket, work: Callable[[], T], kind: _Kind) -> None:
        self.answer: asyncio.Future[T] = bucket.loop.create_future()
        self._bucket = bucket
        self._work = work
        self._kind = kind
        self._after(self._way(), self._arrive)

    def _arrive(self) -> None:
        weather, rng = self._bucket.weather, self._bucket.rng
        trouble, changes = weather.trouble, self._kind != "ask"
        if trouble is not None and (trouble is not OutOfSpace or self._kind == "put"):
            self._fail(trouble("the store is in trouble"))
        elif rng.random() < weather.errors:
            self._fail(Unavailable("the call was lost"))
        elif changes and rng.random() < weather.lost:
            self._do()
            self._fail(Unavailable("the answer was lost"))
        elif changes and rng.random() < weather.late:
            self._after(40.0 * rng.random(), self._do)
            self._fail(Unavailable("the call is under way for long"))
        else:
            answer = self._do()
            self._after(self._way(), lambda: answer(self.answer))

    def _do(self) -> Callable[[asyncio.Future[T]], None]:
        """Let it happen; what is called with the future, if it is told at all, tells what came of it."""
        try:
            result = self._work()
        except DiskError as error:
            raised = error
            return lambda future: None if future.done() else future.set_exception(raised)
        return lambda future: None if future.done() else future.set_result(result)

    def _fail(self, error: DiskError) -> None:
        self._after(self._way(), lambda: None if self.answer.done() else self.answer.set_exception(error))

    def _way(self) -> float:
        weather, rng = self._bucket.weather, self._bucket.rng
        return (20.0 if rng.random() < weather.stalls else weather.slowest) * rng.random()

    def _after(self, delay: float, work: Callable[[], object]) -> None:
        self._bucket.loop.call_later(delay, work, context=Context())
