"""`Background`, what a volume does by itself while it is open: packing, taking effect, checkpoints, and looking whether
another writer has taken it over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from g2disk.errors import DiskError, Internal
from g2disk.volume.health import Health

Work = Callable[[], Coroutine[Any, Any, None]]
"""Goes on until it is cancelled, or raises what ends the volume."""


class Background:
    """Runs several works as one; what one of them raises ends all of them, and the volume."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._task: asyncio.Task[None] | None = None

    def start(self, *works: Work) -> None:
        """Begin; once."""
        self._task = asyncio.ensure_future(self._run(works))
        self._task.add_done_callback(self._ended)

    def cancel(self) -> None:
        """Cancel all of it, and do not wait."""
        if self._task is not None:
            self._task.cancel()

    async def stop(self) -> None:
        """Cancel all of it, and return when it has ended."""
        task = self._task
        if task is not None:
            task.cancel()
            while not task.done():
                await asyncio.wait((task,))

    async def _run(self, works: tuple[Work, ...]) -> None:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work())

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if isinstance(error, DiskError):
            self._health.fail(error)
        elif error is not None:
            failure = Internal(f"the volume's own work failed ({type(error).__name__}: {error}); report it")
            failure.__cause__ = error
            self._health.fail(failure)
