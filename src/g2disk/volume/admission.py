"""`Admission`, what keeps writers within the journal's room: at first none waits, then all are slowed down more and
more, and when the journal is full they wait until the store has taken something.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from g2disk.clock import Clock
from g2disk.errors import OutOfSpace, Unavailable
from g2disk.units import KIB, MIB
from g2disk.volume.health import Health
from g2disk.volume.journal.journal import Journal

_FULL_SPEED = 256 * MIB
"""Bytes a second from which writers are slowed down when the journal is half full."""

_LONGEST_PAUSE = 1.0
"""Seconds: meanwhile the store may have taken what filled the journal."""

_PER_CHANGE = 64
"""Bytes of the journal's own that come to each change."""


class Admission:
    """Lets changes into the journal, first come, first served."""

    def __init__(self, journal: Journal, clock: Clock, health: Health, on_pressure: Callable[[], None]) -> None:
        self._journal = journal
        self._clock = clock
        self._health = health
        self._on_pressure = on_pressure
        self._turn = asyncio.Lock()
        self.largest = max(min(journal.largest_append // 2, 4 * MIB), 64 * KIB)
        """The most bytes of data that are let in at once; longer writes come piece by piece."""

    def admits(self, size: int, changes: int) -> bool:
        """Whether so many changes with `size` bytes of data may be appended now, with no waiting."""
        journal = self._journal
        return (
            journal.used * 2 < journal.limit
            and journal.room() >= size + changes * _PER_CHANGE
            and not self._turn.locked()
        )

    async def enter(self, size: int) -> None:
        """Return when a change with `size` bytes of data may be appended; the caller does so before it waits again.

        Raises what ended the volume.  Cancelled, it has done nothing.
        """
        needed = size + _PER_CHANGE
        async with self._turn:
            await self._slow_down(size)
            while self._journal.room() < needed:
                self._on_pressure()
                await self._health.race(self._wait(needed))
            self._health.check()

    async def _slow_down(self, size: int) -> None:
        used, limit = self._journal.used, self._journal.limit
        if used * 2 > limit and used < limit:
            # Half full: not slowed down.  Nine tenths full: to an eighth of the speed, and so on.
            seconds = size / _FULL_SPEED * (2 * used - limit) / (limit - used)
            await self._health.race(self._clock.sleep(min(seconds, _LONGEST_PAUSE)))

    async def _wait(self, needed: int) -> None:
        try:
            await self._journal.wait_for_room(needed)
        except (OutOfSpace, Unavailable):
            await self.pause()  # the journal's own disk is full, or fails; that may end

    async def pause(self) -> None:
        """Wait a little before trying again what the journal refused."""
        await self._clock.sleep(0.5)
