"""Promises about the disk's facts, its reads and its writes, one request at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

from g2disk.disk import MAXIMUM_RANGE, MAXIMUM_REQUEST, Buffer, DiskInfo
from g2disk.disk.layers import Checked
from g2disk.errors import DiskError, Invalid, OutOfRange, ReadOnly, Unsupported
from g2disk.testing.ground import PAGE, Ground, Window, together
from g2disk.units import GIB, KIB, MAXIMUM_DISK_SIZE, MIB, SECTOR


async def info_is_sane_and_stable(ground: Ground) -> None:
    """`info` gives numbers that a disk can have, and the same ones at every call."""
    first = ground.disk.info()
    for wrong in _impossible(first):
        ground.broken(f"info() says {wrong}")
    window = ground.window()
    await window.fill()
    await ground.disk.flush()
    await ground.disk.read(window.offset, ground.block)
    last = ground.disk.info()
    ground.require(last == first, f"info() said {first}, and after some requests {last}")


def _impossible(info: DiskInfo) -> Iterator[str]:
    if not 0 < info.size <= MAXIMUM_DISK_SIZE or info.size % SECTOR:
        yield f"size={info.size}, which is not a multiple of {SECTOR} from {SECTOR} to {MAXIMUM_DISK_SIZE}"
    block = info.minimum_block
    if not 0 < block <= 64 * KIB or block & (block - 1):
        yield f"minimum_block={block}, which is not a power of two up to 65536"
    elif info.size % block:
        yield f"size={info.size}, which is not a multiple of minimum_block={block}"
    if info.preferred_block < max(block, 1) or info.preferred_block & (info.preferred_block - 1):
        yield f"preferred_block={info.preferred_block}, which is not a power of two from minimum_block up"
    if not max(block, 1) <= info.maximum_request <= MAXIMUM_REQUEST:
        yield f"maximum_request={info.maximum_request}, which is not between minimum_block and {MAXIMUM_REQUEST}"
    if "\n" in info.description:
        yield f"description={info.description!r}, which is more than one line"


async def reads_return_exactly_the_range(ground: Ground) -> None:
    """A read returns exactly `length` bytes from `offset` on, at every alignment and however a range is split."""
    window = ground.window()
    await window.fill()
    whole = await _exactly(ground, window.offset, window.length)
    spans = window.spans(12 * ground.effort)
    for start, end in spans:
        part = await _exactly(ground, window.offset + start, end - start)
        where = f"read({window.offset + start}, {end - start})"
        ground.require(part == whole[start:end], f"{where} gave other bytes than one read of the whole window")
    parts = await together(*(_exactly(ground, window.offset + start, end - start) for start, end in spans))
    same = all(part == whole[start:end] for (start, end), part in zip(spans, parts, strict=True))
    ground.require(same, "reads that ran at once gave other bytes than one read of the whole window")


async def _exactly(ground: Ground, offset: int, length: int) -> bytes:
    parts = []
    for at, step in ground.pieces(offset, length):
        data = await ground.disk.read(at, step)
        known = isinstance(data, (bytes, bytearray, memoryview))
        ground.require(known, f"read({at}, {step}) gave {type(data).__name__}, not a Buffer")
        plain = not isinstance(data, memoryview) or (data.contiguous and data.format == "B")
        ground.require(plain, f"read({at}, {step}) gave a memoryview that is not contiguous or not of bytes")
        ground.require(len(data) == step, f"read({at}, {step}) gave {len(data)} bytes")
        parts.append(bytes(data))
    return b"".join(parts)


async def written_bytes_are_read_back(ground: Ground) -> None:
    """What was written is read back, at every alignment, from every kind of buffer."""
    window = ground.window()
    kinds: list[Callable[[bytes], Buffer]] = [bytes, bytearray, memoryview, lambda data: memoryview(bytearray(data))]
    for number, (start, end) in enumerate(window.spans(12 * ground.effort)):
        make = kinds[number % len(kinds)]
        for at, step in ground.pieces(window.offset + start, end - start):
            data = ground.noise(step)
            await ground.disk.write(at, make(data))
            await ground.expect(at, data, f"write({at}, {step} bytes)")


async def writes_leave_their_neighbours(ground: Ground) -> None:
    """A write changes no byte outside its range, however it is aligned."""
    window = ground.window()
    await window.fill()
    for start, end in window.spans(8 * ground.effort):
        await window.write(start, end)
        await window.check_around(start, end)


async def buffers_are_not_kept(ground: Ground) -> None:
    """When `write` has returned, its buffer is the caller's again: changing it does not change the disk."""
    window = ground.window()
    for start, end in window.spans(4):
        for at, step in ground.pieces(window.offset + start, end - start):
            data = ground.noise(step)
            buffer = bytearray(data)
            await ground.disk.write(at, memoryview(buffer))
            buffer[:] = bytes(step)
            await ground.expect(at, data, f"write({at}, {step} bytes) and a change of the buffer that was given")
            await ground.disk.flush()
            await ground.expect(at, data, f"write({at}, {step} bytes), a change of the buffer and a flush")


