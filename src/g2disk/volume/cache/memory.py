"""`MemoryCache`, a read cache that ends with the process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from g2disk.disk import Buffer
from g2disk.volume.cache.read_cache import CHUNK
from g2disk.volume.cache.slots import Slots

if TYPE_CHECKING:
    from g2disk.volume.format.names import SegmentName


class MemoryCache:
    """A `ReadCache` of up to `size` bytes in memory; less than one chunk keeps nothing."""

    def __init__(self, size: int) -> None:
        count = max(size // CHUNK, 0)
        self._slots = Slots(count)
        self._data: list[bytes] = [b""] * count
        self._bytes = 0
        self.hits = 0
        self.misses = 0

    @property
    def used(self) -> int:
        """See `ReadCache.used`."""
        return self._bytes

    @property
    def limit(self) -> int:
        """See `ReadCache.limit`."""
        return len(self._data) * CHUNK

    def get(self, volume: str, name: SegmentName, chunk: int) -> Buffer | None:
        """See `ReadCache.get`."""
        slot = self._slots.find(volume, name.number, name.epoch, chunk)
        if slot < 0:
            self.misses += 1
            return None
        self.hits += 1
        return self._data[slot]

    def put(self, volume: str, name: SegmentName, chunk: int, data: Buffer) -> None:
        """See `ReadCache.put`."""
        assert 0 < len(data) <= CHUNK
        if not self._data:
            return
        slot = self._slots.take((volume, name.number, name.epoch, chunk))
        self._bytes -= len(self._data[slot])
        # A copy: the chunk may be a part of a much larger buffer, which it would keep in memory.
        self._data[slot] = bytes(data)
        self._bytes += len(data)

    def drop(self, volume: str, number: int) -> None:
        """See `ReadCache.drop`."""
        for slot in self._slots.drop(volume, number):
            self._bytes -= len(self._data[slot])
            self._data[slot] = b""

    def close(self) -> None:
        """See `ReadCache.close`."""
