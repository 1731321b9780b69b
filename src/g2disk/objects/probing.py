"""Is this a store that volumes can be kept on?"""

from __future__ import annotations

from g2disk.clock import Clock
from g2disk.objects.store import ObjectStore


async def probe(store: ObjectStore, clock: Clock) -> None:
    """Try, with objects of its own, what volumes need: put-if-absent, ranges, listing, deletion, a clock that is about
    right.  What it wrote is deleted again.

    Raises, with one line that names what is missing: `Unsupported`, `Denied`, `Unavailable`, `OutOfSpace`.
    """
    raise NotImplementedError
