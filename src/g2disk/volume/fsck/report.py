"""What fsck says of a volume (pure)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum


class Kind(Enum):
    """What is wrong, by the name that the JSON report has for it."""

    MANIFEST = "manifest"
    """A manifest cannot be read, or contradicts itself or its chain."""
    MAP = "map"
    """A part of the map is missing or damaged; what it said can be told from the segments."""
    SEGMENT = "segment"
    """A segment that the disk needs is missing or its index is damaged."""
    BLOCK = "block"
    """Stored data does not have its checksum."""
    LOCATION = "location"
    """The map says that a block is where it is not."""
    COUNT = "count"
    """The segment table is wrong; garbage collection would do too much or too little."""
    ORPHAN = "orphan"
    """An object that nothing needs: costs space, and is no damage."""
    CLONE = "clone"
    """A clone and its parent do not know each other."""


HARMLESS = frozenset({Kind.ORPHAN})
"""What is worth a line, and is no defect of the disk."""


@dataclass(frozen=True, slots=True, order=True)
class LostRange:
    """Bytes of the disk, or of a snapshot, that cannot be read any more."""

    snapshot: str
    """Empty: the disk itself."""
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    kind: Kind
    message: str
    """What is wrong, for people."""
    key: str = ""
    """The object that it is about; empty where it is about no single one."""
    repaired: str = ""
    """What was done about it; empty: nothing."""

    @property
    def harmless(self) -> bool:
        """It is no defect of a disk."""
        return self.kind in HARMLESS


@dataclass(slots=True)
class Report:
    """All that was found of one volume."""

    volume: str
    name: str = ""
    """The disk's name; empty for a volume that no name leads to."""
    version: int = 0
    """Of the manifest that was checked; 0: there is none that can be read."""
    moving: bool = False
    """A writer committed something while it was checked, each time: what was found may be wrong."""
    findings: list[Finding] = field(default_factory=list)
    lost: list[LostRange] = field(default_factory=list)
    segments: int = 0
    """Segments that were checked."""
    blocks: int = 0
    """Blocks whose checksums were checked."""
    stored_bytes: int = 0

    @property
    def clean(self) -> bool:
        """Nothing is wrong with the disk, its snapshots and the counts; orphans may be there."""
        return not self.lost and all(finding.harmless for finding in self.findings)

    def add(self, kind: Kind, message: str, key: str = "", repaired: str = "") -> None:
        """Note something that is wrong."""
        self.findings.append(Finding(kind, message, key, repaired))

    def lose(self, snapshot: str, ranges: Iterable[tuple[int, int]]) -> None:
        """Note ranges (offset, length) in bytes that are lost; kept sorted and joined."""
        mine = [(lost.offset, lost.length) for lost in self.lost if lost.snapshot == snapshot]
        others = [lost for lost in self.lost if lost.snapshot != snapshot]
        self.lost = sorted(others + [LostRange(snapshot, *part) for part in joined([*mine, *ranges])])


def joined(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The union of ranges (offset, length), in order, neighbours joined."""
    union: list[tuple[int, int]] = []
    for offset, length in sorted(ranges):
        if union and offset <= union[-1][0] + union[-1][1]:
            begin, had = union[-1]
            union[-1] = (begin, max(had, offset + length - begin))
        else:
            union.append((offset, length))
    return union
