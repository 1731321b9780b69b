"""`Bell`, which wakes all who wait for a change and look again themselves."""

from __future__ import annotations

import asyncio


class Bell:
    """Like a condition without its lock, for one event loop: look, and if it is not yet so, wait."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    def ring(self) -> None:
        """Wake all who wait now."""
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():  # cancelled
                waiter.set_result(None)

    async def wait(self) -> None:
        """Return at the next ring; cancellable."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        await waiter
