"""`Keeper`, the task that keeps files ready in the background."""

from __future__ import annotations

import asyncio

from g2disk.errors import DiskError
from g2disk.volume.journal.supply import Supply

AHEAD = 2
"""Files that are kept ready: while one is filled, the next is made."""


class Keeper:
    """Calls `Supply.replenish` whenever it was woken.  `stop` ends the task."""

    def __init__(self, supply: Supply) -> None:
        self._supply = supply
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.attempts = 0
        """Calls of `replenish` that have ended."""
        self.failure: DiskError | None = None
        """What the last of them raised."""

    def start(self) -> None:
        """Start the task."""
        self._task = asyncio.get_running_loop().create_task(self._work())
        self._wanted.set()

    def wake(self) -> None:
        """Look what there is to do; never waits."""
        self._wanted.set()

    def check(self) -> None:
        """Raise what ended the task, if anything did; that is a bug."""
        if self._task is not None and self._task.done():
            self._task.result()

    async def stop(self) -> None:
        """End the task after the step that it is at."""
        self._supply.stopping = True
        self._wanted.set()
        if self._task is not None:
            await self._task

    async def _work(self) -> None:
        try:
            while not self._supply.stopping:
                await self._wanted.wait()
                self._wanted.clear()
                await self._attempt()
        finally:
            self._supply.changed.ring()

    async def _attempt(self) -> None:
        try:
            await self._supply.replenish(AHEAD)
            await self._supply.fill()
            self.failure = None
        except DiskError as error:  # raised again by who waits for room
            self.failure = error
        self.attempts += 1
        if self.failure is not None:
            self._supply.changed.ring()
