"""`Request`, what is asked of a block device, in the form that whole batches of them travel in.

The numbers of operations and flags are those of NBD (NBD protocol, "Request types" and "Command flags"), and also
those of the Session call of g2disk.v1, so that no layer translates them.
"""

from __future__ import annotations

from typing import Any, Final

from g2disk.errors import DiskError

READ: Final = 0
WRITE: Final = 1
FLUSH: Final = 3
TRIM: Final = 4
CACHE: Final = 5
ZERO: Final = 6
EXTENTS: Final = 7

OPERATIONS: Final = {
    READ: "read",
    WRITE: "write",
    FLUSH: "flush",
    TRIM: "trim",
    CACHE: "cache",
    ZERO: "zero",
    EXTENTS: "extents",
}

FUA: Final = 1 << 0
"""Of write, trim and zero: durable when it is answered."""
KEEP_ALLOCATED: Final = 1 << 1
"""Of zero: the space stays allocated."""
FAST: Final = 1 << 4
"""Of zero: fail with `Unsupported` at once unless it is faster than writing zeroes."""


class Request:
    """One request on its way to a disk, and then its outcome on the way back.

    Made by who asks; `data` and `error` are set by who answers, before it reports the request done.
    """

    __slots__ = ("data", "error", "flags", "length", "offset", "operation", "tag")

    def __init__(self, operation: int, flags: int, offset: int, length: int, tag: Any = None, data: Any = None) -> None:
        self.operation = operation
        self.flags = flags
        self.offset = offset
        """Bytes; 0 for a flush."""
        self.length = length
        """Bytes; 0 for a flush."""
        self.tag = tag
        """Belongs to who made the request; nobody else looks at it."""
        self.data = data
        """Of a write: the bytes, a Buffer that stays as it is until the request is done.  Afterwards, of a read: its
        bytes, as `Disk` says of buffers; of extents: a list of `Extent`."""
        self.error: DiskError | None = None
        """What went wrong, or None."""

    def __repr__(self) -> str:
        name = OPERATIONS.get(self.operation, str(self.operation))
        return f"<{name} {self.length} bytes at {self.offset} flags {self.flags:#x} error {self.error!r}>"
