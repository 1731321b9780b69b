"""`MemoryObjects`, an object store in a dictionary: for tests, and as the model of what a store does."""

from __future__ import annotations

from collections.abc import Sequence

from sortedcontainers import SortedDict

from g2disk.clock import Clock, SystemClock
from g2disk.disk import Buffer
from g2disk.errors import Exists, NotFound
from g2disk.objects.keys import check_key
from g2disk.objects.store import ObjectEntry, ObjectStore


class MemoryObjects(ObjectStore):
    """Keeps copies of what it is given, as long as it is itself kept.

    No method ever waits, so each is one step; `clock` tells the objects' times and nothing else.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.url = "objects in memory"
        self._clock = clock or SystemClock()
        self._objects: SortedDict[str, tuple[bytes, float]] = SortedDict()

    def __repr__(self) -> str:
        return f"MemoryObjects({len(self._objects)} objects)"

    async def put(self, key: str, data: Sequence[Buffer]) -> None:
        """See `ObjectStore.put`."""
        self._objects[check_key(key)] = b"".join(data), self._clock.wall()

    async def create(self, key: str, data: Sequence[Buffer]) -> None:
        """See `ObjectStore.create`."""
        if check_key(key) in self._objects:
            raise Exists(f"there is an object {key}")
        await self.put(key, data)

    async def get(self, key: str) -> Buffer:
        """See `ObjectStore.get`."""
        return self._find(key)

    async def get_range(self, key: str, offset: int, length: int) -> Buffer:
        """See `ObjectStore.get_range`."""
        return memoryview(self._find(key))[offset : offset + length]

    async def list(self, prefix: str, after: str = "") -> list[ObjectEntry]:
        """See `ObjectStore.list`."""
        found = []
        for key in self._objects.irange(max(prefix, after)):
            if not key.startswith(prefix):
                if key > prefix:
                    break
                continue
            if key > after:
                data, modified = self._objects[key]
                found.append(ObjectEntry(key, len(data), modified))
        return found

    async def delete(self, key: str) -> None:
        """See `ObjectStore.delete`."""
        self._objects.pop(check_key(key), None)

    def _find(self, key: str) -> bytes:
        try:
            data: bytes = self._objects[check_key(key)][0]
        except KeyError:
            raise NotFound(f"there is no object {key}") from None
        return data
