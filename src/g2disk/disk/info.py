"""What a disk is and can do: `DiskInfo` and `Extent`, both immutable."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from g2disk.units import MIB

MAXIMUM_REQUEST = 64 * MIB
"""The most data, in bytes, that one read or write carries anywhere in g2disk: twice what NBD clients may assume (NBD
protocol, "Block size constraints"), since some ask for more all the same, nbd-tester-client among them."""

MAXIMUM_RANGE = 1 << 32
"""Bytes that one request may zero where that is done by writing; just more than what a request of NBD can ask for, with
its 32 bits of length.  What costs no writes, trims and extents among them, may be as long as the disk."""


@dataclass(frozen=True, slots=True)
class DiskInfo:
    """A disk's geometry, identity and capabilities, as of the moment it was asked for.

    A capability that is False is not an error to use: `zero` is then emulated by writes, `trim` and `cache` do nothing,
    `extents` reports data everywhere.  Gateways advertise only what is True.
    """

    size: int
    """Bytes; a multiple of `minimum_block`."""
    identity: str = ""
    """Names this very disk: two disks with one identity hold the same bytes.  It changes when flushed data may be gone
    (a memory disk after a restart is another disk).  Empty: unknown, never compared."""
    instance: str = ""
    """Write verifier (as in NFSv3's COMMIT, RFC 1813): changes whenever writes that were acknowledged and not flushed
    may have been lost.  Empty: unknown, never compared."""
    description: str = ""
    """One line for people."""
    minimum_block: int = 1
    """Offsets and lengths are multiples of this many bytes, a power of two up to 64 KiB."""
    preferred_block: int = 4096
    """Bytes; requests of multiples of this are served without extra work."""
    maximum_request: int = MAXIMUM_REQUEST
    """The most bytes of data in one read or write."""
    read_only: bool = False
    """Writes, trims and zeroes raise `ReadOnly`."""
    flush: bool = True
    """`flush` returns only when all that was acknowledged before is durable.  False: nobody knows what is durable."""
    trim: bool = False
    """`trim` gives space back."""
    zero: bool = False
    """`zero` costs less than writing zeroes."""
    fast_zero: bool = False
    """`zero(fast=True)` can succeed."""
    extents: bool = False
    """`extents` knows holes."""
    cache: bool = False
    """`cache` makes later reads faster."""
    multi_conn: bool = True
    """One flush covers the writes of every connection (NBD_FLAG_CAN_MULTI_CONN)."""
    rotational: bool = False
    """Seeking is slow."""


@dataclass(frozen=True, slots=True)
class Extent:
    """A range of a disk in one state; the meaning of NBD's base:allocation."""

    offset: int
    """Bytes from the disk's start."""
    length: int
    """Bytes, more than 0."""
    hole: bool = False
    """No space is allocated (NBD_STATE_HOLE)."""
    zero: bool = False
    """Reads as zeroes (NBD_STATE_ZERO)."""

    @property
    def end(self) -> int:
        """The first byte behind the extent."""
        return self.offset + self.length


def coalesce(extents: Iterable[Extent]) -> list[Extent]:
    """The same extents, neighbours of one state joined."""
    joined: list[Extent] = []
    for extent in extents:
        last = joined[-1] if joined else None
        if last and (last.end, last.hole, last.zero) == (extent.offset, extent.hole, extent.zero):
            joined[-1] = Extent(last.offset, last.length + extent.length, last.hole, last.zero)
        else:
            joined.append(extent)
    return joined
