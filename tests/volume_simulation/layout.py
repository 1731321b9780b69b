"""Which bytes of a huge disk a run uses: some islands, far from each other, of units that are smaller than a block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from g2disk.disk import Buffer
from g2disk.units import GIB, MIB
from tests.volume_simulation.checker import ZERO

UNIT = 1024
"""Bytes; four to a block, so that many requests change parts of blocks."""
ISLAND = 40
"""Units."""
_ISLANDS = (0, 3 * MIB + 8 * UNIT, 5 * GIB, 9 << 40)
"""Where they begin, in bytes: in one leaf of the map, over a leaf's end, and far away."""
UNITS = ISLAND * len(_ISLANDS)
SIZE = 10 << 40
_TORN = -1


@dataclass(frozen=True, slots=True)
class Units:
    """Neighbours in one island."""

    first: int
    count: int

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.first + self.count))

    @property
    def offset(self) -> int:
        """In bytes."""
        return _ISLANDS[self.first // ISLAND] + self.first % ISLAND * UNIT

    @property
    def length(self) -> int:
        """In bytes."""
        return self.count * UNIT


def islands() -> list[Units]:
    """All of it."""
    return [Units(first, ISLAND) for first in range(0, UNITS, ISLAND)]


def content(values: list[int]) -> bytes:
    """The bytes of units with these values."""
    return b"".join(value.to_bytes(8, "big") * (UNIT // 8) for value in values)


def values(data: Buffer) -> list[int]:
    """What units with these bytes hold."""
    view = memoryview(data)
    return [_value(bytes(view[at : at + UNIT])) for at in range(0, len(view), UNIT)]


def _value(data: bytes) -> int:
    value = int.from_bytes(data[:8], "big")
    return value if data == content([value]) or value == ZERO == sum(data) else _TORN
