"""`Commit`, one sync for all who wait for one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from g2disk.threads import Crew, Usage


class Commit:
    """Runs `sync` in a thread, one at a time.  Whoever asks while it runs waits for the next run, together with all
    others who ask meanwhile, because the running one may have passed over what they wrote.

    That there is only one at a time matters for errors too: the kernel reports a failed write to one sync of an open
    file, and another that ran at the same time would be told that all is well.
    """

    def __init__(self, crew: Crew, usage: Usage, sync: Callable[[], None]) -> None:
        self._crew = crew
        self._usage = usage
        self._sync = sync
        self._running = False
        self._waiting: list[asyncio.Future[BaseException | None]] = []

    async def wait(self) -> None:
        """Return when a sync has ended that began after this call; raises what it raised.  May be cancelled: the sync
        goes on for the others.
        """
        waiter: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        if not self._running:
            self._start()
        error = await waiter
        if error is not None:
            raise error

    def _start(self) -> None:
        waiters, self._waiting = self._waiting, []
        self._running = True
        over = self._usage.begin()

        def ended(_: None, error: BaseException | None) -> None:
            self._running = False
            for waiter in waiters:
                if not waiter.done():  # cancelled
                    waiter.set_result(error)
            self._waiting = [waiter for waiter in self._waiting if not waiter.done()]
            if self._waiting:
                self._start()
            over()

        self._crew.start(ended, self._sync)
