"""`Export`, what the handshake tells a client of a disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from g2disk.nbd import constants as nbd

_SMALLEST_PREFERRED = 512
_LARGEST_MINIMUM = 1 << 16
_UINT32 = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Export:
    """A disk as NBD sees it.  Block sizes keep the rules of the NBD protocol, "Size constraints"; `export_of` sees to
    that.
    """

    name: str
    """The disk's own name, which may differ from the one that the client asked for."""
    size: int
    """Bytes."""
    flags: int = nbd.FLAG_HAS_FLAGS
    """Transmission flags, without those that depend on what the client negotiated."""
    description: str = ""
    """For people; empty if there is none."""
    minimum_block: int = nbd.DEFAULT_MINIMUM_BLOCK
    """Bytes; a power of two."""
    preferred_block: int = nbd.DEFAULT_PREFERRED_BLOCK
    """Bytes; a power of two."""
    maximum_payload: int = nbd.DEFAULT_MAXIMUM_PAYLOAD
    """Bytes in one read or write."""
    base_allocation: bool = True
    """Offer the context base:allocation."""
    block_size_required: bool = False
    """Refuse clients that do not ask for the block sizes.  The protocol advises against it; nbd-client never asks."""

    def transmission_flags(self, *, structured: bool, base_allocation: bool, extended: bool) -> int:
        """`flags`, and those that follow from what was negotiated (NBD protocol, "Transmission flags")."""
        flags = self.flags
        if structured or extended:
            flags |= nbd.FLAG_SEND_DF
        if extended and base_allocation:
            flags |= nbd.FLAG_BLOCK_STATUS_PAYLOAD
        return flags


class _DiskInfo(Protocol):
    """What `export_of` needs of a `g2disk.disk.info.DiskInfo`, which this layer must not import."""

    @property
    def size(self) -> int: ...
    @property
    def description(self) -> str: ...
    @property
    def minimum_block(self) -> int: ...
    @property
    def preferred_block(self) -> int: ...
    @property
    def maximum_request(self) -> int: ...
    @property
    def read_only(self) -> bool: ...
    @property
    def flush(self) -> bool: ...
    @property
    def trim(self) -> bool: ...
    @property
    def zero(self) -> bool: ...
    @property
    def fast_zero(self) -> bool: ...
    @property
    def extents(self) -> bool: ...
    @property
    def cache(self) -> bool: ...
    @property
    def multi_conn(self) -> bool: ...
    @property
    def rotational(self) -> bool: ...


def export_of(name: str, info: _DiskInfo) -> Export:
    """The export for the disk `name` with this `DiskInfo`; advertises what is true of it, and nothing else."""
    minimum = min(info.minimum_block, _LARGEST_MINIMUM)
    least = max(minimum, _SMALLEST_PREFERRED)
    maximum = min(max(info.maximum_request, least), _UINT32)
    preferred = max(_power_of_two(min(info.preferred_block, maximum)), least)
    return Export(
        name=name,
        size=info.size,
        flags=_flags(info),
        description=info.description,
        minimum_block=minimum,
        preferred_block=preferred,
        maximum_payload=maximum,
        base_allocation=info.extents,
    )


def _flags(info: _DiskInfo) -> int:
    """Without a flush nobody knows what is durable, so there is no FUA either, and connections that write are not
    interchangeable; what changes the disk is not offered where it is read-only.
    """
    writable = not info.read_only
    zero = info.zero and writable
    offered = {
        nbd.FLAG_READ_ONLY: info.read_only,
        nbd.FLAG_SEND_FLUSH: info.flush,
        nbd.FLAG_SEND_FUA: info.flush and writable,
        nbd.FLAG_ROTATIONAL: info.rotational,
        nbd.FLAG_SEND_TRIM: info.trim and writable,
        nbd.FLAG_SEND_WRITE_ZEROES: zero,
        nbd.FLAG_CAN_MULTI_CONN: info.multi_conn and (info.flush or info.read_only),
        nbd.FLAG_SEND_CACHE: info.cache,
        nbd.FLAG_SEND_FAST_ZERO: zero and info.fast_zero,
    }
    return nbd.FLAG_HAS_FLAGS | sum(flag for flag, true in offered.items() if true)


def _power_of_two(number: int) -> int:
    """The largest power of two that is at most `number`, which is at least 1; 1 for less."""
    return 1 << (max(number, 1).bit_length() - 1)
