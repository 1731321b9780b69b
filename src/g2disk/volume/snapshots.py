"""Snapshots and clones of a volume: how they are made, deleted and rolled back to.

A snapshot is a head of the past, kept in the manifest: it costs one commit, whatever the disk's size.  What it needs
stays, since garbage collection asks every head (see `g2disk.volume.gc`).  A clone is a volume whose first manifest has
a snapshot's head; it shares the objects of its ancestors and never deletes one of them.

A clone is noted in its parent's snapshot before it exists, and a snapshot with clones is not deleted.  So a crash can
leave a note without a clone, never a clone without a note; such notes are dropped when they are in the way.

Each of these holds `Volume.changing` from its first look to its commit.  So no note is dropped while its clone is on
its way here; and a writer that was fenced in mid-clone makes no clone: after it has made the clone's manifest it looks
whether it was fenced, while the next writer drops a note only after its claim, and where there is no such manifest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from g2disk.errors import Busy, Exists, NotFound
from g2disk.objects.store import ObjectStore
from g2disk.units import check_disk_name
from g2disk.volume.chain import ManifestChain
from g2disk.volume.format.manifest import Ancestor, Manifest, SnapshotRecord
from g2disk.volume.resources import Resources

if TYPE_CHECKING:
    from g2disk.volume.volume import Volume


async def create_snapshot(volume: Volume, name: str) -> SnapshotRecord:
    """Keep the disk as it is now, with all that was acknowledged.  Raises `Invalid` (the name), `Exists`, `Fenced`."""
    check_disk_name(name)
    async with volume.changing:
        if volume.manifest.snapshot(name) is not None:
            raise Exists(f"there is a snapshot {name!r} already; delete it first, or choose another name")
        head = await volume.settle_to_store()
        now = volume.resources.clock.wall()
        record = SnapshotRecord(name=name, created=now, size=volume.manifest.size, head=head)
        await volume.commit(replace(volume.manifest, head=head, snapshots=(*volume.manifest.snapshots, record)))
    return record


async def delete_snapshot(volume: Volume, name: str) -> None:
    """Forget a snapshot.  Raises `NotFound`, and `Busy` while there are clones of it."""
    async with volume.changing:
        record = snapshot_named(volume.manifest, name)
        living = await _living(record.clones, volume.objects, volume.resources)
        if living:
            count = "a disk begins" if len(living) == 1 else f"{len(living)} disks begin"
            raise Busy(f"{count} as snapshot {name!r} and needs it: delete first what was cloned from it")
        others = tuple(other for other in volume.manifest.snapshots if other.name != name)
        await volume.commit(replace(volume.manifest, snapshots=others))


async def rollback(volume: Volume, name: str) -> None:
    """Make the disk what it was at the snapshot, its size included.  Snapshots stay.  Raises `NotFound`."""
    record = snapshot_named(volume.manifest, name)
    await volume.rebase(record.head, record.size)


async def clone_snapshot(volume: Volume, name: str, new_volume: str, description: str = "") -> Manifest:
    """Make the volume `new_volume`, an id that was never used, which begins as the snapshot; its first manifest.

    The catalogue entry is the caller's, after this.  Raises `NotFound`, `Fenced`.
    """
    async with volume.changing:
        record = snapshot_named(volume.manifest, name)
        noted = replace(record, clones=(*record.clones, new_volume))
        await volume.commit(_with_record(volume.manifest, noted))
        chain = ManifestChain(volume.objects, new_volume, volume.resources.clock, volume.resources.random)
        now = volume.resources.clock.wall()
        manifest = await chain.commit(first_manifest(volume.manifest, record, new_volume, description, now))
        await volume.chain.check()
    return manifest


def first_manifest(parent: Manifest, record: SnapshotRecord, new_volume: str, description: str, now: float) -> Manifest:
    """What a clone begins as; the chain gives it its version and token."""
    ancestry = parent.ancestry or (Ancestor(first=1, first_map=1, volume=parent.volume),)
    own = Ancestor(first=record.head.next, first_map=parent.next_map, volume=new_volume)
    return replace(
        parent,
        volume=new_volume,
        epoch=0,
        size=record.size,
        description=description,
        created=now,
        head=record.head,
        snapshots=(),
        ancestry=(*ancestry, own),
        epochs=(),
        shrink_requested=None,
    )


def snapshot_named(manifest: Manifest, name: str) -> SnapshotRecord:
    """The snapshot of that name.  Raises `NotFound`."""
    record = manifest.snapshot(name)
    if record is None:
        known = ", ".join(snapshot.name for snapshot in manifest.snapshots[-8:]) or "none"
        raise NotFound(f"the disk has no snapshot {name!r}; it has: {known}")
    return record


async def living_clones(manifest: Manifest, objects: ObjectStore, resources: Resources) -> Sequence[str]:
    """The ids of all volumes that began as a snapshot of this one and are still there."""
    noted = [clone for snapshot in manifest.snapshots for clone in snapshot.clones]
    return await _living(noted, objects, resources)


async def _living(clones: Sequence[str], objects: ObjectStore, resources: Resources) -> list[str]:
    return [clone for clone in clones if await _is_there(clone, objects, resources)]


async def _is_there(volume: str, objects: ObjectStore, resources: Resources) -> bool:
    try:
        await ManifestChain(objects, volume, resources.clock, resources.random).load()
    except NotFound:
        return False
    return True


def _with_record(manifest: Manifest, record: SnapshotRecord) -> Manifest:
    snapshots = tuple(record if other.name == record.name else other for other in manifest.snapshots)
    return replace(manifest, snapshots=snapshots)
