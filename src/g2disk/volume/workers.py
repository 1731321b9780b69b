"""`Workers`, tasks that belong to a volume and end with it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from g2disk.cancellation import to_the_end
from g2disk.errors import DiskError, Unavailable

T = TypeVar("T")


class Workers:
    """Tasks that nobody need wait for: what one raises is for those who do."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._reason: DiskError = Unavailable("the volume was closed meanwhile; open it again")

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin `work`; wait for it with `outcome`."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)
        return task

    async def outcome(self, task: asyncio.Task[T]) -> T:
        """What `task` returns or raises; cancelling this leaves the task alone.

        Raises why the volume ended, if the task was cancelled.
        """
        if not task.done():
            await asyncio.wait((task,))
        if task.cancelled():
            raise type(self._reason)(*self._reason.args)
        return task.result()

    def cancel(self, reason: DiskError) -> None:
        """Cancel all, and do not wait for them."""
        self._reason = reason
        for task in self._tasks:
            task.cancel()

    async def finish(self, seconds: float) -> None:
        """Return when all have ended.  After so many seconds they are cancelled; so they are when this is."""
        try:
            if self._tasks:
                await asyncio.wait(tuple(self._tasks), timeout=seconds)
        finally:
            await to_the_end(self.stop())

    async def stop(self) -> None:
        """Cancel all, and return when they have ended."""
        while self._tasks:
            tasks = tuple(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)  # one may have begun another

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen; who waits for the task gets it
