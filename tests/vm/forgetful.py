"""A store whose server loses, when it is killed, all that it answered and did not flush; for `g2disk serve`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from g2disk.disk import Disk
from g2disk.disk.plain import adapt
from g2disk.errors import NotFound
from g2disk.stores.store import DiskEntry, Store

SIZE = 64 << 20
BLOCK = 4096


class ForgetfulDisk:
    """Keeps its content in memory, and what was flushed in a file."""

    size = SIZE
    minimum_block = 512

    def __init__(self, path: Path) -> None:
        self.identity = f"the same at each start: {path}"
        path.touch()
        self._file = path.open("r+b", buffering=0)
        self._file.truncate(SIZE)
        self._content = bytearray(self._file.read())
        self._dirty: set[int] = set()

    async def read(self, offset: int, length: int) -> bytes:
        """What was written last."""
        return bytes(self._content[offset : offset + length])

    async def write(self, offset: int, data: bytes) -> None:
        """Nothing of it is kept yet."""
        self._content[offset : offset + len(data)] = data
        self._dirty.update(range(offset // BLOCK, (offset + len(data) - 1) // BLOCK + 1))

    async def flush(self) -> None:
        """Keep everything."""
        for block in sorted(self._dirty):
            self._file.seek(block * BLOCK)
            self._file.write(self._content[block * BLOCK : (block + 1) * BLOCK])
        self._dirty.clear()


class Forgetful(Store):
    """Two disks, "raw" and "files"."""

    def __init__(self, directory: str) -> None:
        self.url = f"forgetful:{directory}"
        Path(directory).mkdir(exist_ok=True)
        self._disks = {name: adapt(ForgetfulDisk(Path(directory) / name)) for name in ("files", "raw")}

    async def list(self) -> Sequence[DiskEntry]:
        """Both."""
        return [DiskEntry(name, SIZE, disk.info().identity) for name, disk in self._disks.items()]

    async def open(self, name: str) -> Disk:
        """One of them."""
        if name not in self._disks:
            raise NotFound(f"there is no {name}")
        return self._disks[name]
