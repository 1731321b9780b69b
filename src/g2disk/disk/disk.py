"""`Disk`, the interface that everything in g2disk meets at: a server turns a Disk into a protocol, a client turns a
protocol into a Disk, and a layer is a Disk around a Disk.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import ClassVar, TypeAlias

from g2disk.disk.identity import new_identity
from g2disk.disk.info import DiskInfo, Extent
from g2disk.errors import ReadOnly, Unsupported
from g2disk.request import Request
from g2disk.units import MIB

Buffer: TypeAlias = bytes | bytearray | memoryview
"""Bytes of any kind; memoryviews are contiguous, of format 'B'."""

Done: TypeAlias = Callable[[list[Request]], None]
"""Takes requests that are done, with their outcome; does not raise, and does not wait."""

_ZEROES = memoryview(bytes(MIB))


class Disk:
    """A range of bytes that can be read and written.

    A subclass with `size`, `read` and `write` is a disk; the other methods have correct defaults, and overriding one
    is what advertises the capability.

    What holds for every method:

    - **Bounds.**  Callers ask only for ranges inside the disk, aligned to `DiskInfo.minimum_block`, with at least one
      byte.  `g2disk.disk.layers.Checked` stands at every border and makes sure; a disk need not check again.
    - **Whole.**  A request is done as a whole or raises a `DiskError`.  There are no short reads or writes.  After an
      error, or a cancellation, each block of `minimum_block` bytes that was to be written holds its old or its new
      content, no other byte of the disk has changed, and nothing changes any more: a cancelled call that cannot be
      taken back ends when it is done.
    - **Concurrency.**  Any number of calls may run at once, on one event loop.  Calls in flight together have no order
      among them, but disjoint ranges never disturb each other, however close they lie.
    - **Visibility.**  When a write, trim or zero has returned, every later read sees it.
    - **Durability.**  When `flush` has returned, every write, trim and zero that had returned before it was called
      survives whatever this disk survives at all.  With `fua=True` a request has that property itself when it returns.
    - **Buffers.**  The buffer given to `write` belongs to the disk until the call returns, and not longer.  The buffer
      that `read` returns may be a view of live memory: as long as somebody holds it, it shows the range that was read,
      perhaps with later writes to it, and is never used for anything else.
    """

    size: int
    """Bytes, a multiple of 512.  Read by the default `info`; may change when the disk is resized."""

    identity: str
    """See `DiskInfo.identity`.  Set it where the disk's bytes outlive the process; left alone, each object is a new
    disk, and a gateway refuses to go on with it after a restart."""

    minimum_block: ClassVar[int] = 1
    """See `DiskInfo.minimum_block`."""

    async def read(self, offset: int, length: int) -> Buffer:
        """Exactly `length` bytes from byte `offset` on."""
        raise NotImplementedError

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        """Store all of `data` from byte `offset` on; with `fua`, durably."""
        raise ReadOnly("this disk takes no writes")

    async def flush(self) -> None:
        """Make durable all that was acknowledged so far.  The default is right for a disk whose writes are durable as
        soon as they return, and for one that never keeps anything.
        """

    async def trim(self, offset: int, length: int, fua: bool = False) -> None:
        """The range's content is no longer needed; it may read as anything until it is written again.  Advice: the
        default does nothing.
        """

    async def zero(
        self, offset: int, length: int, fua: bool = False, may_trim: bool = True, fast: bool = False
    ) -> None:
        """Make the range read as zeroes.

        With `may_trim` the space may be given back, without it the space stays allocated.  With `fast`, raise
        `Unsupported` at once, having changed nothing, unless this is faster than writing zeroes.
        """
        if fast:
            raise Unsupported("this disk has no fast way to zero")
        end, most = offset + length, min(len(_ZEROES), self.info().maximum_request)
        while offset < end:
            piece = _ZEROES[: min(most, end - offset)]
            await self.write(offset, piece, fua)
            offset += len(piece)

    async def extents(self, offset: int, length: int) -> list[Extent]:
        """The states of the range: extents in order and without gaps, the first from `offset` on, none beyond
        `offset + length`.  The list may end early, but holds at least one.
        """
        return [Extent(offset, length)]

    async def cache(self, offset: int, length: int) -> None:
        """The range will be read soon.  Advice: the default does nothing."""

    def submit(self, requests: list[Request], done: Done) -> list[Request]:
        """Take a batch of requests, without a coroutine for each; return those that it leaves to the caller, to be run
        by the methods above (`g2disk.disk.perform.perform` does that).

        Each request that is taken is reported to `done`, many at a time where that is possible: now or later, in any
        order, exactly once.  All promises above hold for it.  There is no cancelling it.  This is the way for servers
        with many requests; the default takes none.
        """
        return requests

    async def close(self) -> None:
        """Give back what the disk holds.  Does not flush.  No call is in flight, and none follows."""

    def info(self) -> DiskInfo:
        """The disk as it is now.  Cheap: servers ask at every request."""
        kind = type(self)
        return DiskInfo(
            size=self.size,
            identity=getattr(self, "identity", self._token),
            instance=self._token,
            description=(kind.__doc__ or kind.__name__).strip().splitlines()[0],
            minimum_block=self.minimum_block,
            preferred_block=max(4096, self.minimum_block),
            read_only=kind.write is Disk.write,
            trim=kind.trim is not Disk.trim,
            zero=kind.zero is not Disk.zero,
            fast_zero=kind.zero is not Disk.zero,
            extents=kind.extents is not Disk.extents,
            cache=kind.cache is not Disk.cache,
        )

    @cached_property
    def _token(self) -> str:
        return new_identity()
