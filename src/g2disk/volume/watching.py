"""`Watching`, which finds out whether a volume is still ours, and makes flushes to the store mean something."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from g2disk.errors import Fenced

if TYPE_CHECKING:
    from g2disk.volume.volume import Volume

_TURN = 1.0
"""Seconds between two looks at what has to be done, at most."""


class Watching:
    """Looks for newer manifests.  Finding one ends the volume."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self._confirmed = self._stored = volume.manifest.head.sequence
        """The last sequence numbers that a flush found in the store: with no newer writer after that, and at all."""
        self._looking = asyncio.Lock()

    async def check(self) -> None:
        """Raise `Fenced` if there is a newer writer."""
        try:
            await self._volume.chain.check()
        except Fenced as error:
            self._volume.health.fail(error)
            raise

    async def flush_to_store(self) -> None:
        """Return when all that was appended is in the store, and we were still the newest writer after that."""
        sequence = self._volume.journal.last_sequence
        if sequence > self._confirmed:
            await self._volume.uploader.store_all()
            await self._confirm(sequence)

    async def _confirm(self, sequence: int) -> None:
        """Look for a newer writer, all up to `sequence` being in the store; once for all flushes that wait for it."""
        self._stored = max(self._stored, sequence)
        async with self._looking:
            if sequence > self._confirmed:
                stored = self._stored
                await self.check()
                self._confirmed = stored

    async def keep(self) -> None:
        """Have old data packed, and look for newer writers while there is something to do."""
        volume = self._volume
        clock, every, journal = volume.resources.clock, volume.settings.check_seconds, volume.journal
        checked, seen = clock.now(), journal.last_sequence
        while True:
            await clock.sleep(min(every, _TURN))
            volume.uploader.force_old()
            active = journal.last_sequence != seen or volume.uploader.unstored_bytes > 0
            if active and clock.now() - checked >= every:
                seen = journal.last_sequence
                await self.check()
                checked = clock.now()
