"""What the simulated machines give to the code under test in the place of a clock and threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any, TypeVar

from tests.simulation.loop import VirtualLoop

T = TypeVar("T")

_YEAR_2026 = 1_767_225_600.0
"""Seconds since 1970."""


class VirtualClock:
    """A `Clock` of the loop's time."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def now(self) -> float:
        return self._loop.time()

    def wall(self) -> float:
        return _YEAR_2026 + self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await self._loop.sleep(seconds)


class Worker:
    """A `Runner` whose calls take some time: each is done at one moment, some time after it was asked for, and whoever
    asked hears of it later still.  Some are done at once.
    """

    def __init__(self, loop: VirtualLoop, rng: Random, slowest: float) -> None:
        self._loop = loop
        self._rng = rng
        self._slowest = slowest
        """Seconds."""

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        if self._rng.random() < 0.3:
            return function(*arguments)
        return await uncancelled(self._loop.create_task(self._run(function, *arguments)))

    async def _run(self, function: Callable[..., T], *arguments: Any) -> T:
        await self._loop.sleep(self._slowest * self._rng.random())
        result = function(*arguments)
        await self._loop.sleep(self._slowest * self._rng.random())
        return result


async def uncancelled(work: asyncio.Future[T]) -> T:
    """What comes of `work`, which always ends before this does: a cancellation is raised only then."""
    cancelled: asyncio.CancelledError | None = None
    while not work.done():
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled from work.exception()
    return work.result()
