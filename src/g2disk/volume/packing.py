"""What of the journal goes into a segment: of a range of entries, the last version of each block.

Only what the same range overwrites is left out, never what a later one does: so the segments up to any number are the
disk as it was at one moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from g2disk.disk import Buffer
from g2disk.volume.journal.entry import WRITE, Entry

Extents = Sequence[tuple[int, Buffer]]
"""First block and data of runs of blocks, ascending."""

_READ_BYTES = 1 << 20
"""The most that is read from the journal at once."""

_LONG_RUN = 16
"""Blocks, on average, from which runs are read as they are."""


@dataclass(frozen=True, slots=True)
class Packed:
    """The content of a segment."""

    sequences: tuple[int, int]
    """The first and the last sequence number."""
    extents: Extents
    zeroes: Sequence[tuple[int, int]]


def pack(entries: Sequence[Entry], block_size: int, read: Callable[[int, int], Buffer]) -> Packed:
    """What a segment of `entries` holds.  `read` gives so many bytes from a position of the journal on.

    Takes milliseconds, so it is run in a thread: `read` must stand that, beside appends and releases of other entries.
    """
    planned = plan(entries, block_size)
    return Packed(
        planned.sequences, _in_runs(planned, block_size, read) or _gathered(planned, block_size, read), planned.zeroes
    )


def _in_runs(planned: Plan, block_size: int, read: Callable[[int, int], Buffer]) -> Extents:
    """A sequential writer's data, as it stands in the journal, with no copy; nothing where there is little of that."""
    if not len(planned.blocks):
        return []
    breaks = (np.diff(planned.blocks) != 1) | (np.diff(planned.positions) != block_size)
    firsts = [0, *(np.flatnonzero(breaks) + 1).tolist()]
    if len(planned.blocks) < _LONG_RUN * len(firsts):
        return []
    most = max(_READ_BYTES // block_size, 1)
    ends = [*firsts[1:], len(planned.blocks)]
    cuts = [
        (at, min(at + most, end)) for first, end in zip(firsts, ends, strict=True) for at in range(first, end, most)
    ]
    return [
        (int(planned.blocks[first]), read(int(planned.positions[first]), (end - first) * block_size))
        for first, end in cuts
    ]


def _gathered(planned: Plan, block_size: int, read: Callable[[int, int], Buffer]) -> Extents:
    """Data that stands in the journal in another order than on the disk."""
    content = Content(planned.blocks, block_size)
    for piece in pieces(planned, block_size):
        content.fill(piece, read(piece.position, piece.length))
    return content.extents()


@dataclass(frozen=True, slots=True)
class Plan:
    """A range of the journal's entries, as a segment will hold it."""

    sequences: tuple[int, int]
    """The first and the last sequence number of the range."""
    blocks: np.ndarray
    """Block numbers of the data, ascending, none twice."""
    positions: np.ndarray
    """Where each block is in the journal."""
    zeroes: list[tuple[int, int]]
    """Zeroed ranges (first block, count), ascending and apart; they take effect before the data."""


def plan(entries: Sequence[Entry], block_size: int) -> Plan:
    """What to store of `entries`, which are one or more and in sequence."""
    sequences = entries[0].sequence, entries[-1].sequence
    rows = [(n, e.block, e.count, e.position) for n, e in enumerate(entries) if e.kind == WRITE]
    zeroes = [(n, e.block, e.count) for n, e in enumerate(entries) if e.kind != WRITE]
    table = np.array(rows, dtype=np.uint64).reshape(-1, 4)
    counts = table[:, 2].astype(np.int64)
    within = np.arange(int(counts.sum()), dtype=np.uint64)
    within -= np.repeat((np.cumsum(counts) - counts).astype(np.uint64), counts)
    blocks = np.repeat(table[:, 1], counts) + within
    order = np.argsort(blocks, kind="stable")  # of each block's versions the last one stays the last
    keep = np.ones(len(order), dtype=bool)
    ordered = blocks[order]
    keep[:-1] = ordered[1:] != ordered[:-1]
    order, ordered = order[keep], ordered[keep]
    if zeroes:
        order, ordered = _without_zeroed(order, ordered, np.repeat(table[:, 0], counts), zeroes)
    positions = np.repeat(table[:, 3], counts) + within * np.uint64(block_size)
    return Plan(sequences, ordered, positions[order].astype(np.int64), _merged(zeroes))


def _without_zeroed(
    order: np.ndarray, blocks: np.ndarray, moments: np.ndarray, zeroes: Sequence[tuple[int, int, int]]
) -> tuple[np.ndarray, np.ndarray]:
    """Leave out the blocks that were zeroed after they were written."""
    keep = np.ones(len(order), dtype=bool)
    written = moments[order]
    for moment, block, count in zeroes:
        first, end = np.searchsorted(blocks, np.array([block, block + count], dtype=np.uint64))
        keep[first:end] &= written[first:end] > moment
    return order[keep], blocks[keep]


def _merged(zeroes: Sequence[tuple[int, int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for block, count in sorted((block, count) for _, block, count in zeroes):
        if merged and block <= sum(merged[-1]):
            first, before = merged[-1]
            merged[-1] = first, max(before, block + count - first)
        else:
            merged.append((block, count))
    return merged


@dataclass(frozen=True, slots=True)
class Piece:
    """One read of the journal: where it is, and which blocks of the segment it holds."""

    position: int
    length: int
    rows: np.ndarray
    """Numbers of the plan's blocks, in the order of the piece."""


def pieces(planned: Plan, block_size: int) -> Iterator[Piece]:
    """The reads that bring all data of a plan, in the journal's order."""
    if not len(planned.positions):
        return
    by_position = np.argsort(planned.positions, kind="stable")
    positions = planned.positions[by_position]
    breaks = np.flatnonzero(np.diff(positions) != block_size) + 1
    most = max(_READ_BYTES // block_size, 1)
    for first, end in zip([0, *breaks.tolist()], [*breaks.tolist(), len(positions)], strict=True):
        for start in range(first, end, most):
            stop = min(start + most, end)
            yield Piece(int(positions[start]), (stop - start) * block_size, by_position[start:stop])


class Content:
    """The data of a segment in the making, filled piece by piece."""

    def __init__(self, blocks: np.ndarray, block_size: int) -> None:
        self._blocks = blocks
        self._rows = np.empty((len(blocks), block_size), dtype=np.uint8)

    def fill(self, piece: Piece, data: Buffer) -> None:
        """Take what was read for `piece`."""
        self._rows[piece.rows] = np.frombuffer(data, dtype=np.uint8).reshape(len(piece.rows), -1)

    def extents(self) -> Extents:
        """First block and data of each run of neighbouring blocks, ascending."""
        if not len(self._blocks):
            return []
        data = self._rows.reshape(-1).data
        size = self._rows.shape[1]
        breaks = (np.flatnonzero(np.diff(self._blocks) != 1) + 1).tolist()
        firsts, ends = [0, *breaks], [*breaks, len(self._blocks)]
        starts = self._blocks[firsts].tolist()
        return [
            (block, data[first * size : end * size]) for block, first, end in zip(starts, firsts, ends, strict=True)
        ]
