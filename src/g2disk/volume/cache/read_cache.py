"""`ReadCache`, bounded, shared by all volumes of a process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from g2disk.disk import Buffer
from g2disk.units import KIB

if TYPE_CHECKING:
    from g2disk.volume.format.names import SegmentName

CHUNK = 128 * KIB
"""Objects are kept in chunks of that many bytes; the last one of an object may be shorter."""


class ReadCache(Protocol):
    """Chunks of segments.  `volume` is always the one that owns the segment, so that clones share what they share."""

    hits: int
    misses: int

    @property
    def used(self) -> int:
        """Bytes of the chunks that it holds."""
        ...

    @property
    def limit(self) -> int:
        """The most that it holds, in bytes."""
        ...

    def get(self, volume: str, name: SegmentName, chunk: int) -> Buffer | None:
        """Chunk number `chunk` of a segment, or None.  It was checked; a damaged one is forgotten and counts as
        missing.
        """
        ...

    def put(self, volume: str, name: SegmentName, chunk: int, data: Buffer) -> None:
        """Keep a chunk, of up to `CHUNK` bytes, perhaps; others go for it."""
        ...

    def drop(self, volume: str, number: int) -> None:
        """Forget the segments of that number."""
        ...

    def close(self) -> None:
        """Let others have the directory."""
        ...
