"""`Collector`, the garbage collection of one open volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from g2disk.volume.volume import Volume


@dataclass(frozen=True, slots=True)
class Collected:
    """What a round of garbage collection did."""

    moved_bytes: int = 0
    """Live data that was stored anew."""
    segments: int = 0
    """Segments whose live data was moved."""
    deleted: int = 0
    """Objects that were deleted."""
    deleted_bytes: int = 0
    orphans: int = 0
    """Objects deleted that no table listed: left behind by crashes and fenced writers."""

    def __add__(self, other: Collected) -> Collected:
        return Collected(
            self.moved_bytes + other.moved_bytes,
            self.segments + other.segments,
            self.deleted + other.deleted,
            self.deleted_bytes + other.deleted_bytes,
            self.orphans + other.orphans,
        )


class Collector:
    """Works beside everything else that the volume does, and may be cancelled or killed at any moment."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume

    async def run(self) -> None:
        """Collect garbage for ever, when there is some, and pause while uploads need the bandwidth.

        Raises `Fenced` when the volume is fenced; damage that it meets is left to fsck, and noted in `damaged`.
        """
        raise NotImplementedError

    async def collect(self, ratio: float) -> Collected:
        """One round, at once: move the live data of segments that hold less than `ratio` of it, and delete what nothing
        can reach.
        """
        raise NotImplementedError

    async def delete_orphans(self, grace: float) -> Collected:
        """Delete what no table lists and nobody can ever need, if it is older than `grace` seconds."""
        raise NotImplementedError
