"""A disk for tests, served as FILE.py:VolatileFile?path=PATH, that loses what was not flushed when it is killed."""

from __future__ import annotations

from pathlib import Path

from g2disk.disk import Buffer, Disk

SIZE = 1 << 20


class VolatileFile(Disk):
    """Keeps all in memory; a flush brings it to a file."""

    size = SIZE
    identity = "the same for ever"

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._data = bytearray(self._path.read_bytes() if self._path.exists() else bytes(SIZE))

    async def read(self, offset: int, length: int) -> Buffer:
        return bytes(self._data[offset : offset + length])

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        self._data[offset : offset + len(data)] = data
        if fua:
            await self.flush()

    async def flush(self) -> None:
        new = self._path.with_suffix(".new")
        new.write_bytes(self._data)
        new.replace(self._path)
