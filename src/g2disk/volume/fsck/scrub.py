"""`Scrubber`, the slow reading of all that an open volume has stored, so that damage is known before it is needed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from g2disk.errors import Corrupt, NotFound
from g2disk.volume.format.names import SegmentName
from g2disk.volume.fsck.segments import Segments

if TYPE_CHECKING:
    from g2disk.volume.volume import Volume

PERIOD = 30 * 86400.0
"""Seconds in which everything is read once."""
_LONGEST_PAUSE = 3600.0

_log = logging.getLogger(__name__)


class Scrubber:
    """Reads one segment after the other, spread over `period` seconds, and logs what is damaged.

    It changes nothing: fsck says which bytes are lost.
    """

    def __init__(self, volume: Volume, period: float = PERIOD) -> None:
        self._volume = volume
        self._period = period
        self.damaged: dict[int, str] = {}
        """Segments that are damaged, by number, and how; those that were collected since are taken out."""
        self.checked = 0
        """Segments that were read since the volume was opened."""

    async def run(self) -> None:
        """Scrub for ever, from the oldest segment to the newest and again."""
        clock = self._volume.resources.clock
        number = 0
        while True:
            count = len(self._volume.table.segments)
            await clock.sleep(min(self._period / max(count, 1), _LONGEST_PAUSE))
            number = await self.check_next(number)

    async def check_next(self, number: int) -> int:
        """Read the first segment behind `number`, and return its number; 0 when there is no other."""
        rows = self._volume.table.segments
        row = int(rows.number.searchsorted(number, side="right"))
        if row == len(rows):
            return 0
        name = SegmentName(int(rows.number[row]), int(rows.epochs[row]))
        problem = await self._check(name)
        self.checked += 1
        if problem and self._volume.table.segments.epoch(name.number) == name.epoch:  # not collected meanwhile
            if name.number not in self.damaged:
                _log.error("! volume %s: %s; run g2disk fsck --data", self._volume.manifest.volume, problem)
            self.damaged[name.number] = problem
        else:
            self.damaged.pop(name.number, None)
        return name.number

    async def _check(self, name: SegmentName) -> str:
        """What is wrong with a segment; empty: nothing."""
        volume = self._volume
        key = volume.manifest.segment_key(name)
        segments = Segments(volume.objects, volume.parts.sealer, volume.resources.runner)
        try:
            index = await segments.index(key, name)
            count = int((await segments.damaged(key, index)).sum())
        except (NotFound, Corrupt) as error:
            return str(error)
        return f"{count} of {index.block_count} blocks of {key} do not have their checksums" if count else ""
