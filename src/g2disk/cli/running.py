"""Running a command's coroutine."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

from g2disk.cli.output import note

_PATIENCE = 2.0
"""Seconds that undoing may take without a word."""

Result = TypeVar("Result")


class Interrupted(Exception):
    """The user, or the system, ended the command; what it had begun is undone."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a command to its end.

    The first SIGINT, SIGTERM or SIGHUP cancels it, and raises `Interrupted` when it is undone.
    """
    return uvloop.run(_until_signal(work))


async def _until_signal(work: Coroutine[Any, Any, Result]) -> Result:
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    received: list[int] = []

    def cancel(number: int) -> None:
        # A second one would break off the undoing, which takes a bounded time.
        if not received:
            received.append(number)
            task.cancel()
            loop.call_later(_PATIENCE, note, "ending; what is under way is waited for, up to the timeout")

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, cancel, number)
    try:
        return await task
    except asyncio.CancelledError:
        if received:
            raise Interrupted(received[0]) from None
        raise
