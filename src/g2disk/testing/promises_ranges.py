"""Promises about zero, trim, extents and cache."""

from __future__ import annotations

from itertools import cycle

from g2disk.disk import MAXIMUM_RANGE, Extent
from g2disk.errors import Unsupported
from g2disk.testing.ground import PAGE, Ground, Window

_FLAGS = [(fua, may_trim) for may_trim in (True, False) for fua in (False, True)]


async def zeroed_ranges_read_as_zeroes(ground: Ground) -> None:
    """After `zero` every byte of the range reads as zero, with each combination of flags and at every alignment."""
    window = ground.window()
    await window.fill()
    for (start, end), (fua, may_trim) in zip(window.spans(8 * ground.effort), cycle(_FLAGS), strict=False):
        await window.write(start, end)
        await window.zero(start, end, fua, may_trim)
        await window.check(start, end)


async def zeroes_leave_their_neighbours(ground: Ground) -> None:
    """`zero` changes no byte outside its range, however it is aligned."""
    window = ground.window()
    await window.fill()
    for (start, end), (fua, may_trim) in zip(window.spans(8 * ground.effort), cycle(_FLAGS), strict=False):
        await window.write(0, window.length)
        await window.zero(start, end, fua, may_trim)
        await window.check_around(start, end)


async def fast_zero_works_or_changes_nothing(ground: Ground) -> None:
    """`zero` with `fast` zeroes the range, or raises `Unsupported` and has changed nothing."""
    window = ground.window()
    for (start, end), (fua, may_trim) in zip(window.spans(4 * ground.effort), cycle(_FLAGS), strict=False):
        await window.write(0, window.length)
        try:
            await ground.disk.zero(window.offset + start, end - start, fua, may_trim, fast=True)
        except Unsupported:
            window.note(start, window.held(start, end), "zero(fast=True), which raised Unsupported")
        else:
            window.note(start, bytes(end - start), "zero(fast=True)")
        await window.check()


async def trims_leave_their_neighbours(ground: Ground) -> None:
    """`trim` changes no byte outside its range: a disk that trims larger units rounds inwards."""
    window = ground.window()
    for start, end in window.spans(8 * ground.effort):
        await window.write(0, window.length)
        await window.trim(start, end, fua=ground.rng.random() < 0.5)
        await window.check()


async def trimmed_ranges_can_be_used_again(ground: Ground) -> None:
    """A trimmed range can still be read, whatever it holds, and is as good as any other when it is written again."""
    window = ground.window()
    await window.fill()
    for start, end in window.spans(4 * ground.effort):
        await window.trim(start, end)
        await ground.read(window.offset + start, end - start)
        await window.write(start, end)
        await window.check(start, end)


async def extents_follow_each_other(ground: Ground) -> None:
    """`extents` returns at least one, the first from `offset` on, without gaps, none empty, none beyond the range."""
    window = ground.window()
    if ground.writable:
        await window.fill()
        await window.zero(window.length // 2 - window.length // 2 % ground.block, window.length)
    for start, end in window.spans(8 * ground.effort):
        await walk(ground, window.offset + start, end - start)
    await ask_extents(ground, 0, ground.align(min(ground.info.size, MAXIMUM_RANGE)))
    await ask_extents(ground, ground.info.size - window.length, window.length)


async def extents_tell_the_truth(ground: Ground) -> None:
    """What `extents` calls zero reads as zeroes, at once after every change."""
    for window in ground.windows(4 * PAGE):
        await window.fill()
        await _honest(ground, window)
        if ground.writable:
            block = ground.block
            await window.zero(0, window.length)
            await _honest(ground, window)
            middle = ground.align(window.length // 2)
            await window.write(middle, middle + block)
            await _honest(ground, window)
            await window.trim(0, window.length)
            await _honest(ground, window)
            await window.write(window.length - block, window.length)
            await _honest(ground, window)
    for extent in await ask_extents(ground, 0, ground.align(min(ground.info.size, MAXIMUM_RANGE))):
        if extent.zero:
            await _reads_as_zeroes(ground, extent.end - ground.block, ground.block)


async def _honest(ground: Ground, window: Window) -> None:
    for extent in await walk(ground, window.offset, window.length):
        if extent.zero:
            await _reads_as_zeroes(ground, extent.offset, extent.length)


async def _reads_as_zeroes(ground: Ground, offset: int, length: int) -> None:
    await ground.expect(offset, bytes(length), f"extents() called {length} bytes at {offset} zero")


async def walk(ground: Ground, offset: int, length: int) -> list[Extent]:
    """The extents of the whole range, asked for until they cover it."""
    found: list[Extent] = []
    end = offset + length
    while offset < end:
        found += await ask_extents(ground, offset, end - offset)
        offset = found[-1].end
    return found


async def ask_extents(ground: Ground, offset: int, length: int) -> list[Extent]:
    """What `extents` answers, which must be as promised."""
    extents = await ground.disk.extents(offset, length)
    what = f"extents({offset}, {length})"
    ground.require(len(extents) > 0, f"{what} gave none")
    at = offset
    for extent in extents:
        ground.require(extent.length > 0, f"{what} gave an empty extent at {extent.offset}")
        ground.require(extent.offset == at, f"{what} gave an extent at {extent.offset} where the next begins at {at}")
        at = extent.end
    ground.require(at <= offset + length, f"{what} gave extents up to {at}")
    return extents


async def cache_changes_nothing(ground: Ground) -> None:
    """`cache` is advice: no byte changes, also when what was cached is written later."""
    window = ground.window()
    await window.fill()
    for start, end in window.spans(4 * ground.effort):
        await ground.disk.cache(window.offset + start, end - start)
        await window.check()
        if ground.writable:
            await window.write(start, end)
            await window.check()


async def fua_requests_do_what_plain_ones_do(ground: Ground) -> None:
    """Write, zero and trim with `fua` do to the bytes what they do without."""
    window = ground.window()
    await window.fill()
    for start, end in window.spans(4 * ground.effort):
        await window.write(start, end, fua=True)
        await window.check()
        await window.zero(start, end, fua=True)
        await window.check()
        await window.write(0, window.length, fua=True)
        await window.trim(start, end, fua=True)
        await window.check()
