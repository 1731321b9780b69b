"""`Retrying`, an object store that repeats what failed, for a while."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import TypeVar

from g2disk.clock import Clock
from g2disk.errors import Unavailable
from g2disk.objects.layers.repeating import Repeating, pause
from g2disk.objects.store import ObjectStore

T = TypeVar("T")


class Retrying(Repeating):
    """Repeats put, get, get_range, list and delete while they raise `Unavailable`, with growing, jittered pauses.

    No attempt begins later than `seconds` after the first; then the last error goes out.  `create` is never repeated.
    """

    def __init__(self, inner: ObjectStore, clock: Clock, random: Random, seconds: float) -> None:
        super().__init__(inner)
        self._clock = clock
        self._random = random
        self._seconds = seconds

    async def repeat(self, call: Callable[[], Awaitable[T]]) -> T:
        """See `Repeating.repeat`."""
        end = self._clock.now() + self._seconds
        attempts = 0
        while True:
            try:
                return await call()
            except Unavailable:
                attempts += 1
                seconds = pause(attempts, self._random)
                if self._clock.now() + seconds > end:
                    raise
            await self._clock.sleep(seconds)
