"""`Faulty`, an object store that fails when told to, in the ways that real ones do: for tests."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import TypeAlias

from g2disk.clock import Clock
from g2disk.disk import Buffer
from g2disk.errors import DiskError, Exists, Unavailable
from g2disk.objects.layers.wrapper import Wrapper
from g2disk.objects.store import ObjectEntry, ObjectStore

_REMEMBERED = 1024
"""Changes that a listing can be behind."""


@dataclass(frozen=True, slots=True)
class Fault:
    """How one call goes wrong."""

    error: type[DiskError] | None = Unavailable
    """What is raised; None: nothing, the call is only late, or the listing stale."""
    applied: bool = False
    """A change is done before the error: the answer is lost."""
    late: float | None = None
    """A put, create or delete that failed comes true after so many seconds."""
    delay: float = 0.0
    """Seconds before anything happens.  Different delays reorder calls."""
    answer_delay: float = 0.0
    """Seconds after it was done, before the answer."""
    stale: int = 0
    """A listing shows the store as it was so many changes ago."""


Plan: TypeAlias = Callable[[str, str], Fault | None]
"""The fault, or None, for a call with this operation (the name of a method of `ObjectStore`) and key or prefix."""


def script(faults: Mapping[str, Iterable[Fault | None]]) -> Plan:
    """The faults of each operation, one a call, in order; afterwards all goes well."""
    waiting = {operation: iter(row) for operation, row in faults.items()}

    def plan(operation: str, key: str) -> Fault | None:
        return next(waiting.get(operation, iter(())), None)

    return plan


def dice(random: Random, rate: float, faults: Sequence[Fault], operations: Sequence[str] = ()) -> Plan:
    """One of `faults` for a part `rate` (0 to 1) of the calls, of all operations or of those named."""

    def plan(operation: str, key: str) -> Fault | None:
        if operations and operation not in operations:
            return None
        return random.choice(faults) if random.random() < rate else None

    return plan


class Faulty(Wrapper):
    """Does what `plan` says; servers that share a store share its `Faulty`, too.

    Change `plan` at any time: an outage is a plan that fails everything.  No task runs: what comes late is applied
    before the first call that begins after its time, so nobody can tell the difference.
    """

    def __init__(self, inner: ObjectStore, plan: Plan, clock: Clock) -> None:
        super().__init__(inner)
        self.plan = plan
        self._clock = clock
        self._late: list[tuple[float, str, str, bytes]] = []
        """(when, operation, key, data) of changes that come late."""
        self._changes: deque[tuple[str, ObjectEntry | None]] = deque(maxlen=_REMEMBERED)
        """Each change's key, and what a listing said of it before."""

    async def put(self, key: str, data: Sequence[Buffer]) -> None:
        """See `ObjectStore.put`."""
        await self._change("put", key, data)

    async def create(self, key: str, data: Sequence[Buffer]) -> None:
        """See `ObjectStore.create`."""
        await self._change("create", key, data)

    async def delete(self, key: str) -> None:
        """See `ObjectStore.delete`."""
        await self._change("delete", key, ())

    async def get(self, key: str) -> Buffer:
        """See `ObjectStore.get`."""
        fault = await self._begin("get", key)
        _fail(fault, "get", key)
        data = await self.inner.get(key)
        await self._answer(fault)
        return data

    async def get_range(self, key: str, offset: int, length: int) -> Buffer:
        """See `ObjectStore.get_range`."""
        fault = await self._begin("get_range", key)
        _fail(fault, "get_range", key)
        data = await self.inner.get_range(key, offset, length)
        await self._answer(fault)
        return data

    async def list(self, prefix: str, after: str = "") -> list[ObjectEntry]:
        """See `ObjectStore.list`."""
        fault = await self._begin("list", prefix)
        _fail(fault, "list", prefix)
        found = await self.inner.list(prefix, after)
        if fault and fault.stale:
            found = _as_it_was(found, prefix, after, islice(reversed(self._changes), fault.stale))
        await self._answer(fault)
        return found

    async def settle(self) -> None:
        """Let all that is still to come true do so now."""
        await self._apply_late(float("inf"))

    async def _change(self, operation: str, key: str, data: Sequence[Buffer]) -> None:
        fault = await self._begin(operation, key)
        if fault is None or fault.error is None or fault.applied:
            await self._apply(operation, key, data)
            await self._answer(fault)
        elif fault.late is not None:
            self._late.append((self._clock.now() + fault.late, operation, key, b"".join(data)))
        _fail(fault, operation, key)

    async def _begin(self, operation: str, key: str) -> Fault | None:
        fault = self.plan(operation, key)
        if fault and fault.delay > 0:
            await self._clock.sleep(fault.delay)
        await self._apply_late(self._clock.now())
        return fault

    async def _answer(self, fault: Fault | None) -> None:
        if fault and fault.answer_delay > 0:
            await self._clock.sleep(fault.answer_delay)

    async def _apply_late(self, now: float) -> None:
        while due := [change for change in self._late if change[0] <= now]:
            first = min(due, key=lambda change: change[0])
            self._late.remove(first)
            _, operation, key, data = first
            try:
                await self._apply(operation, key, [data])
            except Exists:  # this create came too late
                continue

    async def _apply(self, operation: str, key: str, data: Sequence[Buffer]) -> None:
        before = next((entry for entry in await self.inner.list(key) if entry.key == key), None)
        if operation == "put":
            await self.inner.put(key, data)
        elif operation == "create":
            await self.inner.create(key, data)
        else:
            await self.inner.delete(key)
        self._changes.append((key, before))


def _as_it_was(
    found: Sequence[ObjectEntry],
    prefix: str,
    after: str,
    undone: Iterable[tuple[str, ObjectEntry | None]],
) -> list[ObjectEntry]:
    """The listing before these changes, the newest of which comes first."""
    entries = {entry.key: entry for entry in found}
    for key, before in undone:
        if key.startswith(prefix) and key > after:
            entries.pop(key, None)
            if before is not None:
                entries[key] = before
    return [entries[key] for key in sorted(entries)]


def _fail(fault: Fault | None, operation: str, key: str) -> None:
    if fault and fault.error:
        raise fault.error(f"a fault was planned for this {operation} of {key}")
