"""A disk for tests, served as FILE.py:GrowingDisk, that changes its size by itself."""

from __future__ import annotations

from g2disk.disk import Buffer
from g2disk.stores.memory import MemoryDisk


class GrowingDisk(MemoryDisk):
    """Twice as large after a write of its last byte."""

    def __init__(self) -> None:
        super().__init__(1 << 20)

    def _store(self, offset: int, data: Buffer) -> None:
        super()._store(offset, data)
        if offset + len(data) == self.size:
            self.resize(2 * self.size)
