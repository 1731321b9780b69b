"""`Checkpointing`, which writes the map into the store, so that an opening need not apply all segments there are."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from g2disk.volume.format.manifest import Head
from g2disk.volume.map.pages import PageWriter

if TYPE_CHECKING:
    from g2disk.volume.volume import Volume


class Checkpointing:
    """The checkpoints of one volume."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self._due = asyncio.Event()
        head = volume.manifest.head
        self._segments = head.next - head.applied
        """How many the newest checkpoint lacks."""
        self.next_map = volume.manifest.next_map
        """The manifest's `next_map` after the last `write_map`."""

    def segment_took_effect(self) -> None:
        """Take note that the map changed."""
        volume = self._volume
        self._segments += 1
        if self._segments >= volume.settings.checkpoint_segments or volume.map.wants_checkpoint:
            self._due.set()

    async def keep(self) -> None:
        """Make a checkpoint whenever one is due, as long as the volume is open."""
        while True:
            await self._due.wait()
            self._due.clear()
            async with self._volume.changing:
                await self.make()
            await self._volume.chain.tidy()

    async def make(self) -> None:
        """Write what changed of the map, and commit a manifest that begins there.  The caller holds `changing`."""
        head = await self.write_map()
        volume = self._volume
        await volume.commit(msgspec.structs.replace(volume.manifest, head=head, next_map=self.next_map))
        volume.table.removed = False
        self._segments = 0

    async def write_map(self) -> Head:
        """Write what changed of the map; the head that begins there, to be committed with `next_map`.

        The caller holds `changing`.
        """
        volume = self._volume
        parts, manifest, uploader = volume.parts, volume.manifest, volume.uploader
        writer = PageWriter(
            parts.objects, parts.sealer, volume.resources.runner, manifest.volume, manifest.epoch, self.next_map
        )
        try:
            root, table = await volume.health.race(volume.map.checkpoint(writer))
        finally:
            self.next_map = writer.next
        return msgspec.structs.replace(
            manifest.head,
            root=root,
            table=table,
            checkpoint=volume.map.checkpoints,
            applied=uploader.applied,
            runs=(),
            next=uploader.applied,
            sequence=uploader.applied_sequence,
        )
