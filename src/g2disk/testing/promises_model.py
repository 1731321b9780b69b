"""The promise that sums up the others: a disk is an array of bytes."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from g2disk.testing.ground import PAGE, Ground, Window, together
from g2disk.testing.promises_ranges import ask_extents

_CHANGES = ("write", "write", "write", "write", "zero", "trim")


async def it_behaves_like_an_array_of_bytes(ground: Ground) -> None:
    """After any requests, one after the other or together, the disk holds what an array of bytes would hold."""
    windows = ground.windows(16 * PAGE)
    for window in windows:
        await window.fill()
    for _ in range(24 * ground.effort):
        await _step(ground, ground.rng.choice(windows))
    for window in windows:
        await window.check()


async def _step(ground: Ground, window: Window) -> None:
    rng = ground.rng
    spans = [span for span in window.apart(rng.choice((1, 2, 3, 8))) if rng.random() < 0.7]
    if ground.writable:
        await together(*(_change(ground, window, *span) for span in spans))
    other = rng.random()
    if other < 0.2:
        await ground.disk.flush()
    elif other < 0.3:
        await ask_extents(ground, window.offset, window.length)
    elif other < 0.4:
        await ground.disk.cache(window.offset, window.length)
    for start, end in window.apart(rng.choice((1, 2, 4)))[:2]:
        await window.check(start, end)


def _change(ground: Ground, window: Window, start: int, end: int) -> Coroutine[Any, Any, None]:
    rng = ground.rng
    change, fua = rng.choice(_CHANGES), rng.random() < 0.2
    if change == "write":
        return window.write(start, end, fua)
    if change == "zero":
        return window.zero(start, end, fua, may_trim=rng.random() < 0.5)
    return window.trim(start, end, fua)
