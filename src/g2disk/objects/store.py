"""`ObjectStore`, the little that volumes ask of a store of objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from g2disk.disk import Buffer


@dataclass(frozen=True, slots=True)
class ObjectEntry:
    """What a listing says of an object."""

    key: str
    size: int
    """Bytes."""
    modified: float
    """Seconds since 1970, by the store's clock."""


class ObjectStore:
    """Named strings of bytes that are written and deleted as wholes.

    What holds for every method:

    - **Keys** are "a/b/c": parts of letters, digits, "_", "-" and ".", joined by "/"; no part begins with "-" or ".".
      A key is never also the folder of others ("a" and "a/b").
    - **Concurrency.**  Any number of calls may run at once, on one event loop, and any number of processes may use the
      same store.
    - **Visibility.**  When a put, create or delete has returned, every later get, get_range and create sees it.  Only
      `list` may be late, as a node of some stores is; nothing that must be right may rest on a listing alone.
    - **Whole.**  An object is seen as it was put, whole, or not at all.
    - **Cancellation.**  A cancelled change is done or not done, or comes later; a cancelled call returns when it has
      let go of the buffers.
    - **Errors.**  `NotFound`, `Exists`, `Denied` (credentials are missing, wrong or expired), `Unavailable` (not
      reached, timed out, throttled, broken off: a repeat may succeed), `OutOfSpace`, `Corrupt`, `Invalid`,
      `Unsupported`.  After `Unavailable` a change may have been done, and one that was not may still come true
      seconds later.
    """

    url: str
    """Names the store, for people; holds no secret."""

    async def put(self, key: str, data: Sequence[Buffer]) -> None:
        """Store the joined `data` under `key`, in the place of what was there; durable when this returns.

        The buffers must not change until this has returned or raised.
        """
        raise NotImplementedError

    async def create(self, key: str, data: Sequence[Buffer]) -> None:
        """As `put`, but only where there is no such object; of several at once, one succeeds.

        Raises `Exists` where there is one.  Is sent once, and no layer repeats it: after `Unavailable` only a get tells
        whether it was done, and it may still come true later.
        """
        raise NotImplementedError

    async def get(self, key: str) -> Buffer:
        """All of the object.  Raises `NotFound`."""
        raise NotImplementedError

    async def get_range(self, key: str, offset: int, length: int) -> Buffer:
        """`length` bytes (at least one) of the object from byte `offset` on; fewer only where it ends, none behind its
        end.  Raises `NotFound`.
        """
        raise NotImplementedError

    async def list(self, prefix: str, after: str = "") -> list[ObjectEntry]:
        """The objects whose keys begin with `prefix` (any string, which may end within a part) and sort behind
        `after`, in the order of their keys.
        """
        raise NotImplementedError

    async def delete(self, key: str) -> None:
        """Delete the object; durable when this returns.  One that is not there is deleted already."""
        raise NotImplementedError

    async def close(self) -> None:
        """Let go of threads and connections.  No call is in flight, and none comes later."""
