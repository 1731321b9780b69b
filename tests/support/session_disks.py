"""Disks for tests of sessions, served as FILE.py:Class."""

from __future__ import annotations

from g2disk.stores.memory import MemoryDisk


class ForgetfulDisk(MemoryDisk):
    """Says that it is the same disk after a restart, and that it may have lost what was not flushed."""

    def __init__(self) -> None:
        super().__init__(1 << 20)
        self._identity = "the same for ever"
        self._info = self._describe()
