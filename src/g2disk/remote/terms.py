"""`Terms`, on which a remote disk lives with a target server that fails and comes back.  Pure."""

from __future__ import annotations

from dataclasses import dataclass

from g2disk.remote.record import UnflushedLog
from g2disk.units import MIB

LEAST_UNFLUSHED = 16 * MIB
"""Bytes; a smaller record could not hold the largest request."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Who the client is, what it keeps, and how patient it is."""

    patient: bool = False
    """Whether refusals that a person can mend at the server (no space, no permission, no such disk yet) are waited out
    like a server that is away, instead of being reported; either ends with the connection's timeout."""
    unflushed_limit: int = 64 * MIB
    """Bytes of acknowledged, unflushed changes that are kept; at least `LEAST_UNFLUSHED`."""
    client: bytes = b""
    """16 bytes that name the client to the server, the same for all processes that follow each other as the gateway of
    one device; empty: made up."""
    generation: int = 0
    """Larger for each process that takes over; see disk.proto, "SURVIVAL"."""
    identity: str = ""
    """Of the disk that it must be; empty: whichever it is.  Another one fails every request until it is accepted."""
    record: UnflushedLog | None = None
    """Keeps the unflushed changes beyond the life of this process."""
