"""A disk in an object store as most are made: an object for each 4 MiB, read, changed and put again at each write.

For `g2disk serve FILE:ChunkDisk?directory=DIR&size=SIZE`; the store is that of `objects:DIR`, so what is compared is
the layout alone.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict

from g2disk.disk import Buffer, Disk
from g2disk.errors import NotFound
from g2disk.objects.directory import DirectoryObjects
from g2disk.units import MIB, parse_size

CHUNK = 4 * MIB


class ChunkDisk(Disk):
    """A disk of objects of 4 MiB."""

    def __init__(self, directory: str, size: str) -> None:
        self.size = parse_size(size)
        self.identity = f"chunks in {directory}"
        self._directory = directory
        self._objects: DirectoryObjects | None = None
        self._opening = asyncio.Lock()
        self._locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def read(self, offset: int, length: int) -> Buffer:
        """See `Disk.read`."""
        return b"".join([await self._read(*place) for place in _places(offset, length)])

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        """See `Disk.write`.  Always durable, as an object's put is."""
        view = memoryview(data)
        for chunk, start, length in _places(offset, len(view)):
            async with self._locks[chunk]:
                await self._write(chunk, start, view[:length])
            view = view[length:]

    async def close(self) -> None:
        """See `Disk.close`."""
        if self._objects is not None:
            await self._objects.close()

    async def _read(self, chunk: int, start: int, length: int) -> Buffer:
        try:
            return await (await self._store()).get_range(_key(chunk), start, length)
        except NotFound:
            return bytes(length)

    async def _write(self, chunk: int, start: int, data: memoryview) -> None:
        objects = await self._store()
        try:
            content = bytearray(await objects.get(_key(chunk)))
        except NotFound:
            content = bytearray(CHUNK)
        content[start : start + len(data)] = data
        await objects.put(_key(chunk), [content])

    async def _store(self) -> DirectoryObjects:
        async with self._opening:
            if self._objects is None:
                self._objects = await DirectoryObjects.at(self._directory)
        return self._objects


def _places(offset: int, length: int) -> list[tuple[int, int, int]]:
    """Chunk, first byte in it, and length, of each part of a range."""
    found, end = [], offset + length
    while offset < end:
        chunk, start = divmod(offset, CHUNK)
        part = min(CHUNK - start, end - offset)
        found.append((chunk, start, part))
        offset += part
    return found


def _key(chunk: int) -> str:
    return f"chunks/{chunk:016x}"
