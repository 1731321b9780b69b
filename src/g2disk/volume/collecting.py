"""Storing anew what garbage collection moves, in the one order of all segments."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np

from g2disk.disk import Buffer
from g2disk.volume.format.pages import U64
from g2disk.volume.map.overlay import BELOW
from g2disk.volume.packing import Extents

if TYPE_CHECKING:
    from g2disk.volume.volume import Volume


async def put_collected(volume: Volume, extents: Extents, expected: U64) -> int:
    """See `Volume.put_collected`.

    A block that was written since, be it only into the journal, must not be in the segment: a later recovery applies it
    whole, after those segments that have lower numbers.  So the choice is made with no waiting before the number is
    given; what is appended later gets into segments with higher numbers.
    """
    size = volume.layers.block_size
    async with volume.changing:
        current = await _locations(volume, extents)

        def choose() -> tuple[Extents, U64] | None:
            keep = current == expected
            at = 0
            for block, data in extents:
                for first, count, kind, _ in volume.layers.overlay.find(block, len(data) // size):
                    if kind != BELOW:
                        keep[at + first - block : at + first - block + count] = False
                at += len(data) // size
            return (_kept(extents, keep, size), expected[keep]) if keep.any() else None

        while volume.uploader.full:
            await volume.uploader.advance()
            current = await _locations(volume, extents)
        chosen = choose()
        if chosen is None:
            return 0
        shipment = volume.uploader.ship_collected(*chosen)
    await volume.health.race(_until(shipment.applied))
    return len(chosen[1])


async def _locations(volume: Volume, extents: Extents) -> U64:
    """Where the map has these blocks now, one by one."""
    found: list[np.ndarray] = []
    for block, data in extents:
        for _, count, location in await volume.map.find(block, len(data) // volume.layers.block_size):
            step = 1 if location else 0
            found.append(np.uint64(location) + np.arange(count, dtype=np.uint64) * np.uint64(step))
    return np.concatenate(found)


def _kept(extents: Extents, keep: np.ndarray, size: int) -> Extents:
    """The blocks that are to be kept, as extents."""
    kept: list[tuple[int, Buffer]] = []
    at = 0
    for block, data in extents:
        count = len(data) // size
        edges = np.flatnonzero(np.diff(keep[at : at + count], prepend=False, append=False))
        view = memoryview(data)
        for first, end in edges.reshape(-1, 2).tolist():
            kept.append((block + first, view[first * size : end * size]))
        at += count
    return kept


async def _until(future: asyncio.Future[None]) -> None:
    await asyncio.wait((future,))
