"""`memory:`, disks in memory: as large as disks can be, costing what was written to them, gone with the process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from sortedcontainers import SortedDict

from g2disk.disk import Buffer, Disk, DiskInfo, Done, Extent, coalesce
from g2disk.disk.identity import new_identity
from g2disk.errors import DiskError, Exists, NotFound, OutOfRange, OutOfSpace
from g2disk.request import EXTENTS, READ, TRIM, WRITE, ZERO, Request
from g2disk.stores.chunks import CHUNK, PAGE, Chunk, Pool
from g2disk.stores.store import NO_OPTIONS, DiskEntry, Store, without_options
from g2disk.units import check_disk_name, check_disk_size

_ZEROES = memoryview(bytes(CHUNK))
_SMALL = 32 << 10
"""Bytes up to which copying is cheaper than making a view."""

_MOST_EXTENTS = 1024
"""Extents in one answer, and chunks looked at for it: so an answer takes milliseconds, whatever was asked."""


class MemoryDisk(Disk):
    """A sparse disk in memory.

    Only written pages take up memory; trim and zero give them back.  `zero` does the same with `may_trim` and without:
    memory knows no allocation ahead of writing.  Nothing is durable, so `flush` and FUA do nothing, and each object is
    a disk of its own, with its own identity.

    Every method does its work without waiting, so calls never overlap and cancellation finds nothing half done.
    """

    def __init__(self, size: int, description: str = "") -> None:
        self._chunks = SortedDict()
        self._chunk: Callable[[int], Chunk | None] = self._chunks.get
        self._pool = Pool()
        self._pages = 0
        self._gone: DiskError | None = None
        self._identity = new_identity()
        self._instance = new_identity()
        self._description = description
        self.size = self._limit = check_disk_size(size)
        self._info = self._describe()

    @property
    def allocated(self) -> int:
        """Bytes of memory that hold written data."""
        return self._pages * PAGE

    @property
    def chunks(self) -> int:
        """The number of chunks of address space in use: what trim, and reads and extents of a range, depend on."""
        return len(self._chunks)

    def info(self) -> DiskInfo:
        """The disk as it is now."""
        return self._info

    async def read(self, offset: int, length: int) -> Buffer:
        """See `Disk.read`.  A large result inside one chunk is a view of it."""
        return self._load(offset, length)

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        """See `Disk.write`.  Raises `OutOfSpace` where the system refuses more memory."""
        self._store(offset, data)

    async def trim(self, offset: int, length: int, fua: bool = False) -> None:
        """See `Disk.trim`.  The range reads as zeroes; time is taken for what was written, not for the range."""
        self._discard(offset, length)

    async def zero(
        self, offset: int, length: int, fua: bool = False, may_trim: bool = True, fast: bool = False
    ) -> None:
        """See `Disk.zero`.  Always fast, and always gives the memory back."""
        self._discard(offset, length)

    async def extents(self, offset: int, length: int) -> list[Extent]:
        """See `Disk.extents`."""
        return self._states(offset, length)

    def submit(self, requests: list[Request], done: Done) -> list[Request]:
        """See `Disk.submit`.  All are done at once."""
        for request in requests:
            operation = request.operation
            try:
                if operation == READ:
                    request.data = self._load(request.offset, request.length)
                elif operation == WRITE:
                    self._store(request.offset, request.data)
                elif operation in (TRIM, ZERO):
                    self._discard(request.offset, request.length)
                elif operation == EXTENTS:
                    request.data = self._states(request.offset, request.length)
            except DiskError as error:
                request.error = error
            except MemoryError:
                request.error = OutOfSpace(f"no memory for {request.length} bytes; ask for less at once")
        done(requests)
        return []

    def _load(self, offset: int, length: int) -> Buffer:
        stop = (offset & (CHUNK - 1)) + length
        if offset + length > self._limit:
            raise self._refusal(offset, length)
        if stop > CHUNK:
            return self._gather(offset, length)
        chunk = self._chunk(offset // CHUNK)
        if chunk is None:
            return _ZEROES[:length]
        if length <= _SMALL:
            return chunk.copy(stop - length, stop)
        return chunk.view(stop - length, stop)

    def _store(self, offset: int, data: Buffer) -> None:
        length = len(data)
        start = offset & (CHUNK - 1)
        if offset + length > self._limit:
            raise self._refusal(offset, length)
        if start + length <= CHUNK:
            self._put(offset // CHUNK, start, data)
            return
        view = memoryview(data)
        done = 0
        while done < length:
            piece = view[done : done + CHUNK - start]
            self._put((offset + done) // CHUNK, start, piece)
            done += len(piece)
            start = 0

    def _discard(self, offset: int, length: int) -> None:
        if offset + length > self._limit:
            raise self._refusal(offset, length)
        self._clear(offset, offset + length)

    def _states(self, offset: int, length: int) -> list[Extent]:
        end = offset + length
        if end > self._limit:
            raise self._refusal(offset, length)
        found: list[Extent] = []
        at = offset
        for looked, index in enumerate(self._indices(offset, end)):
            base = index * CHUNK
            if base > at:
                found.append(Extent(at, base - at, hole=True, zero=True))
                at = base
            if looked == _MOST_EXTENTS or len(found) > _MOST_EXTENTS:
                break
            for stop, data in self._chunks[index].runs():
                if base + stop > at:
                    until = min(base + stop, end)
                    found.append(Extent(at, until - at, hole=not data, zero=not data))
                    at = until
                    if at == end:
                        break
        else:
            if at < end:
                found.append(Extent(at, end - at, hole=True, zero=True))
        return coalesce(found)

    def resize(self, size: int) -> None:
        """Make the disk `size` bytes long; what is cut off is gone, what is added is zeroes."""
        if size < self.size:
            self._clear(size, self.size)
        self.size = self._limit = size
        self._info = self._describe()

    def vanish(self, reason: DiskError) -> None:
        """Give back all memory; every later request raises the like of `reason`."""
        self._clear(0, self.size)
        self._gone = reason
        self._limit = -1

    async def close(self) -> None:
        """Give back all memory."""
        self.vanish(NotFound("the disk was closed"))

    def _describe(self) -> DiskInfo:
        return DiskInfo(
            size=self.size,
            identity=self._identity,
            instance=self._instance,
            description=self._description or "memory",
            trim=True,
            zero=True,
            fast_zero=True,
            extents=True,
        )

    def _put(self, index: int, start: int, data: Buffer) -> None:
        chunk = self._chunk(index)
        if chunk is None:
            chunk = self._pool.take(-(-self.size // CHUNK))
            self._pages += chunk.write(start, data)
            self._chunks[index] = chunk
        else:
            self._pages += chunk.write(start, data)

    def _gather(self, offset: int, length: int) -> Buffer:
        end = offset + length
        numbers = range(offset // CHUNK, (end - 1) // CHUNK + 1)
        if next(iter(self._indices(offset, end)), None) is None:
            return bytes(length)  # zeroes that the system makes up as they are read
        pieces: list[memoryview] = []
        for index in numbers:
            start, stop = max(offset - index * CHUNK, 0), min(end - index * CHUNK, CHUNK)
            chunk = self._chunk(index)
            pieces.append(_ZEROES[: stop - start] if chunk is None else chunk.view(start, stop))
        return b"".join(pieces)

    def _indices(self, offset: int, end: int) -> Iterable[int]:
        """The numbers of the chunks that exist in a range, in order."""
        indices: Iterable[int] = self._chunks.irange(offset // CHUNK, -(-end // CHUNK), inclusive=(True, False))
        return indices

    def _clear(self, offset: int, end: int) -> None:
        if offset == 0 and end == self.size:
            self._chunks.clear()
            self._pages = 0
            return
        for index in list(self._indices(offset, end)):
            chunk = self._chunks[index]
            base = index * CHUNK
            self._pages -= chunk.clear(max(offset - base, 0), min(end - base, CHUNK))
            if not chunk.written:
                del self._chunks[index]

    def _refusal(self, offset: int, length: int) -> DiskError:
        if self._gone is not None:
            return type(self._gone)(*self._gone.args)
        return OutOfRange(f"bytes {offset} to {offset + length} reach beyond the disk's end at {self.size}")


class MemoryStore(Store):
    """Any number of memory disks."""

    def __init__(self, url: str = "memory:") -> None:
        self.url = url
        self._disks: dict[str, MemoryDisk] = {}

    async def list(self) -> Sequence[DiskEntry]:
        """See `Store.list`."""
        return [self._entry(name) for name in sorted(self._disks)]

    async def get(self, name: str) -> DiskEntry:
        """See `Store.get`."""
        self._find(name)
        return self._entry(name)

    async def open(self, name: str) -> Disk:
        """See `Store.open`."""
        return self._find(name)

    async def create(
        self, name: str, size: int, description: str = "", options: Mapping[str, str] = NO_OPTIONS
    ) -> DiskEntry:
        """See `Store.create`."""
        without_options(self.url, options)
        check_disk_name(name)
        check_disk_size(size)
        if name in self._disks:
            raise Exists(f"there is a disk {name!r} in {self.url} already; take another name, or delete it first")
        self._disks[name] = MemoryDisk(size, description)
        return self._entry(name)

    async def resize(self, name: str, size: int) -> DiskEntry:
        """See `Store.resize`."""
        disk = self._find(name)
        disk.resize(check_disk_size(size))
        return self._entry(name)

    async def delete(self, name: str) -> None:
        """See `Store.delete`."""
        self._find(name)
        self._disks.pop(name).vanish(NotFound(f"the disk {name!r} of {self.url} was deleted"))

    async def close(self) -> None:
        """See `Store.close`."""
        for disk in self._disks.values():
            await disk.close()
        self._disks.clear()

    def _find(self, name: str) -> MemoryDisk:
        disk = self._disks.get(name)
        if disk is None:
            raise NotFound(f"there is no disk {name!r} in {self.url}; `g2disk list` shows which there are")
        return disk

    def _entry(self, name: str) -> DiskEntry:
        disk = self._disks[name]
        info = disk.info()
        return DiskEntry(
            name=name,
            size=info.size,
            identity=info.identity,
            allocated=disk.allocated,
            description=info.description,
        )
