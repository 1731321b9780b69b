"""Snapshots and clones of a volume: how they are made, deleted, rolled back to and opened.

A snapshot is a head of the past, kept in the manifest: it costs one commit, whatever the disk's size.  What it needs
stays, since garbage collection asks every head (see `g2disk.volume.gc`).  A clone is a volume whose first manifest has
a snapshot's head; it shares the objects of its ancestors and never deletes one of them.

A clone is noted in its parent's snapshot before it exists, and a snapshot with clones is not deleted.  So a crash can
leave a note without a clone, never a clone without a note; such notes are dropped when somebody is in their way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from g2disk.disk import Disk
from g2disk.volume.resources import Resources
from g2disk.volume.settings import Settings

if TYPE_CHECKING:
    from g2disk.volume.format.manifest import Manifest, SnapshotRecord
    from g2disk.volume.volume import Volume


async def create_snapshot(volume: Volume, name: str) -> SnapshotRecord:
    """Keep the disk as it is now, with all that was acknowledged.  Raises `Invalid` (the name), `Exists`, `Fenced`."""
    raise NotImplementedError


async def delete_snapshot(volume: Volume, name: str) -> None:
    """Forget a snapshot.  Raises `NotFound`, and `Busy` while there are clones of it."""
    raise NotImplementedError


async def rollback(volume: Volume, name: str) -> None:
    """Make the disk what it was at the snapshot, its size included.  Snapshots stay.  Raises `NotFound`."""
    raise NotImplementedError


async def clone_snapshot(volume: Volume, name: str, new_volume: str, description: str = "") -> Manifest:
    """Make the volume `new_volume`, a new id, that begins as the snapshot; returns its first manifest.

    The catalogue entry is the caller's, after this.  Raises `NotFound`, `Fenced`.
    """
    raise NotImplementedError


async def living_clones(manifest: Manifest, resources: Resources) -> Sequence[str]:
    """The ids of all volumes that began as a snapshot of this one and are still there."""
    raise NotImplementedError


async def open_snapshot(
    manifest: Manifest, name: str, resources: Resources, settings: Settings, key: bytes | None
) -> Disk:
    """The snapshot as a disk that is read only, of the volume that has this manifest.  Nothing is claimed or written,
    so it can be opened anywhere while the volume is being written.  Raises `NotFound`, `Denied`, `Corrupt`.
    """
    raise NotImplementedError
