"""A correct disk, and disks that each break one promise: what `check_disk` is held against."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

from g2disk.disk import Buffer, Disk, DiskInfo, Extent, coalesce
from g2disk.disk.identity import new_identity
from g2disk.disk.layers import Checked
from g2disk.errors import Busy, Corrupt, Internal, Unsupported
from g2disk.testing import turns
from g2disk.units import MAXIMUM_DISK_SIZE, MIB

PAGE = 4096


class Ram(Disk):
    """A correct disk with every capability, each of whose requests takes some turns of the event loop."""

    size = 6 * MIB

    def __init__(self) -> None:
        self.pages: dict[int, bytearray] = {}

    def get(self, offset: int, length: int) -> bytes:
        parts = []
        for number, start, stop in _split(offset, length):
            page = self.pages.get(number)
            parts.append(page[start:stop] if page else bytes(stop - start))
        return b"".join(parts)

    def put(self, offset: int, data: Buffer) -> None:
        view = memoryview(data)
        for number, start, stop in _split(offset, len(data)):
            at = number * PAGE + start - offset
            self.pages.setdefault(number, bytearray(PAGE))[start:stop] = view[at : at + stop - start]

    def clear(self, offset: int, length: int) -> None:
        end = offset + length
        for number in [number for number in self.pages if offset < (number + 1) * PAGE and number * PAGE < end]:
            start, stop = max(offset - number * PAGE, 0), min(end - number * PAGE, PAGE)
            if stop - start == PAGE:
                del self.pages[number]
            else:
                self.pages[number][start:stop] = bytes(stop - start)

    async def read(self, offset: int, length: int) -> Buffer:
        await turns(2)
        return self.get(offset, length)

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        await turns(2)
        self.put(offset, data)

    async def flush(self) -> None:
        await turns(2)

    async def trim(self, offset: int, length: int, fua: bool = False) -> None:
        await turns(2)
        self.clear(offset, length)

    async def zero(
        self, offset: int, length: int, fua: bool = False, may_trim: bool = True, fast: bool = False
    ) -> None:
        await turns(2)
        self.clear(offset, length)

    async def extents(self, offset: int, length: int) -> list[Extent]:
        await turns(2)
        at, end, found = offset, offset + length, []
        for number in sorted(self.pages):
            start, stop = max(number * PAGE, at), min((number + 1) * PAGE, end)
            if start < stop:
                if at < start:
                    found.append(Extent(at, start - at, hole=True, zero=True))
                found.append(Extent(start, stop - start))
                at = stop
        if at < end:
            found.append(Extent(at, end - at, hole=True, zero=True))
        return coalesce(found)

    async def cache(self, offset: int, length: int) -> None:
        await turns(2)


def _split(offset: int, length: int) -> list[tuple[int, int, int]]:
    """The range as (number of the page, start and stop within it)."""
    end = offset + length
    first, last = offset // PAGE, (end - 1) // PAGE
    return [(n, max(offset - n * PAGE, 0), min(end - n * PAGE, PAGE)) for n in range(first, last + 1)]


class Giant(Ram):
    """A correct disk, as large as disks can be."""

    size = MAXIMUM_DISK_SIZE


class Tiny(Ram):
    """A correct disk, as small as disks can be."""

    size = 512


class Blocky(Ram):
    """A correct disk that takes whole blocks of 64 KiB, at most two in a request."""

    minimum_block = 65536

    def info(self) -> DiskInfo:
        return replace(super().info(), maximum_request=2 * 65536)

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        assert offset % 65536 == len(data) % 65536 == 0 < len(data) <= 2 * 65536
        await super().write(offset, data, fua)


class Minimal(Disk):
    """A correct disk of the fewest lines."""

    size = MIB

    def __init__(self) -> None:
        self.bytes = bytearray(self.size)

    async def read(self, offset: int, length: int) -> Buffer:
        return memoryview(self.bytes)[offset : offset + length]

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        self.bytes[offset : offset + len(data)] = data


class Rom(Disk):
    """A correct disk that cannot be written."""

    size = 3 * MIB + 512

    async def read(self, offset: int, length: int) -> Buffer:
        first = offset % 251
        return (bytes(range(251)) * (length // 251 + 2))[first : first + length]


class ConstantRom(Rom):
    """A correct disk that cannot be written and is always the same."""

    identity = "rom"

    async def read(self, offset: int, length: int) -> Buffer:
        return b"\x2a" * length


class Medium:
    """What a `Durable` leaves behind when it is closed."""

    def __init__(self) -> None:
        self.stable = Ram()


class Durable(Ram):
    """A correct disk that keeps what was flushed, and loses the rest when it is closed."""

    identity = "durable"

    def __init__(self, medium: Medium) -> None:
        self.medium = medium
        self.pages = {number: bytearray(page) for number, page in medium.stable.pages.items()}

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        await super().write(offset, data)
        if fua:
            self.medium.stable.put(offset, data)

    async def zero(
        self, offset: int, length: int, fua: bool = False, may_trim: bool = True, fast: bool = False
    ) -> None:
        await super().zero(offset, length)
        if fua:
            self.medium.stable.clear(offset, length)

    async def flush(self) -> None:
        await super().flush()
        self.medium.stable.pages = {number: bytearray(page) for number, page in self.pages.items()}


CORRECT: list[type[Disk]] = [Ram, Giant, Tiny, Blocky, Minimal, Rom, ConstantRom]

MUTANTS: list[tuple[str, type[Disk] | Callable[[Medium], Disk]]] = []
"""Name of the promise, and a class whose objects break it.  A disk that takes a `Medium` is a durable one."""


def breaks(promise: str) -> Callable[[type[Disk]], type[Disk]]:
    def register(kind: type[Disk]) -> type[Disk]:
        MUTANTS.append((promise, kind))
        return kind

    return register


@breaks("info_is_sane_and_stable")
class OddSize(Ram):
    size = 6 * MIB + 1


@breaks("info_is_sane_and_stable")
class TooLarge(Ram):
    size = 1 << 63


@breaks("info_is_sane_and_stable")
class OddBlock(Ram):
    minimum_block = 768


@breaks("info_is_sane_and_stable")
class AnotherDiskAtEveryCall(Ram):
    def info(self) -> DiskInfo:
        return replace(super().info(), identity=new_identity())


@breaks("reads_return_exactly_the_range")
class ShortRead(Ram):
    async def read(self, offset: int, length: int) -> Buffer:
        data = self.get(offset, length)
        return data[: PAGE - offset % PAGE]


@breaks("reads_return_exactly_the_range")
class LongRead(Ram):
    async def read(self, offset: int, length: int) -> Buffer:
        return self.get(offset, (length + 511) // 512 * 512)


@breaks("reads_return_exactly_the_range")
class ReadOfWholeSectors(Ram):
    async def read(self, offset: int, length: int) -> Buffer:
        return self.get(offset - offset % 512, length)


@breaks("reads_return_exactly_the_range")
class ReadOfWideNumbers(Ram):
    async def read(self, offset: int, length: int) -> Buffer:
        return memoryview(self.get(offset, length)).cast("c")  # type: ignore[return-value]


@breaks("written_bytes_are_read_back")
class OddByteLost(Ram):
    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        await super().write(offset, data[: len(data) - len(data) % 2], fua)


@breaks("written_bytes_are_read_back")
class OnlyBytes(Ram):
    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        if isinstance(data, bytearray):
            raise TypeError("bytes wanted")
        await super().write(offset, data, fua)


@breaks("writes_leave_their_neighbours")
class WriteOfWholeSectors(Ram):
    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        end = offset + len(data)
        self.clear(end, -end % 512)
        await super().write(offset, data, fua)


@breaks("buffers_are_not_kept")
class KeptBuffer(Ram):
    def __init__(self) -> None:
        super().__init__()
        self.kept: list[tuple[int, Buffer]] = []

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        await super().write(offset, data, fua)
        self.kept = [(offset, data)]

    async def read(self, offset: int, length: int) -> Buffer:
        for write in self.kept:
            self.put(*write)
        return await super().read(offset, length)


@breaks("wrong_ranges_are_refused")
class OverflowingBorder(Checked):
    def __init__(self) -> None:
        super().__init__(Ram())

    def _check(self, offset: int, length: int, change: str = "") -> DiskInfo:
        wrapped = (offset + length) % (1 << 64)
        return super()._check(0, wrapped, change)


@breaks("read_only_disks_refuse_changes")
class WritableRom(Ram):
    def info(self) -> DiskInfo:
        return replace(super().info(), read_only=True)


@breaks("both_ends_and_the_middle_work")
class OffsetsOf32Bits(Giant):
    async def read(self, offset: int, length: int) -> Buffer:
        return await super().read(offset % (1 << 32), length)

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        await super().write(offset % (1 << 32), data, fua)


@breaks("requests_up_to_the_maximum_work")
class FourMebibytesAtMost(Ram):
    async def read(self, offset: int, length: int) -> Buffer:
        if length >= 4 * MIB:
            raise Internal("message larger than max")
        return await super().read(offset, length)


@breaks("requests_up_to_the_maximum_work")
class ZeroLengthOf32Bits(Giant):
    async def zero(
        self, offset: int, length: int, fua: bool = False, may_trim: bool = True, fast: bool = False
    ) -> None:
        await super().zero(offset, length % (1 << 32))


@breaks("zeroed_ranges_read_as_zeroes")
class ZeroOfWholePages(Ram):
    async def zero(
        self, offset: int, length: int, fua: bool = False, may_trim: bool = True, fast: bool = False
    ) -> None:
        start, end = -(-offset // PAGE) * PAGE, (offset + length) // PAGE * PAGE
        await super().zero(start, max(end - start, 0))


@breaks("zeroed_ranges_read_as_zeroes")
class ZeroThatKeepsSpaceDoesNothing(Ram):
    async def zero(
        self, offset: int, length: int, fua: bool = False, may_trim: bool = True, fast: bool = False
    ) -> None:
        if may_trim:
            await super().zero(offset, length)


@breaks("zeroes_leave_their_neighbours")
class ZeroOfTooManyPages(Ram):
    async def zero(
        self, offset: int, length: int, fua: bool = False, may_trim: bool = True, fast: bool = False
    ) -> None:
        start, end = offset // PAGE * PAGE, -(-(offset + length) // PAGE) * PAGE
        await super().zero(start, end - start)


@breaks("fast_zero_works_or_changes_nothing")
class FastZeroGivesUpHalfway(Ram):
    async def zero(
        self, offset: int, length: int, fua: bool = False, may_trim: bool = True, fast: bool = False
    ) -> None:
        await super().zero(offset, -(-length // 2) if fast else length)
        if fast:
            raise Unsupported("not fast enough")


@breaks("trims_leave_their_neighbours")
class TrimOfTooManyPages(Ram):
    async def trim(self, offset: int, length: int, fua: bool = False) -> None:
        start, end = offset // PAGE * PAGE, -(-(offset + length) // PAGE) * PAGE
        await super().trim(start, end - start)


class Tombstones(Ram):
    def __init__(self) -> None:
        super().__init__()
        self.trimmed: set[int] = set()

    async def trim(self, offset: int, length: int, fua: bool = False) -> None:
        await super().trim(offset, length)
        self.trimmed |= {n for n, start, stop in _split(offset, min(length, MIB)) if stop - start == PAGE}

    async def zero(
        self, offset: int, length: int, fua: bool = False, may_trim: bool = True, fast: bool = False
    ) -> None:
        await super().zero(offset, length)
        self.trimmed.clear()

    def dead(self, offset: int, length: int) -> bool:
        return any(number in self.trimmed for number, _, _ in _split(offset, length))


@breaks("trimmed_ranges_can_be_used_again")
class TrimmedBytesCannotBeRead(Tombstones):
    async def read(self, offset: int, length: int) -> Buffer:
        if self.dead(offset, length):
            raise Corrupt("nothing there")
        return await super().read(offset, length)

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        await super().write(offset, data)
        self.trimmed.clear()


@breaks("trimmed_ranges_can_be_used_again")
class WritesToTrimmedBytesAreLost(Tombstones):
    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        if self.dead(offset, len(data)):
            self.trimmed.clear()
        else:
            await super().write(offset, data)


@breaks("fua_requests_do_what_plain_ones_do")
class FuaKills(Ram):
    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        if fua:
            raise Internal("unknown flag")
        await super().write(offset, data)


@breaks("fua_requests_do_what_plain_ones_do")
class FuaOnlyFlushes(Ram):
    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        await (self.flush() if fua else super().write(offset, data))


@breaks("extents_follow_each_other")
class NoExtents(Ram):
    async def extents(self, offset: int, length: int) -> list[Extent]:
        return []


@breaks("extents_follow_each_other")
class ExtentsWithoutHoles(Ram):
    async def extents(self, offset: int, length: int) -> list[Extent]:
        found = await super().extents(offset, length)
        return [extent for extent in found if not extent.hole] or found


@breaks("extents_follow_each_other")
class ExtentsOfWholePages(Ram):
    async def extents(self, offset: int, length: int) -> list[Extent]:
        return await super().extents(offset, -(-length // PAGE) * PAGE)


@breaks("extents_follow_each_other")
class ExtentsFromPages(Ram):
    async def extents(self, offset: int, length: int) -> list[Extent]:
        return await super().extents(offset // PAGE * PAGE, length)


@breaks("extents_follow_each_other")
class EmptyExtents(Ram):
    async def extents(self, offset: int, length: int) -> list[Extent]:
        return [Extent(offset, 0), *await super().extents(offset, length)]


@breaks("extents_tell_the_truth")
class StaleExtents(Ram):
    def __init__(self) -> None:
        super().__init__()
        self.known: dict[tuple[int, int], list[Extent]] = {}

    async def extents(self, offset: int, length: int) -> list[Extent]:
        if (offset, length) not in self.known:
            self.known[offset, length] = await super().extents(offset, length)
        return self.known[offset, length]


@breaks("extents_tell_the_truth")
class SmallWritesAreZero(Ram):
    async def extents(self, offset: int, length: int) -> list[Extent]:
        found = await super().extents(offset, length)
        return [replace(extent, zero=extent.zero or extent.length <= PAGE) for extent in found]


@breaks("cache_changes_nothing")
class CacheIsNeverRefreshed(Ram):
    def __init__(self) -> None:
        super().__init__()
        self.cached: dict[tuple[int, int], bytes] = {}

    async def cache(self, offset: int, length: int) -> None:
        self.cached[offset, length] = self.get(offset, length)

    async def read(self, offset: int, length: int) -> Buffer:
        for (start, size), data in self.cached.items():
            if start <= offset < start + size:
                self.put(start, data)
        return await super().read(offset, length)


@breaks("disjoint_changes_never_disturb_each_other")
class ReadModifyWrite(Ram):
    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        start, end = offset // PAGE * PAGE, -(-(offset + len(data)) // PAGE) * PAGE
        pages = bytearray(self.get(start, end - start))
        await turns(1)
        pages[offset - start : offset - start + len(data)] = data
        await super().write(start, pages)


@breaks("changes_are_seen_when_they_have_returned")
class ReadCacheFilledTooLate(Ram):
    def __init__(self) -> None:
        super().__init__()
        self.cached: dict[tuple[int, int], Buffer] = {}

    async def read(self, offset: int, length: int) -> Buffer:
        if (offset, length) not in self.cached:
            data = self.get(offset, length)
            await turns(3)
            self.cached[offset, length] = data
        return self.cached[offset, length]

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        self.cached.clear()
        await super().write(offset, data)

    async def trim(self, offset: int, length: int, fua: bool = False) -> None:
        self.cached.clear()
        await super().trim(offset, length)

    async def zero(
        self, offset: int, length: int, fua: bool = False, may_trim: bool = True, fast: bool = False
    ) -> None:
        self.cached.clear()
        await super().zero(offset, length)


@breaks("reads_see_the_old_or_the_new_bytes")
class WriteErasesFirst(Ram):
    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        old = self.get(offset, len(data))
        self.clear(offset, len(data))
        try:
            await super().write(offset, data)
        except asyncio.CancelledError:
            self.put(offset, old)
            raise


@breaks("flush_runs_at_any_time")
class OneFlushOnly(Ram):
    flushing = False

    async def flush(self) -> None:
        if self.flushing:
            raise Busy("a flush is running")
        self.flushing = True
        try:
            await super().flush()
        finally:
            self.flushing = False


@breaks("flush_runs_at_any_time")
class FlushLosesNewerWrites(Ram):
    async def flush(self) -> None:
        snapshot = {number: bytearray(page) for number, page in self.pages.items()}
        await turns(6)
        self.pages = snapshot


@breaks("cancelled_writes_leave_their_neighbours")
class CancelledWriteClearsPages(Ram):
    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        try:
            await super().write(offset, data)
        except asyncio.CancelledError:
            start, end = offset // PAGE * PAGE, -(-(offset + len(data)) // PAGE) * PAGE
            self.clear(start, offset - start)
            self.clear(offset + len(data), end - offset - len(data))
            raise


@breaks("cancelled_writes_leave_their_neighbours")
class CancelledWriteClearsItself(Ram):
    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        try:
            await super().write(offset, data)
        except asyncio.CancelledError:
            self.clear(offset, len(data))
            raise


@breaks("cancelled_writes_do_not_come_late")
class CancelledWriteStaysQueued(Ram):
    def __init__(self) -> None:
        super().__init__()
        self.queue: list[tuple[int, Buffer]] = []

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        try:
            await super().write(offset, data)
        except asyncio.CancelledError:
            self.queue.append((offset, bytes(data)))
            raise

    async def flush(self) -> None:
        while self.queue:
            self.put(*self.queue.pop())
        await super().flush()


@breaks("the_disk_works_on_after_cancellations")
class BusyForEver(Ram):
    busy = False

    async def trim(self, offset: int, length: int, fua: bool = False) -> None:
        self.busy = True
        await super().trim(offset, length)
        self.busy = False

    async def read(self, offset: int, length: int) -> Buffer:
        if self.busy:
            raise Busy("a trim is running")
        return await super().read(offset, length)


@breaks("it_behaves_like_an_array_of_bytes")
class CacheForgetsTheOldest(Ram):
    """Keeps 40 dirty pages and forgets the one that was not used for the longest time."""

    def __init__(self) -> None:
        super().__init__()
        self.dirty: OrderedDict[int, None] = OrderedDict()

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        await super().write(offset, data)
        if len(data) < MIB:
            for number, _, _ in _split(offset, len(data)):
                self.dirty[number] = None
                self.dirty.move_to_end(number)
        while len(self.dirty) > 40:
            number, _ = self.dirty.popitem(last=False)
            self.clear(number * PAGE, PAGE)


@breaks("flushed_bytes_are_there_again")
class FlushDoesNothing(Durable):
    async def flush(self) -> None:
        await turns(1)


@breaks("fua_bytes_are_there_again")
class FuaIsIgnored(Durable):
    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        await super().write(offset, data)


@breaks("fua_bytes_are_there_again")
class FuaOfZeroIsIgnored(Durable):
    async def zero(
        self, offset: int, length: int, fua: bool = False, may_trim: bool = True, fast: bool = False
    ) -> None:
        await super().zero(offset, length)


@breaks("a_durable_disk_keeps_its_identity")
class NewNameEveryTime(Durable):
    def __init__(self, medium: Medium) -> None:
        super().__init__(medium)
        self.identity = new_identity()


@breaks("one_identity_means_the_same_bytes")
class OneNameForAllRamdisks(Ram):
    identity = "ramdisk"


@breaks("one_instance_means_nothing_was_lost")
class OneInstanceForEver(Durable):
    instance: ClassVar[str] = "same"

    def info(self) -> DiskInfo:
        return replace(super().info(), instance=self.instance)
