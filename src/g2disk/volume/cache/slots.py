"""`Slots`, which chunk is in which place of a cache, and which one goes when all places are taken (pure)."""

from __future__ import annotations

Key = tuple[str, int, int, int]
"""Volume, segment number, epoch, chunk."""


class Slots:
    """A fixed number of places, replaced by the CLOCK rule: what was found since the hand last passed by stays for one
    more round.
    """

    def __init__(self, count: int) -> None:
        self._chunks: dict[tuple[str, int], dict[tuple[int, int], int]] = {}
        self._keys: list[Key | None] = [None] * count
        self._found = bytearray(count)
        self._free = list(range(count - 1, -1, -1))
        self._hand = 0

    def __len__(self) -> int:
        return len(self._keys) - len(self._free)

    def find(self, volume: str, number: int, epoch: int, chunk: int) -> int:
        """The slot of a chunk, or -1."""
        chunks = self._chunks.get((volume, number))
        if chunks is None:
            return -1
        slot = chunks.get((epoch, chunk), -1)
        if slot >= 0:
            self._found[slot] = 1
        return slot

    def was_found(self, slot: int) -> bool:
        """Whether what is in a slot was found since the hand last passed by."""
        return bool(self._found[slot])

    def take(self, key: Key) -> int:
        """The slot for a chunk: the one that it has, a free one, or that of another, which is forgotten."""
        slot = self.find(*key)
        if slot >= 0:
            return slot
        slot = self._free.pop() if self._free else self._evict()
        self._place(key, slot)
        return slot

    def restore(self, keys: dict[int, Key]) -> list[int]:
        """Begin with these chunks in these slots; the cache is empty.  Returns the slots that are free because their
        chunks are in others, too.
        """
        self._free = [slot for slot in range(len(self._keys) - 1, -1, -1) if slot not in keys]
        twice = []
        for slot, key in keys.items():
            if self.find(*key) >= 0:
                twice.append(slot)
            else:
                self._place(key, slot)
        self._free += twice
        self._found = bytearray(len(self._keys))
        return twice

    def free(self, slot: int) -> None:
        """Forget what is in a slot."""
        self._forget(slot)
        self._free.append(slot)

    def drop(self, volume: str, number: int) -> list[int]:
        """Forget the segments of that number; returns their slots."""
        slots = list(self._chunks.get((volume, number), {}).values())
        for slot in slots:
            self.free(slot)
        return slots

    def _place(self, key: Key, slot: int) -> None:
        volume, number, epoch, chunk = key
        self._keys[slot] = key
        self._chunks.setdefault((volume, number), {})[epoch, chunk] = slot

    def _evict(self) -> int:
        found = self._found
        while found[self._hand]:
            found[self._hand] = 0
            self._hand = (self._hand + 1) % len(found)
        slot = self._hand
        self._hand = (slot + 1) % len(found)
        self._forget(slot)
        return slot

    def _forget(self, slot: int) -> None:
        key = self._keys[slot]
        assert key is not None
        volume, number, epoch, chunk = key
        self._keys[slot] = None
        self._found[slot] = 0
        chunks = self._chunks[volume, number]
        del chunks[epoch, chunk]
        if not chunks:
            del self._chunks[volume, number]
