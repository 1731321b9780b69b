"""What a handshake tells the shell around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from g2disk.nbd.export import Export


@dataclass(frozen=True, slots=True)
class ExportWanted:
    """Answer with `Handshake.export`, or with `refuse`.  A client may ask several times, and for several exports."""

    name: str
    """As the client wrote it; empty for the default export."""
    entering: bool
    """Transmission follows, if the answer is an export; otherwise the client only looks."""


@dataclass(frozen=True, slots=True)
class ListWanted:
    """Answer with `Handshake.exports`, or with `refuse`."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The handshake is over, and transmission begins."""

    export: Export
    structured: bool
    """Replies are chunks: structured, or extended."""
    extended: bool
    """Requests and replies have extended headers."""
    base_allocation: bool
    """The client may ask for block status; the context's id is BASE_ALLOCATION_ID."""
    flags: int
    """The transmission flags that the client was told."""
    leftover: bytes
    """Was received already, and belongs to transmission."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The handshake is over, and the connection with it: send what is there to send, and close."""

    reason: str
    """For the log."""


Event: TypeAlias = ExportWanted | ListWanted | Ready | Closed
