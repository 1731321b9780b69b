"""Which segments belong to a state of a disk, told without its map."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence

from g2disk.errors import Corrupt, NotFound
from g2disk.objects.store import ObjectStore
from g2disk.volume.format.manifest import EpochRecord, Head, Manifest, decode_manifest
from g2disk.volume.format.names import SegmentName, manifests_prefix, parse_object_key, segments_prefix


async def all_segments(objects: ObjectStore, manifest: Manifest, known: Mapping[int, int]) -> dict[int, int]:
    """The epoch of each segment, by number, that was ever accepted by the volume or an ancestor and is still there.

    `known` are epochs that tables tell; others follow from when each epoch began.  Segments behind the manifest's head
    are not among them.
    """
    found: dict[int, int] = {}
    owners = {ancestor.volume for ancestor in manifest.ancestry} | {manifest.volume}
    for owner in sorted(owners):
        epochs = manifest.epochs if owner == manifest.volume else await _epochs_of(objects, owner)
        names = []
        for entry in await objects.list(segments_prefix(owner)):
            parsed = parse_object_key(entry.key)
            if parsed is None or not isinstance(parsed[1], SegmentName):
                continue
            name = parsed[1]
            if name.number < manifest.head.next and manifest.owner(name.number) == owner:
                names.append(name)
        found.update(accepted(names, epochs, known))
    return found


def accepted(names: Iterable[SegmentName], epochs: Sequence[EpochRecord], known: Mapping[int, int]) -> dict[int, int]:
    """Of segments that are there, those that count: number and epoch.

    A fenced writer may have put segments that were never accepted, under numbers that the next one used again.  A
    number belongs to the last epoch that began at or before it.  For those from before the oldest record, it belongs to
    the greatest epoch that is there, which never falls from one number to the next.
    """
    firsts = [record.first for record in epochs]
    chosen: dict[int, int] = {}
    for name in names:
        record = bisect_right(firsts, name.number)
        if name.number in known:
            right = known[name.number] == name.epoch
        elif record:
            right = epochs[record - 1].epoch == name.epoch
        else:
            right = name.epoch >= chosen.get(name.number, 0)
        if right:
            chosen[name.number] = name.epoch
    greatest = 0
    for number in sorted(chosen):
        if number not in known and chosen[number] < greatest:
            del chosen[number]
        else:
            greatest = max(greatest, chosen[number])
    return chosen


def of_head(segments: Mapping[int, int], head: Head) -> list[SegmentName]:
    """Those of `segments` that make up a head, in order: none behind it, and none that a rollback gave up."""
    return [
        SegmentName(number, epoch)
        for number, epoch in sorted(segments.items())
        if number < head.next and not any(first <= number < end for first, end in head.abandoned)
    ]


async def _epochs_of(objects: ObjectStore, volume: str) -> Sequence[EpochRecord]:
    """The epochs of an ancestor, if its manifest can be read."""
    for entry in reversed(await objects.list(manifests_prefix(volume))):
        try:
            return decode_manifest(await objects.get(entry.key), entry.key).epochs
        except (NotFound, Corrupt):
            continue
    return ()
