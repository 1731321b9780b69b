"""Growing and shrinking a volume that is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from g2disk.errors import Invalid
from g2disk.units import check_disk_size, format_size

if TYPE_CHECKING:
    from g2disk.volume.volume import Volume


async def resize_volume(volume: Volume, size: int) -> None:
    """See `Volume.resize`.

    What a shrinking disk gives up is zeroed, and what a growing one gets, too: a write that was under way when the disk
    shrank may have come behind its end.
    """
    check_disk_size(size)
    async with volume.sizing:
        before = volume.size
        try:
            if size < before:
                await _confirm(volume, size)
                volume.resized(size)  # from here on nobody writes behind the new end
                await volume.changes.zero(size, before - size, edges=True)
            elif size > before:
                await volume.changes.zero(before, size - before, edges=True)
            async with volume.changing:
                head = await volume.settle_to_store() if size < before else volume.manifest.head
                await volume.commit(
                    msgspec.structs.replace(volume.manifest, head=head, size=size, shrink_requested=None)
                )
        finally:
            volume.resized(volume.manifest.size)  # the new one if it was committed, though this was cancelled


async def _confirm(volume: Volume, size: int) -> None:
    """Return if the same size was asked for before; else take note of it, and raise `Invalid`."""
    async with volume.changing:
        if volume.manifest.shrink_requested == size:
            return
        await volume.commit(msgspec.structs.replace(volume.manifest, shrink_requested=size))
    lost = format_size(volume.size - size)
    raise Invalid(
        f"this cuts off the last {lost} of the disk, with all that is there; to do it, ask for the same size once more"
    )
