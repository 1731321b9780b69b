"""`Supply`, the files that the journal will go on in: made ahead of need, or taken back from what was released.

A file that is taken back keeps its bytes, so that to write over them costs no metadata; only its header is wiped, and
that is durable before it is used again.  So after a power cut a file has the header that belongs to its bytes, or none.
Files are wiped in the journal's order: those with a header are always a run without a gap at its front.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import count

from g2disk.errors import DiskError
from g2disk.units import KIB
from g2disk.volume.format.journal import HEADER_SPACE
from g2disk.volume.journal.bell import Bell
from g2disk.volume.journal.files import File, Files

_WIPED = bytes(HEADER_SPACE)
_ZEROES = bytes(512 * KIB)


class Supply:
    """Up to `most` files of `size` bytes, those in use included."""

    def __init__(self, files: Files, size: int, most: int, names: Iterable[str]) -> None:
        self._files = files
        self.size = size
        self.most = most
        self._names = set(names)
        """Of all files, in use or not."""
        self._released: deque[tuple[str, File]] = deque()
        self._ready: deque[tuple[str, File]] = deque()
        self._unwritten: deque[File] = deque()
        """Those that were made and perhaps not yet written to."""
        self.changed = Bell()
        """Rings when a file became ready."""
        self.stopping = False
        """Set for `replenish` to return early."""

    @property
    def ready(self) -> int:
        """Files that can be taken now."""
        return len(self._ready)

    @property
    def pending(self) -> int:
        """Files that are released and not wiped yet."""
        return len(self._released)

    def take(self) -> tuple[str, File]:
        """A file without header; there is one `ready`."""
        return self._ready.popleft()

    def give_back(self, name: str, file: File) -> None:
        """Take a file back; `replenish` makes it ready."""
        self._released.append((name, file))

    async def replenish(self, ahead: int, *, beyond: bool = False) -> None:
        """Wipe what was released, then make files until `ahead` are ready, or there are as many as may be, or more with
        `beyond`.

        Raises `OutOfSpace`, `Unavailable`; repeat it later.  Not to be cancelled: set `stopping`.
        """
        while self._released and not self.stopping:
            await self._recycle()
        while len(self._ready) < ahead and (beyond or len(self._names) < self.most) and not self.stopping:
            name = next(name for name in map(file_name, count()) if name not in self._names)
            self._ready.append((name, await self._files.open(name, self.size)))
            self._names.add(name)
            self._unwritten.append(self._ready[-1][1])
            self.changed.ring()

    async def fill(self) -> None:
        """Write to new files that are ready.  Where a file was never written to, a sync costs three times as much; but
        files that are taken before this comes to them can do without.  Raises `OutOfSpace`, `Unavailable`.
        """
        while self._unwritten:
            file = self._unwritten.popleft()
            position = HEADER_SPACE
            while position < self.size and self._is_ready(file):
                file.write(position, (memoryview(_ZEROES)[: self.size - position],))
                position += len(_ZEROES)
                await file.sync()

    def close(self) -> None:
        """Close the files that are not in use."""
        for _, file in (*self._released, *self._ready):
            file.close()
        self._released.clear()
        self._ready.clear()

    def _is_ready(self, file: File) -> bool:
        return not self.stopping and any(file is ready for _, ready in self._ready)

    async def _recycle(self) -> None:
        file = self._released[0][1]
        if file.size != self.size or len(self._names) > self.most:
            await self._discard()
            return
        try:
            file.write(0, (_WIPED,))
            await file.sync()
        except DiskError:
            await self._discard()
            raise
        self._ready.append(self._released.popleft())
        self.changed.ring()

    async def _discard(self) -> None:
        name, file = self._released[0]
        await self._files.remove(name)
        self._released.popleft()
        self._names.discard(name)
        file.close()


def file_name(slot: int) -> str:
    """Name of a journal's file.  It says nothing of its place in the journal; the header does."""
    return f"journal-{slot:04d}"


def is_file_name(name: str) -> bool:
    """Whether it can be `file_name`'s."""
    return name.startswith("journal-") and name[8:].isdigit()
