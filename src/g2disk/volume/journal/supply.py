"""`Supply`, the files that the journal will go on in: made ahead of need, or taken back from what was released.

A file that is taken back keeps its bytes, so that to write over them costs no metadata.  Before that the journal's mark
is moved; a file that the mark does not cover is wiped instead, so that it has no header until it gets its new one.
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
from g2disk.volume.journal.mark import Beginning, Mark

_WIPED = bytes(HEADER_SPACE)
_ZEROES = bytes(512 * KIB)


class Supply:
    """Up to `most` files of `size` bytes, those in use included."""

    def __init__(self, files: Files, mark: Mark, size: int, most: int, names: Iterable[str]) -> None:
        self._files = files
        self._mark = mark
        self.size = size
        self.most = most
        self._names = set(names)
        """Of all files, in use or not."""
        self._returned: deque[tuple[str, File, bool]] = deque()
        """Name, file, whether it is to be wiped."""
        self._beginning = mark.beginning
        """Where the journal begins when `_returned` are taken out."""
        self._ready: deque[tuple[str, File]] = deque()
        self._unwritten: deque[File] = deque()
        """Those that were made and perhaps not yet written to."""
        self.changed = Bell()
        """Rings when a file became ready."""
        self.stopping = False
        """Set for `replenish` and `fill` to return early."""

    @property
    def ready(self) -> int:
        """Files that can be taken now."""
        return len(self._ready)

    @property
    def pending(self) -> int:
        """Files that were given back and are not ready yet."""
        return len(self._returned)

    def take(self) -> tuple[str, File]:
        """A file to write to; there is one `ready`."""
        return self._ready.popleft()

    def release(self, name: str, file: File, beginning: Beginning) -> None:
        """Take back the journal's first file; it begins at `beginning` now."""
        self._returned.append((name, file, False))
        self._beginning = beginning

    def give_back(self, name: str, file: File) -> None:
        """Take back any file, of which nothing counts."""
        self._returned.append((name, file, True))

    async def replenish(self, ahead: int, *, beyond: bool = False) -> None:
        """Make ready what was given back, then make files until `ahead` are ready, or there are as many as may be, or
        more with `beyond`.

        Raises `OutOfSpace`, `Unavailable`; repeat it later.  Not to be cancelled: set `stopping`.
        """
        while self._returned and not self.stopping:
            covered = len(self._returned)
            await self._mark.move(self._beginning)
            for _ in range(covered):
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
        """Close the files that are not in use, and the mark."""
        for file in (*(file for _, file, _ in self._returned), *(file for _, file in self._ready)):
            file.close()
        self._returned.clear()
        self._ready.clear()
        self._mark.close()

    def _is_ready(self, file: File) -> bool:
        return not self.stopping and any(file is ready for _, ready in self._ready)

    async def _recycle(self) -> None:
        name, file, wipe = self._returned[0]
        if file.size != self.size or len(self._names) > self.most:
            await self._discard()
            return
        try:
            if wipe:
                file.write(0, (_WIPED,))
                await file.sync()
        except DiskError:
            await self._discard()
            raise
        self._returned.popleft()
        self._ready.append((name, file))
        self.changed.ring()

    async def _discard(self) -> None:
        name, file, _ = self._returned[0]
        await self._files.remove(name)
        self._returned.popleft()
        self._names.discard(name)
        file.close()


def file_name(slot: int) -> str:
    """Name of a journal's file.  It says nothing of its place in the journal; the header does."""
    return f"journal-{slot:04d}"


def is_file_name(name: str) -> bool:
    """Whether it can be `file_name`'s."""
    return name.startswith("journal-") and name[8:].isdigit()
