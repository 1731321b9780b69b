"""Promises about requests in flight together, and about cancelled ones."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from g2disk.errors import DiskError
from g2disk.testing.clock import turns
from g2disk.testing.ground import PAGE, Ground, Window, first_stranger, together
from g2disk.units import KIB


async def disjoint_changes_never_disturb_each_other(ground: Ground) -> None:
    """Writes and zeroes in flight together do not disturb each other, however close they lie."""
    for length, count in ((PAGE, 16), (4 * PAGE, 12), (64 * KIB, 8)):
        for _ in range(ground.effort):
            window = ground.window(0.6, length)
            await window.fill()
            changes: list[Coroutine[Any, Any, None]] = []
            for number, (start, end) in enumerate(window.apart(count)):
                changes.append(window.zero(start, end) if number % 4 == 3 else window.write(start, end))
            await together(*changes)
            await window.check()


async def changes_are_seen_when_they_have_returned(ground: Ground) -> None:
    """When a write or zero has returned, every later read sees it, also if other reads were in flight meanwhile."""
    window = ground.window()
    await window.fill()
    for number, (start, end) in enumerate(window.spans(6 * ground.effort)):
        offset, length = window.offset + start, end - start
        change = window.zero(start, end) if number % 3 == 2 else window.write(start, end)
        await together(ground.read(offset, length), change, ground.read(offset, length))
        await window.check(start, end)
        for got in await together(*(ground.read(offset, length) for _ in range(3))):
            window.compare(start, got)


async def reads_see_the_old_or_the_new_bytes(ground: Ground) -> None:
    """A read that runs while its range is written gives for each byte the old or the new one."""
    window = ground.window()
    await window.fill()
    for start, end in window.spans(6 * ground.effort):
        offset, length, old = window.offset + start, end - start, window.held(start, end)

        async def look(later: int, offset: int = offset, length: int = length) -> bytes:
            await turns(later)
            return await ground.read(offset, length)

        before = [look(later) for later in (0, 1)]
        behind = [look(later) for later in (0, 2, 4)]
        answers = await together(*before, window.write(start, end), *behind)
        for got in filter(None, answers):
            wrong = first_stranger(got, old, window.held(start, end))
            if wrong is not None:
                ground.broken(f"read({offset}, {length}) during a write gave {got[wrong]:#04x} at {offset + wrong}")


async def flush_runs_at_any_time(ground: Ground) -> None:
    """`flush` works while writes and other flushes are in flight, and changes no byte."""
    disk = ground.disk
    window = ground.window(0.2, 8 * PAGE)
    await window.fill()
    await disk.flush()
    await window.check()
    for _ in range(3 * ground.effort):
        if ground.writable:
            changes = [window.write(start, end) for start, end in window.apart(6)]
            await together(disk.flush(), *changes[:3], disk.flush(), *changes[3:], disk.flush())
        else:
            await together(disk.flush(), disk.flush())
        await window.check()


async def cancelled_writes_leave_their_neighbours(ground: Ground) -> None:
    """After a write was cancelled each of its bytes is old or new, and no other byte has changed."""
    window = ground.window()
    await window.fill()
    for later, (start, end) in enumerate(window.spans(6 * ground.effort)):
        old, new = window.held(start, end), ground.noise(end - start)
        await cancelled(ground, window, ground.write(window.offset + start, new), later)
        got = await ground.read(window.offset + start, end - start)
        wrong = first_stranger(got, old, new)
        if wrong is not None:
            ground.broken(f"a cancelled write left {got[wrong]:#04x} at {window.offset + start + wrong}")
        window.note(start, got, f"a cancelled write({window.offset + start}, {end - start} bytes)")
        await window.check()


async def cancelled_writes_do_not_come_late(ground: Ground) -> None:
    """When a cancelled write has ended, it does not change what is written after it."""
    window = ground.window()
    await window.fill()
    for later, (start, end) in enumerate(window.spans(6 * ground.effort)):
        await cancelled(ground, window, ground.write(window.offset + start, ground.noise(end - start)), later)
        await window.write(start, end)
        await window.check(start, end)
        await turns(20)
        await ground.disk.flush()
        await window.check(start, end)


async def the_disk_works_on_after_cancellations(ground: Ground) -> None:
    """Whatever request is cancelled at whatever moment, the disk works on."""
    window = ground.window()
    await window.fill()
    disk, at, length = ground.disk, window.offset, window.length
    for later in range(4 * ground.effort):
        await cancelled(ground, window, ground.read(at, length), later)
        await cancelled(ground, window, disk.flush(), later)
        await cancelled(ground, window, disk.extents(at, length), later)
        if ground.writable:
            for change in (ground.write(at, ground.noise(length)), disk.zero(at, length), disk.trim(at, length)):
                await cancelled(ground, window, change, later)
            await window.fill()
        await disk.flush()
        await window.check()


async def cancelled(ground: Ground, window: Window, request: Coroutine[Any, Any, Any], later: int) -> None:
    """Start a request, cancel it later, and return when it has ended, in whatever way.

    Later is some turns of the event loop for an even number, so that disks in this process are hit at each of their
    steps; and the time of a read for an odd one, so that requests over a network are hit on their way.
    """

    async def quietly() -> None:
        with suppress(DiskError):  # an error is a way to end, too
            await request

    async with asyncio.TaskGroup() as group:
        task = group.create_task(quietly())
        if later % 2:
            await turns(1)
            await ground.read(window.offset, ground.block)
        else:
            await turns(1 + later // 2)
        task.cancel()
