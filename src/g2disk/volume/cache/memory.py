"""`MemoryCache`, a read cache that ends with the process.

Chunks that came in one buffer stay parts of it, since copying them into memory that was never used is what a cold
reader would wait for most.  No buffer is kept for a part of it: when one of its chunks goes, those that were read go
with it, and the others, and those that were read lately, are copied.
"""

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
        self._data: list[Buffer] = [b""] * count
        self._unread = bytearray(count)
        self._shared: dict[int, list[int]] = {}
        """The slots of the chunks that are parts of one buffer, by its id."""
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
        self._unread[slot] = 0
        return self._data[slot]

    def put(self, volume: str, name: SegmentName, chunk: int, data: Buffer) -> None:
        """See `ReadCache.put`."""
        assert 0 < len(data) <= CHUNK
        if not self._data:
            return
        slot = self._slots.take((volume, name.number, name.epoch, chunk))
        self._clear(slot)
        if not memoryview(data).readonly:
            data = bytes(data)  # its owner may change it
        self._data[slot] = data
        self._unread[slot] = 1
        self._bytes += len(data)
        whole = _whole(data)
        if whole is not data:
            self._shared.setdefault(id(whole), []).append(slot)

    def drop(self, volume: str, number: int) -> None:
        """See `ReadCache.drop`."""
        for slot in self._slots.drop(volume, number):
            data = self._data[slot]
            self._shared.pop(id(_whole(data)), None)  # the others are of the same segment
            self._bytes -= len(data)
            self._data[slot] = b""

    def close(self) -> None:
        """See `ReadCache.close`."""

    def _clear(self, slot: int) -> None:
        """Let go of what was in a slot, and of the buffer that it was a part of."""
        data = self._data[slot]
        self._bytes -= len(data)
        self._data[slot] = b""
        for other in self._shared.pop(id(_whole(data)), ()):
            rest = self._data[other]
            if other == slot:
                continue
            if self._unread[other] or self._slots.was_found(other):
                self._data[other] = bytes(rest)
            else:
                self._bytes -= len(rest)
                self._data[other] = b""
                self._slots.free(other)


def _whole(data: Buffer) -> object:
    """The buffer that `data` is a part of; itself, where it is no part."""
    return data.obj if isinstance(data, memoryview) and data.nbytes < memoryview(data.obj).nbytes else data
