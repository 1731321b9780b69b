"""Changes to record, and how to compare them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from g2disk.request import FUA, KEEP_ALLOCATED, TRIM, WRITE, ZERO, Request

Row = tuple[int, int, int, int, bytes]


def write(offset: int, data: bytes | bytearray | memoryview, flags: int = 0) -> Request:
    """A write that was acknowledged."""
    return Request(WRITE, flags, offset, len(data), data=data)


def some_changes(rng: random.Random, count: int, longest: int = 300) -> list[Request]:
    """Writes, trims and zeroes of every kind."""
    changes = []
    for _ in range(count):
        operation, flags = rng.choice([(WRITE, 0), (WRITE, FUA), (TRIM, 0), (ZERO, 0), (ZERO, KEEP_ALLOCATED | FUA)])
        length, offset = rng.randrange(longest), rng.randrange(1 << 63)
        data = rng.randbytes(length) if operation == WRITE else None
        changes.append(Request(operation, flags, offset, length, data=data))
    return changes


def rows(changes: Iterable[Request]) -> list[Row]:
    """What the changes are, to compare."""
    return [
        (change.operation, change.flags, change.offset, change.length, bytes(change.data or b"")) for change in changes
    ]


def is_prefix(part: Sequence[Row], whole: Sequence[Row]) -> bool:
    """Whether `whole` begins with `part`."""
    return list(part) == list(whole[: len(part)])
