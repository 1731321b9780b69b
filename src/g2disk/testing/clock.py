"""Virtual time: `ManualClock` for tests, and `turns`, which lets other tasks run without any time passing."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import types
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")

_SETTLING = 50
"""Turns of the event loop that tasks get to come to rest before time moves on: far more than layers need."""


class ManualClock:
    """A `g2disk.clock.Clock` whose time passes only when the test says so.

    For code that waits for nothing else, such as sockets or threads.
    """

    def __init__(self, now: float = 0.0) -> None:
        self._now = now
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def __repr__(self) -> str:
        return f"ManualClock({self._now:g} s, {self.sleepers} asleep)"

    @property
    def sleepers(self) -> int:
        """How many calls of `sleep` are waiting."""
        return sum(not future.done() for _, _, future in self._sleepers)

    def now(self) -> float:
        """Virtual seconds."""
        return self._now

    def wall(self) -> float:
        """The same."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Return when time has been moved on by `seconds`; at once for 0 and less."""
        if seconds <= 0:
            await turns()
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._order), future))
        await future

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass: sleepers wake in the order of their deadlines, and each sees its own deadline as now."""
        until = self._now + seconds
        await turns(_SETTLING)
        while self._sleepers and self._sleepers[0][0] <= until:
            await self._jump()
        self._now = until

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` returns or raises; whenever everything is at rest, time jumps to the next deadline."""
        task = asyncio.create_task(work)
        try:
            await turns(_SETTLING)
            while not task.done():
                if self.sleepers:
                    await self._jump()
                else:
                    await turns()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
        return task.result()

    async def _jump(self) -> None:
        deadline, _, future = heapq.heappop(self._sleepers)
        if not future.done():
            self._now = deadline
            future.set_result(None)
            await turns(_SETTLING)


@types.coroutine
def _turn() -> Generator[None, None, None]:
    yield


async def turns(count: int = 1) -> None:
    """Let every other task that is ready take a step, `count` times."""
    for _ in range(count):
        await _turn()
