"""Taking a volume that is open back to a state of its past."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

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
    volume.changes.closed = asyncio.Event()
    try:
        async with volume.changing:
            present = await volume.settle_to_store()
            own = await _map_of(volume, head)
            number, checkpoint = present.next, volume.map.checkpoints + 1
            # On a copy: until the commit the present table counts.
            table = volume.table.copy()
            table.rebase(own.table, number, checkpoint)
            own.table, own.checkpoints = table, volume.map.checkpoints
            before, volume.layers.map = volume.layers.map, own
            try:
                written = await volume.checkpointing.write_map()
                abandoned = (*head.abandoned, (head.next, number)) if head.next < number else head.abandoned
                await volume.commit(
                    msgspec.structs.replace(
                        volume.manifest,
                        head=msgspec.structs.replace(written, abandoned=abandoned),
                        size=size,
                        next_map=volume.checkpointing.next_map,
                    )
                )
            except BaseException:
                volume.layers.map = before
                raise
            volume.resized(size)
    finally:
        gate, volume.changes.closed = volume.changes.closed, None
        gate.set()


async def _map_of(volume: Volume, head: Head) -> BlockMap:
    """The map as `head` describes it."""
    parts = volume.parts
    own = await BlockMap.open(parts.pages, head, volume.settings.map_memory)
    await apply_runs(own, volume.manifest, head, parts.stored, parts.sealer, parts.workers)
    return own
