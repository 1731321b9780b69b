"""`Changes`, the way of writes, trims and zeroes into the journal.

The journal knows whole blocks.  A change of a part of one reads the block, and writes it whole; what changes the block
between the two makes it begin again, so that nothing that was acknowledged is taken back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from g2disk.disk import Buffer
from g2disk.errors import DiskError, OutOfSpace
from g2disk.request import FUA, TRIM, WRITE, ZERO, Request
from g2disk.volume.admission import Admission
from g2disk.volume.health import Health
from g2disk.volume.journal import journal as kinds
from g2disk.volume.journal.journal import Change, Journal
from g2disk.volume.reading import Reader
from g2disk.volume.uploading import Uploader


class _Edge:
    """A block of which a part is being changed."""

    __slots__ = ("lock", "touched", "users")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.touched = False
        """The block was written since it was read."""
        self.users = 0


class Changes:
    """Appends changes to the journal and makes them visible."""

    def __init__(
        self, journal: Journal, admission: Admission, reader: Reader, uploader: Uploader, health: Health
    ) -> None:
        self._journal = journal
        self._admission = admission
        self._reader = reader
        self._uploader = uploader
        self._health = health
        self._block_size = reader.layers.block_size
        self._edges: dict[int, _Edge] = {}
        self.bytes_written = 0
        """Of data that was appended."""
        self.closed: asyncio.Event | None = None
        """While it is there, changes wait for it (a rollback)."""

    def take(self, requests: Sequence[Request]) -> tuple[list[Request], list[Request]]:
        """Do at once those changes that need no waiting, as one batch; returns them, and the others."""
        mask = self._block_size - 1
        shift = mask.bit_length()
        changes: list[Change] = []
        done: list[Request] = []
        left: list[Request] = []
        total = 0
        for request in requests:
            if (request.offset | request.length) & mask or request.flags & FUA:
                left.append(request)
                continue
            block, count = request.offset >> shift, request.length >> shift
            if request.operation == WRITE:
                changes.append((kinds.WRITE, block, count, request.data))
                total += request.length
            else:
                changes.append((kinds.ZERO, block, count, None))
            done.append(request)
        if not changes:
            return done, left
        if self.closed is not None or not self._admission.admits(total, len(changes)):
            return [], list(requests)
        try:
            self._append(changes)
        except OutOfSpace:
            return [], list(requests)
        except DiskError as error:
            for request in done:
                request.error = error
        return done, left

    async def write(self, offset: int, data: Buffer) -> None:
        """See `Disk.write`."""
        size = self._block_size
        view = memoryview(data)
        end = offset + len(view)
        first, last = -(-offset // size), end // size
        if first > last:  # within one block
            await self._change_part(offset // size, offset % size, view)
            return
        if offset % size:
            await self._change_part(first - 1, offset % size, view[: first * size - offset])
        step = max(self._admission.largest // size, 1)
        for block in range(first, last, step):
            count = min(step, last - block)
            start = block * size - offset
            await self._change((kinds.WRITE, block, count, view[start : start + count * size]), count * size)
        if end % size:
            await self._change_part(last, 0, view[last * size - offset :])

    async def zero(self, offset: int, length: int, *, edges: bool) -> None:
        """Make a range zeroes; with `edges` also the parts of blocks at its ends."""
        size = self._block_size
        end = offset + length
        first, last = -(-offset // size), end // size
        if first > last:
            if edges:
                await self._change_part(offset // size, offset % size, bytes(length))
            return
        if edges and offset % size:
            await self._change_part(first - 1, offset % size, bytes(first * size - offset))
        if last > first:
            await self._change((kinds.ZERO, first, last - first, None), 0)
        if edges and end % size:
            await self._change_part(last, 0, bytes(end % size))

    async def _change(self, change: Change, size: int) -> None:
        while True:
            await self._enter(size)
            try:
                self._append([change])
            except OutOfSpace:
                await self._admission.pause()
            else:
                return

    async def _enter(self, size: int) -> None:
        """Return when a change of so many bytes may be appended; nothing may be waited for before that is done."""
        while True:
            await self._admission.enter(size)
            if self.closed is None:
                return
            await self.closed.wait()

    async def _change_part(self, block: int, start: int, data: Buffer) -> None:
        edge = self._edges.setdefault(block, _Edge())
        edge.users += 1
        try:
            async with edge.lock:
                await self._merge(edge, block, start, data)
        finally:
            edge.users -= 1
            if not edge.users:
                del self._edges[block]

    async def _merge(self, edge: _Edge, block: int, start: int, data: Buffer) -> None:
        while True:
            edge.touched = False
            content = bytearray(await self._health.race(self._reader.read(block, 1)))
            content[start : start + len(data)] = data
            await self._enter(self._block_size)
            if edge.touched:
                continue
            try:
                self._append([(kinds.WRITE, block, 1, content)])
            except OutOfSpace:
                await self._admission.pause()
            else:
                return

    def _append(self, changes: Sequence[Change]) -> None:
        """Into the journal, and at once visible.  Nothing waits here."""
        self._health.check()
        entries = self._journal.append(changes)
        self._reader.layers.overlay.record(entries)
        self.bytes_written += sum(count for kind, _, count, _ in changes if kind == kinds.WRITE) * self._block_size
        self._uploader.add(entries)
        if self._edges:
            self._touch(changes)

    def begin_parts_again(self) -> None:
        """Say that the disk went back to another state: what was read of blocks to change a part of them is void."""
        for edge in self._edges.values():
            edge.touched = True

    def _touch(self, changes: Sequence[Change]) -> None:
        for block, edge in self._edges.items():
            if any(first <= block < first + count for _, first, count, _ in changes):
                edge.touched = True


CHANGES = frozenset((WRITE, TRIM, ZERO))
"""Operations that `Changes.take` takes."""
