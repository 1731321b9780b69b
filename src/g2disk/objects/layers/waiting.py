"""`Waiting`, an object store that does not give up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from g2disk.clock import Clock
from g2disk.errors import Denied, OutOfSpace, Unavailable
from g2disk.objects.layers.repeating import Repeating, pause
from g2disk.objects.store import ObjectStore

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why calls are waiting."""

    since: float
    """Seconds since 1970, when the oldest of the calls that wait now failed first."""
    cause: str
    """The newest error, in one line for people."""


class Waiting(Repeating):
    """Repeats put, get, get_range, list and delete while waiting can help: while they raise `Unavailable`, `Denied` or
    `OutOfSpace`.  For ever, with growing, jittered pauses of at most 5 seconds; cancelling a call ends it.

    `create` is never repeated.
    """

    def __init__(self, inner: ObjectStore, clock: Clock, random: Random) -> None:
        super().__init__(inner)
        self._clock = clock
        self._random = random
        self._waiting: dict[object, float] = {}
        """Of each call that waits, when it failed first; in that order."""
        self._cause = ""

    def trouble(self) -> Trouble | None:
        """What the calls that wait now are waiting for; None: no call waits."""
        if not self._waiting:
            return None
        return Trouble(next(iter(self._waiting.values())), self._cause)

    async def repeat(self, call: Callable[[], Awaitable[T]]) -> T:
        """See `Repeating.repeat`."""
        me = object()
        attempts = 0
        try:
            while True:
                try:
                    return await call()
                except (Unavailable, Denied, OutOfSpace) as error:
                    self._waiting.setdefault(me, self._clock.wall())
                    self._cause = str(error)
                attempts += 1
                await self._clock.sleep(pause(attempts, self._random))
        finally:
            self._waiting.pop(me, None)
