"""`Logged`, a disk whose requests are written to the log."""

from __future__ import annotations

import logging
from asyncio import CancelledError
from collections.abc import Awaitable
from itertools import count
from typing import TypeVar

from g2disk.disk.disk import Disk
from g2disk.disk.layers.observing import Observing

T = TypeVar("T")


class Logged(Observing):
    """Writes a line for each request received (`<`), answered (`>`) or failed (`!`), with the same number in both.

        < vm1 #7 write 4096+512 fua
        > vm1 #7 write 4096+512

    Offsets and lengths are bytes; payloads are never shown.  Costs next to nothing while the logger is not enabled for
    `level`.
    """

    def __init__(
        self, inner: Disk, name: str, logger: logging.Logger | None = None, level: int = logging.DEBUG
    ) -> None:
        super().__init__(inner)
        self._name = name
        self._log = logger or logging.getLogger("g2disk.disk.requests")
        self._level = level
        self._numbers = count(1)

    async def observe(
        self, operation: str, offset: int, length: int, flags: tuple[str, ...], request: Awaitable[T]
    ) -> T:
        """Log the request and how it ends."""
        if not self._log.isEnabledFor(self._level):
            return await request
        what = f"{self._name} #{next(self._numbers)} {operation}"
        if operation != "flush":
            what += f" {offset}+{length}"
        self._say("<", " ".join((what, *flags)))
        try:
            answer = await request
        except CancelledError:
            self._say("!", f"{what}: cancelled")
            raise
        except Exception as error:
            self._say("!", f"{what}: {type(error).__name__}: {error}")
            raise
        self._say(">", f"{what}: {len(answer)} extents" if isinstance(answer, list) else what)
        return answer

    def _say(self, sign: str, what: str) -> None:
        self._log.log(self._level, "%s %s", sign, what)