async def wrong_ranges_are_refused(ground: Ground) -> None:
    """Behind `Checked`, ranges beyond the end, negative or not aligned raise `OutOfRange` or `Invalid`, at no cost."""
    border = ground.disk if isinstance(ground.disk, Checked) else Checked(ground.disk)
    ends = ground.windows(PAGE)
    for window in ends:
        await window.fill()
    kinds: tuple[type[DiskError], ...] = (OutOfRange, Invalid)
    for offset, length in _wrong_ranges(ground.info.size, ground.block):
        where = f"({offset}, {length})"
        await ground.refusal(border.read(offset, length), f"read{where}", *kinds)
        await ground.refusal(border.extents(offset, length), f"extents{where}", *kinds)
        await ground.refusal(border.cache(offset, length), f"cache{where}", *kinds)
        await ground.refusal(border.trim(offset, length), f"trim{where}", *kinds, ReadOnly)
        await ground.refusal(border.zero(offset, length), f"zero{where}", *kinds, ReadOnly)
        if 0 < length <= MIB:
            await ground.refusal(border.write(offset, b"\xff" * length), f"write{where}", *kinds, ReadOnly)
    for window in ends:
        await window.check()


def _wrong_ranges(size: int, block: int) -> Iterator[tuple[int, int]]:
    yield from [(size, block), (size - block, 2 * block), (0, size + block), (size + GIB, block)]
    for power in (63, 64):
        top = 1 << power
        yield from [(top - block, block), (top - block, 2 * block), (top, block), (block, top), (block, top - block)]
    yield from [(-block, block), (-block, 2 * block), (0, -block), (size, -block), (-(1 << 63), block)]
    if block > 1:
        yield from [(1, block), (0, block - 1), (block // 2, block // 2)]


async def read_only_disks_refuse_changes(ground: Ground) -> None:
    """A disk that says it is read-only refuses writes and zeroes, and `ReadOnly` is what `Checked` makes of it."""
    border = Checked(ground.disk)
    window = ground.window(0, PAGE)
    await window.fill()
    at, length = window.offset, window.length
    changed = bytes(0xFF - byte for byte in window.held(0, length))
    # `Unsupported` is what the default `write` raises, and a trim may do nothing as everywhere.
    await ground.refusal(ground.disk.write(at, changed), "write", ReadOnly, Unsupported)
    await ground.refusal(ground.disk.zero(at, length), "zero", ReadOnly, Unsupported)
    await window.check()
    await ground.refusal(border.write(at, changed), "write behind Checked", ReadOnly)
    await ground.refusal(border.trim(at, length), "trim behind Checked", ReadOnly)
    await ground.refusal(border.zero(at, length), "zero behind Checked", ReadOnly)
    await window.check()


async def requests_up_to_the_maximum_work(ground: Ground) -> None:
    """Reads and writes of `maximum_request` bytes work in one piece, and the other requests with ranges up to 2^32."""
    info, disk = ground.info, ground.disk
    length = ground.align(min(info.size, info.maximum_request))
    offset = ground.align((info.size - length) // 2)
    if ground.writable:
        data = ground.rng.randbytes(length)
        await disk.write(offset, data)
        await ground.expect(offset, data, f"write({offset}, {length} bytes)")
    got = await disk.read(offset, length)
    ground.require(len(got) == length, f"read({offset}, {length}) gave {len(got)} bytes")
    del got
    reach = ground.align(min(info.size, MAXIMUM_RANGE))
    await disk.extents(0, reach)
    # Without these capabilities, gigabytes of zeroes would be written.
    if info.fast_zero and ground.writable:
        await _zero_all(ground, reach)
    if info.trim and ground.writable:
        await disk.trim(0, reach)


async def _zero_all(ground: Ground, reach: int) -> None:
    ends = (0, reach - ground.block)
    for at in ends:
        await ground.write(at, ground.noise(ground.block))
    with suppress(Unsupported):  # a disk may find that it would not be fast
        await ground.disk.zero(0, reach, fast=True)
        for at in ends:
            await ground.expect(at, bytes(ground.block), f"zero(0, {reach}, fast=True)")


async def both_ends_and_the_middle_work(ground: Ground) -> None:
    """Every part of the disk is its own: both ends, the middle, and around the powers of two where numbers overflow."""
    size, step = ground.info.size, max(SECTOR, ground.block)
    places = [0, size - step, ground.align(size // 2)]
    places += [(1 << power) - step for power in (20, 31, 32, 33, 40, 48, 53, 60, 62)]
    windows: list[Window] = []
    for at in sorted(set(places)):
        length = min(2 * step, size - at)
        if length > 0 and not (windows and at < windows[-1].offset + windows[-1].length):
            windows.append(Window(ground, at, length))
    for window in windows:
        await window.fill()
    for window in windows:
        await window.check()
