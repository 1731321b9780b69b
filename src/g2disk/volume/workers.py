"""`Workers`, tasks that belong to a volume and end with it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Workers:
    """Tasks that nobody need wait for: what one raises is for those who do."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin `work`; await it with `outcome`, so that your cancellation does not end it for others."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)
        return task

    async def stop(self) -> None:
        """Cancel all, and return when they have ended."""
        for task in self._tasks:
            task.cancel()
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen; who waits for the task gets it


async def outcome(task: asyncio.Task[T]) -> T:
    """What `task` returns or raises; cancelling this leaves the task alone."""
    if not task.done():
        await asyncio.wait((task,))
    return task.result()
