"""Promises about what a disk holds when it is opened again."""

from __future__ import annotations

from dataclasses import dataclass

from g2disk.disk import DiskInfo
from g2disk.testing.ground import PAGE, Ground, Window


@dataclass(frozen=True, slots=True)
class Mark:
    """Bytes that were left on the disk."""

    offset: int
    data: bytes
    how: str


@dataclass(frozen=True, slots=True)
class Traces:
    """What was left on the disk before it was closed."""

    info: DiskInfo
    flushed: list[Mark]
    fua: list[Mark]
    unflushed: list[Mark]


async def leave_flushed_traces(ground: Ground) -> Traces:
    """Leave flushed bytes, and unflushed ones behind them: the last requests before the disk is closed."""
    windows = ground.windows(4 * PAGE)
    for window in windows:
        await window.fill()
    await ground.disk.flush()
    traces = Traces(ground.info, [], [], [])
    for window in windows:
        half = ground.align(window.length // 2) if ground.writable else 0
        traces.flushed.append(_mark(window, half, window.length, "written and flushed"))
        if half:
            await window.write(0, half)
            traces.unflushed.append(_mark(window, 0, half, "written"))
    return traces


async def leave_fua_traces(ground: Ground) -> Traces:
    """Leave bytes that were written with `fua` and others without, and no flush behind them."""
    traces = Traces(ground.info, [], [], [])
    for window in ground.windows(4 * PAGE):
        half = ground.align(window.length // 2)
        middle = ground.align(half // 2)
        await window.write(half, window.length, fua=True)
        traces.fua.append(_mark(window, half, window.length, "written with fua=True"))
        if middle < half:
            await window.write(middle, half)
            await window.zero(middle, half, fua=True)
            traces.fua.append(_mark(window, middle, half, "zeroed with fua=True"))
        if middle:
            await window.write(0, middle)
            traces.unflushed.append(_mark(window, 0, middle, "written"))
    return traces


def _mark(window: Window, start: int, end: int, how: str) -> Mark:
    return Mark(window.offset + start, window.held(start, end), how)


async def flushed_bytes_are_there_again(traces: Traces, ground: Ground) -> None:
    """What had been written when `flush` was called is there when the disk is opened again."""
    await _find(ground, traces.flushed)


async def fua_bytes_are_there_again(traces: Traces, ground: Ground) -> None:
    """What was written or zeroed with `fua` is there when the disk is opened again, without any flush."""
    await _find(ground, traces.fua)


async def a_durable_disk_keeps_its_identity(traces: Traces, ground: Ground) -> None:
    """A disk that keeps its bytes keeps its identity; otherwise gateways refuse to go on with it."""
    before, now = traces.info.identity, ground.info.identity
    ground.require(before == now, f"the identity was {before!r}, and is {now!r} when the disk is opened again")


async def one_identity_means_the_same_bytes(traces: Traces, ground: Ground) -> None:
    """A disk with the identity of an earlier one holds what was flushed to that one."""
    if ground.info.identity and ground.info.identity == traces.info.identity:
        await _find(ground, [*traces.flushed, *traces.fua])


async def one_instance_means_nothing_was_lost(traces: Traces, ground: Ground) -> None:
    """A disk with the identity and the instance of an earlier one holds all that was written to that one."""
    same = (ground.info.identity, ground.info.instance) == (traces.info.identity, traces.info.instance)
    if same and ground.info.identity and ground.info.instance:
        await _find(ground, traces.unflushed)


async def _find(ground: Ground, marks: list[Mark]) -> None:
    for mark in marks:
        await ground.expect(mark.offset, mark.data, f"opening the disk again (these bytes were {mark.how})")
