"""Objects that no table lists: segments of fenced writers, and what a crash kept from being deleted or committed."""

from __future__ import annotations

from dataclasses import dataclass

from g2disk.objects.store import ObjectStore
from g2disk.volume.format.names import MapName, SegmentName, maps_prefix, parse_object_key, segments_prefix
from g2disk.volume.map.table import SegmentTable


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a writer was sure of at some moment."""

    epoch: int
    """The writer's own: all earlier ones are over, and what counts of them is in the table."""
    applied: int
    """Segments of the writer's epoch with smaller numbers are in the table, or were deleted."""
    next_map: int
    """The same for map objects."""

    def settled(self, name: SegmentName | MapName) -> bool:
        """Whether the table decides if the object is needed: later writers' objects, and those on their way, are not
        ours to judge.
        """
        if name.epoch != self.epoch:
            return name.epoch < self.epoch
        return name.number < (self.next_map if isinstance(name, MapName) else self.applied)


async def orphans(
    objects: ObjectStore, volume: str, bounds: Bounds, older_than: float, table: SegmentTable
) -> list[str]:
    """The keys of a volume's own objects that its table, as it is when they are listed, does not list.

    `older_than` is in seconds since 1970, by the store's clock.
    """
    found: list[str] = []
    for prefix in (segments_prefix(volume), maps_prefix(volume)):
        for entry in await objects.list(prefix):
            parsed = parse_object_key(entry.key)
            if parsed is None or entry.modified > older_than:
                continue
            if bounds.settled(parsed[1]) and not _listed(parsed[1], table):
                found.append(entry.key)
    return found


def _listed(name: SegmentName | MapName, table: SegmentTable) -> bool:
    rows = table.maps if isinstance(name, MapName) else table.segments
    return rows.epoch(name.number) == name.epoch
