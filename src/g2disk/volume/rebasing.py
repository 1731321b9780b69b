"""Taking a volume that is open back to a state of its past."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from g2disk.errors import NotFound
from g2disk.volume.format.manifest import Head
from g2disk.volume.map.block_map import BlockMap
from g2disk.volume.recovery import apply_runs

if TYPE_CHECKING:
    from g2disk.volume.volume import Volume


async def roll_back(volume: Volume, head: Head, size: int) -> None:
    """See `Volume.rebase`.

    Everything that was written since is put into the store first, so that the journal and the overlay are empty; then
    the snapshot's map, with a table that knows all that later snapshots need, is committed as the disk's.
    """
    async with volume.sizing, volume.changing:
        if all(snapshot.head != head for snapshot in volume.manifest.snapshots):
            raise NotFound("the snapshot was deleted meanwhile, so its data may be gone; the disk stays as it is")
        gate = volume.changes.closed = asyncio.Event()
        try:
            await _go_back(volume, head, size)
        finally:
            volume.changes.closed = None
            gate.set()


async def _go_back(volume: Volume, head: Head, size: int) -> None:
    present = await volume.settle_to_store()
    own = await volume.health.race(_map_of(volume, head))
    number, checkpoint = present.next, volume.map.checkpoints + 1
    # On a copy: until the commit the present table counts.
    table = volume.table.copy()
    table.rebase(own.table, number, checkpoint)
    own.table, own.checkpoints = table, volume.map.checkpoints
    before, volume.layers.map = volume.layers.map, own
    manifest = volume.manifest
    try:
        written = await volume.checkpointing.write_map()
        abandoned = (*head.abandoned, (head.next, number)) if head.next < number else head.abandoned
        await volume.commit(
            msgspec.structs.replace(
                manifest,
                head=msgspec.structs.replace(written, abandoned=abandoned),
                size=size,
                next_map=volume.checkpointing.next_map,
            )
        )
    finally:
        if volume.manifest is manifest:
            volume.layers.map = before
        else:  # committed, though this may have been cancelled
            volume.changes.begin_parts_again()
            volume.resized(size)


async def _map_of(volume: Volume, head: Head) -> BlockMap:
    """The map as `head` describes it."""
    parts = volume.parts
    own = await BlockMap.open(parts.pages, head, volume.settings.map_memory)
    await apply_runs(own, volume.manifest, head, parts.stored, parts.sealer, parts.workers)
    return own
