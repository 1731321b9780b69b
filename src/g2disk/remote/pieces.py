"""Requests larger than a message, cut into pieces."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

from g2disk.units import MIB

BEST_PIECE = 2 * MIB
"""Bytes in one message, where the other end takes as much: gRPC copies a message several times, and beyond a few
mebibytes each copy costs more for each byte."""

PIECES_AT_ONCE = 4
"""Enough to keep a connection busy; more only takes memory at the server."""


def cut(offset: int, length: int, piece: int) -> Iterator[tuple[int, int]]:
    """(offset, length) of the pieces of at most `piece` bytes, in order."""
    end = offset + length
    while offset < end:
        step = min(piece, end - offset)
        yield offset, step
        offset += step


async def for_each_piece(offset: int, length: int, piece: int, send: Callable[[int, int], Awaitable[None]]) -> None:
    """Await `send(offset, length)` for every piece, a few at once.

    When one fails, those under way are still awaited, so that nothing is written after this has returned; the first
    error is raised.  Cancellation cancels those under way.
    """
    pieces = cut(offset, length, piece)
    failed: list[BaseException] = []

    async def work() -> None:
        for start, step in pieces:
            if failed:
                return
            try:
                await send(start, step)
            except Exception as error:
                failed.append(error)
                raise

    workers = min(PIECES_AT_ONCE, -(-length // piece))
    outcomes = await asyncio.gather(*(work() for _ in range(workers)), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise failed[0] if failed else outcome
