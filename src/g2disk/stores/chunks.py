"""Memory for memory disks: chunks that cost nothing until they are written, and give back what is cleared.

Chunks lie in arenas, large mappings of anonymous memory, because the kernel limits the number of mappings
(vm.max_map_count) and holes between mappings use it up.  The kernel adds a page to an arena when it is first written,
and takes it back when it is told to; an arena without chunks is unmapped.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import weakref
from collections.abc import Iterator

from g2disk.disk import Buffer
from g2disk.errors import from_os_error
from g2disk.units import MIB

CHUNK = MIB
"""Bytes in a chunk.  A scattered page also costs its share of a page table, which serves 2 MiB, and about a kilobyte
of Python objects; larger chunks make that dearer, smaller ones split large requests more often."""

PAGE = mmap.PAGESIZE
"""Bytes that the kernel adds or takes back at once."""

_FULL = (1 << (CHUNK // PAGE)) - 1
_ZEROES = bytes(PAGE)
_FEWEST, _MOST = 64, 1024
"""Chunks in an arena.  Small ones first, for those who limit address space; no more than 64 TiB of chunks, each with a
page or more, fit into the kernel's default of 65530 mappings."""

_MAP_NORESERVE = 0x4000
_MADV_POPULATE_WRITE = 23
_WORTH_POPULATING = 64 << 10
"""Writes of this many bytes get their pages from the kernel in one call (Linux 5.14) instead of one fault a page."""


class Chunk(ctypes.Array[ctypes.c_char]):
    """`CHUNK` bytes, zeroes at first.

    A chunk lives as long as anything refers to it, views of its bytes included; its place is reused only then.  So a
    view that somebody kept may show later writes to the same range, but never another range's bytes.
    """

    _type_ = ctypes.c_char
    _length_ = CHUNK
    __slots__ = ("_arena", "_base", "_memory", "written")

    _arena: _Arena
    _base: int
    _memory: mmap.mmap
    written: int
    """A bit for each page, the lowest for the first: set when it takes up memory."""

    def copy(self, start: int, stop: int) -> bytes:
        """The bytes from `start` to `stop`, copied."""
        return self._memory[self._base + start : self._base + stop]

    def view(self, start: int, stop: int) -> memoryview:
        """The bytes from `start` to `stop`, themselves."""
        return memoryview(self).cast("B")[start:stop].toreadonly()

    def write(self, start: int, data: Buffer) -> int:
        """Store `data` from `start` on; returns the number of pages that were added."""
        stop = start + len(data)
        first = start // PAGE
        before = self.written
        after = before | ((1 << ((stop - 1) // PAGE - first + 1)) - 1) << first
        if after == before:
            self._memory[self._base + start : self._base + stop] = data
            return 0
        if len(data) >= _WORTH_POPULATING:
            self._arena.populate(self._base + first * PAGE, self._base + stop)
        self._memory[self._base + start : self._base + stop] = data
        self.written = after
        return after.bit_count() - before.bit_count()

    def clear(self, start: int, stop: int) -> int:
        """Make the bytes from `start` to `stop` zeroes; returns the number of pages that were given back."""
        first, last = -(-start // PAGE), stop // PAGE
        if first > last:
            self._blank(start, stop)
            return 0
        if start < first * PAGE:
            self._blank(start, first * PAGE)
        if last * PAGE < stop:
            self._blank(last * PAGE, stop)
        pages = self.written & ((1 << (last - first)) - 1) << first
        if pages:
            self._memory.madvise(mmap.MADV_DONTNEED, self._base + first * PAGE, (last - first) * PAGE)
            self.written &= ~pages
        return pages.bit_count()

    def _blank(self, start: int, stop: int) -> None:
        # The range lies in one page and does not fill it, so the page stays.
        if self.written >> (start // PAGE) & 1:
            self._memory[self._base + start : self._base + stop] = _ZEROES[: stop - start]

    def runs(self) -> Iterator[tuple[int, bool]]:
        """The chunk's parts in order, as (end in bytes, written or not)."""
        if self.written == _FULL:
            yield CHUNK, True
            return
        rest, page, state = self.written, 0, bool(self.written & 1)
        while page < CHUNK // PAGE:
            changed = ~rest if state else rest
            run = (changed & -changed).bit_length() - 1 if changed else CHUNK // PAGE
            page = min(page + run, CHUNK // PAGE)
            yield page * PAGE, state
            rest >>= run
            state = not state

    def __del__(self) -> None:
        if self.written:
            self._memory.madvise(mmap.MADV_DONTNEED, self._base, CHUNK)
        self._arena.give_back(self._base)


class _Arena:
    """One mapping, cut into chunks."""

    __slots__ = ("__weakref__", "_chunks", "_pool", "_populates", "free", "memory")

    def __init__(self, chunks: int, pool: Pool) -> None:
        self.memory = mmap.mmap(-1, chunks * CHUNK, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE)
        try:  # A huge page would make one written byte cost 2 MiB.
            self.memory.madvise(mmap.MADV_NOHUGEPAGE)
        except OSError as error:
            if error.errno != errno.EINVAL:  # this kernel has no huge pages
                raise
        self.free = list(range((chunks - 1) * CHUNK, -1, -CHUNK))
        self._chunks = chunks
        self._pool = weakref.ref(pool)
        self._populates = True

    def populate(self, start: int, stop: int) -> None:
        """Have the kernel add the pages of a range that will be written."""
        if self._populates:
            try:
                self.memory.madvise(_MADV_POPULATE_WRITE, start, stop - start)
            except OSError:  # before Linux 5.14, or short of memory: page faults decide
                self._populates = False

    def give_back(self, base: int) -> None:
        # Runs in whatever thread drops the last view.  Each step is one atomic operation of a list or a dict; should a
        # chunk be taken in between, it keeps the arena alive.
        self.free.append(base)
        pool = self._pool()
        if pool is None:
            return
        if len(self.free) == self._chunks:
            pool.arenas.pop(self, None)
        else:
            pool.arenas[self] = None


class Pool:
    """Where the chunks of one disk come from."""

    def __init__(self) -> None:
        self.arenas: dict[_Arena, None] = {}
        """Those with free chunks, except for the wholly free."""
        self._next = _FEWEST

    def take(self, most: int) -> Chunk:
        """A chunk of zeroes; `most` is the number of chunks that will ever be needed.  Raises `OutOfSpace`."""
        while True:
            try:
                arena = next(reversed(self.arenas))
            except StopIteration:
                arena = self._arena(most)
            try:
                base = arena.free.pop()
            except IndexError:
                self.arenas.pop(arena, None)
                continue
            chunk = Chunk.from_buffer(arena.memory, base)
            chunk._arena, chunk._base, chunk._memory, chunk.written = arena, base, arena.memory, 0  # noqa: SLF001
            return chunk

    def _arena(self, most: int) -> _Arena:
        try:
            arena = _Arena(min(self._next, most), self)
        except OSError as error:
            raise from_os_error(error, "getting memory for a memory disk") from error
        self._next = min(self._next * 2, _MOST)
        self.arenas[arena] = None
        return arena
