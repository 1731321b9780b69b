"""`SegmentTable`: of every stored object, how much of it is in use, and when it was born and died.

What an object is needed for follows from that.  Data segments are born with their own number, and die with the number
of the segment whose effect took the last block from them; map objects are born and die with counts of checkpoints.  A
snapshot's head H needs an object that was born before H ended, and that was alive when H's root was written:

    segments       born < H.next          and  (alive or died >= H.applied)
    map objects    born <= H.checkpoint   and  (alive or died > H.checkpoint)

The committed head of the disk itself has no end: it needs what was alive then, and all that was born since.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from g2disk.errors import NotFound
from g2disk.volume.format.manifest import Head
from g2disk.volume.format.names import MapName, SegmentName
from g2disk.volume.format.pages import DATA_SEGMENT, MAP_OBJECT, U64, TablePage
from g2disk.volume.map.rows import Rows


class SegmentTable:
    """The table that belongs to a map."""

    def __init__(self) -> None:
        self.segments = Rows()
        """Data segments; what they hold is counted in blocks."""
        self.maps = Rows()
        """Map objects; what they hold is counted in pages."""
        self.removed = False
        """Objects were taken out since the table was committed last; whoever commits it says that they are gone."""

    @classmethod
    def decode(cls, page: TablePage) -> SegmentTable:
        """The table that a checkpoint wrote.  Raises `Corrupt`."""
        table = cls()
        for rows, kind in ((table.segments, DATA_SEGMENT), (table.maps, MAP_OBJECT)):
            rows.load(page, page.kinds == kind)
        return table

    def encode(self) -> TablePage:
        """The page that a checkpoint writes."""
        both = [self.segments.columns(), self.maps.columns()]
        kinds = np.repeat(np.array([DATA_SEGMENT, MAP_OBJECT], "u1"), [len(self.segments), len(self.maps)])
        numbers, sizes, born, died, epochs, live, total = (np.concatenate(pair) for pair in zip(*both, strict=True))
        return TablePage(numbers, sizes, born, died, epochs, live, total, kinds)

    def adopt(self, other: SegmentTable) -> None:
        """Become what `other` is, which is not used any more."""
        self.segments, self.maps = other.segments, other.maps

    def copy(self) -> SegmentTable:
        """Another table with the same rows."""
        return SegmentTable.decode(self.encode())

    def epoch(self, number: int) -> int:
        """The epoch of segment `number`, which names its object.

        Raises `NotFound` where the table does not list it: collected since you looked into the map, or damaged.
        """
        epoch = self.segments.epoch(number)
        if epoch is None:
            raise NotFound(f"segment {number:x} is not in the segment table")
        return epoch

    @property
    def memory(self) -> int:
        """Bytes in use."""
        return self.segments.memory + self.maps.memory

    @property
    def live_blocks(self) -> int:
        """Blocks that the map points to."""
        return int(self.segments.live.sum())

    @property
    def stored_blocks(self) -> int:
        """Blocks in all segments, garbage included."""
        return int(self.segments.total.sum())

    @property
    def stored_bytes(self) -> int:
        """Of all objects, segments and map objects."""
        return int(self.segments.bytes.sum()) + int(self.maps.bytes.sum())

    def candidates(self, ratio: float, snapshots: Iterable[Head] = (), first: int = 1) -> list[SegmentName]:
        """Segments from number `first` on with less than `ratio` of their blocks in use that no snapshot needs, so that
        moving their blocks frees them; the emptiest first.
        """
        rows = self.segments
        pinned = max((head.next for head in snapshots), default=0)
        few = (rows.died == 0) & (rows.live < ratio * rows.total) & (rows.number >= max(first, pinned))
        found = np.flatnonzero(few)
        found = found[np.argsort(rows.live[found] / rows.total[found], kind="stable")]
        return [SegmentName(int(rows.number[row]), int(rows.epochs[row])) for row in found]

    def deletable(
        self, current: Head, snapshots: Sequence[Head], first: int = 1, first_map: int = 1
    ) -> tuple[list[SegmentName], list[MapName]]:
        """What neither `current`, the committed head, nor a snapshot needs, of the volume's own objects: segments from
        `first` on, map objects from `first_map` on.
        """
        segments, maps = self.segments, self.maps
        dead = segments.dead_before(first, current.applied)
        for head in snapshots:
            dead &= (segments.born >= head.next) | (segments.died < head.applied)
        dead_maps = maps.dead_before(first_map, current.checkpoint + 1)
        for head in snapshots:
            dead_maps &= (maps.born > head.checkpoint) | (maps.died <= head.checkpoint)
        return (
            [SegmentName(number, epoch) for number, epoch in segments.names(dead)],
            [MapName(number, epoch) for number, epoch in maps.names(dead_maps)],
        )

    def remove(self, segments: Iterable[SegmentName], maps: Iterable[MapName]) -> None:
        """Take dead objects out; they may be deleted when a manifest with the next checkpoint's table is committed."""
        self.removed = True
        self.segments.remove([name.number for name in segments])
        self.maps.remove([name.number for name in maps])

    def rebase(self, target: SegmentTable, number: int, checkpoint: int) -> None:
        """Make this, the table of the present, that of a rollback to the state that `target` describes.

        What only the present uses dies, at segment `number` (the next one) and at `checkpoint` (the count of the
        checkpoint that will hold this table).  No death is moved to the past, as snapshots between may need the object.
        """
        self.segments.rebase(target.segments, number)
        self.maps.rebase(target.maps, checkpoint)

    def take(self, old: U64, new: U64, at: int) -> None:
        """Count for blocks that move from locations `old` to `new` (0: none) by the effect of segment `at`."""
        changed = old != new
        numbers = np.concatenate([old[changed], new[changed]]) >> np.uint64(24)
        deltas = np.repeat(np.array([-1, 1]), int(changed.sum()))
        used = numbers != 0
        self.segments.change(numbers[used], deltas[used], at)
