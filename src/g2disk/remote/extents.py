"""Extents as a target server sends them."""

from __future__ import annotations

from g2disk.disk import Extent, coalesce
from g2disk.errors import Corrupt
from g2disk.remote.pb import disk_pb2

_HOLE, _ZERO = 1, 2


def extents_of(reply: disk_pb2.ExtentsReply, offset: int, length: int) -> list[Extent]:
    """The extents that a reply holds for this range, neighbours of one state joined.  Raises `Corrupt`."""
    lengths, states = reply.lengths, reply.states
    if not (len(lengths) == len(states) > 0 and all(lengths) and sum(lengths) <= length):
        raise Corrupt(f"the extents of {length} bytes at {offset} are not a part of that range; the server is broken")
    found: list[Extent] = []
    for extent_length, state in zip(lengths, states, strict=True):
        found.append(Extent(offset, extent_length, bool(state & _HOLE), bool(state & _ZERO)))
        offset += extent_length
    return coalesce(found)
