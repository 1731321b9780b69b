"""How a batch of changes is parted, where it is too large for one record (pure)."""

from __future__ import annotations

from collections.abc import Sequence

from g2disk.volume.format.journal import ALIGNMENT, WRITE, Change, payload_offset


def length(changes: Sequence[Change], block_size: int) -> int:
    """Bytes of the record of `changes`."""
    total = payload_offset(len(changes))
    for kind, _, count, _ in changes:
        total += count * block_size if kind == WRITE else ALIGNMENT
    return total


def part(changes: Sequence[Change], block_size: int, space: int) -> tuple[list[Change], list[Change]]:
    """The changes of a record of up to `space` bytes, and the rest.  The first may be empty."""
    used = 0
    for number, change in enumerate(changes):
        offset = payload_offset(number + 1)
        size = change[2] * block_size if change[0] == WRITE else ALIGNMENT
        if offset + used + size > space:
            blocks = (space - offset - used) // block_size if change[0] == WRITE else 0
            if blocks <= 0:
                return list(changes[:number]), list(changes[number:])
            front, back = _split(change, blocks, block_size)
            return [*changes[:number], front], [back, *changes[number + 1 :]]
        used += size
    return list(changes), []


def _split(change: Change, blocks: int, block_size: int) -> tuple[Change, Change]:
    kind, block, count, data = change
    assert data is not None
    view = memoryview(data)
    at = blocks * block_size
    return (kind, block, blocks, view[:at]), (kind, block + blocks, count - blocks, view[at:])
