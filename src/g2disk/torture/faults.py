"""What goes wrong in a round, done."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator

from g2disk.cancellation import to_the_end
from g2disk.clock import Clock
from g2disk.torture.plan import Fault, FaultKind
from g2disk.torture.proxy import Proxy
from g2disk.torture.servers import Server
from g2disk.torture.stage import Stage

MOMENT = 0.015
"""Seconds that one part of a fault lasts at most, so that rounds stay short."""


class Progress:
    """How far the workers of a round are."""

    def __init__(self, workers: int) -> None:
        self._busy = workers
        self._answered = 0
        self._moved = asyncio.Event()

    def answered(self) -> None:
        """A request was answered."""
        self._answered += 1
        self._moved.set()

    def done(self) -> None:
        """A worker has nothing more to ask."""
        self._busy -= 1
        self._moved.set()

    async def more(self, requests: int) -> None:
        """Return when that many more requests were answered, or when none is left."""
        target = self._answered + requests
        while self._busy and self._answered < target:
            self._moved.clear()
            await self._moved.wait()


class Faults:
    """Does the fault of a round."""

    def __init__(self, server: Server, proxy: Proxy, stage: Stage, clock: Clock, progress: Progress) -> None:
        self._server = server
        self._proxy = proxy
        self._stage = stage
        self._clock = clock
        self._progress = progress
        self._kinds: dict[FaultKind, Callable[[Fault], Awaitable[None]]] = {
            "cut": self._cut,
            "lost replies": self._lose_replies,
            "late requests": self._deliver_late,
            "pause": self._pause,
            "stuck requests": self._pause_and_cut,
            "kill": self._kill,
            "kill twice": self._kill_twice,
            "kill, then client killed": self._kill_server_then_client,
            "client killed": self._kill_client,
            "client killed, late requests": self._kill_client_and_deliver_late,
            "client and server killed": self._kill_both,
        }

    async def do(self, fault: Fault) -> None:
        """Wait for the fault's moment, and then do it; everything works again when this returns."""
        await self._progress.more(fault.after)
        if fault.kind in self._kinds:
            await self._kinds[fault.kind](fault)

    async def _cut(self, _: Fault) -> None:
        self._proxy.cut()

    async def _lose_replies(self, fault: Fault) -> None:
        """Requests are done, and their answers get lost."""
        self._proxy.hold_replies()
        await self._moment(fault.span)
        self._proxy.cut()

    async def _deliver_late(self, fault: Fault) -> None:
        """Requests get stuck on the way, the client sends them again, and then the first ones arrive."""
        self._proxy.hold_requests()
        await self._moment(fault.span)
        self._proxy.cut()
        await self._moment(4 * fault.span, 4 * MOMENT)
        self._proxy.deliver()

    async def _pause(self, _: Fault) -> None:
        with self._paused():
            await self._clock.sleep(MOMENT)

    async def _pause_and_cut(self, fault: Fault) -> None:
        """Requests get stuck in the server, and the client connects again."""
        with self._paused():
            await self._moment(fault.span)
            self._proxy.cut()
            await self._clock.sleep(MOMENT)

    async def _kill(self, fault: Fault) -> None:
        client = self._stage.client
        if client is None or not client.survives:
            await self._kill_both(fault)
            return
        self._proxy.shut()
        await to_the_end(self._restart())
        self._proxy.open()

    async def _kill_twice(self, fault: Fault) -> None:
        """The second time while the client sends again what the first one lost, perhaps."""
        await self._kill(fault)
        await self._clock.sleep(fault.span / 1000)
        await self._kill(fault)

    async def _kill_server_then_client(self, fault: Fault) -> None:
        """The client, too, while it sends again what was lost, perhaps."""
        await self._kill(fault)
        await self._clock.sleep(fault.span / 1000)
        await self._kill_client(fault)

    async def _kill_both(self, _: Fault) -> None:
        await self._stage.throw_away()
        self._proxy.shut()
        await to_the_end(self._restart())
        await self._stage.reopen(restarted=True)

    async def _kill_client(self, _: Fault) -> None:
        await self._stage.throw_away()
        await self._stage.reopen()

    async def _kill_client_and_deliver_late(self, fault: Fault) -> None:
        self._proxy.hold_requests()
        await self._moment(fault.span)
        await self._kill_client(fault)
        await self._moment(4 * fault.span, 4 * MOMENT)
        self._proxy.deliver()

    async def _restart(self) -> None:
        """Not to be broken off: somebody's server would stay dead."""
        await self._server.kill()
        await self._server.start()

    @contextlib.contextmanager
    def _paused(self) -> Iterator[None]:
        self._server.pause()
        try:
            yield
        finally:
            self._server.resume()

    async def _moment(self, requests: int, seconds: float = MOMENT) -> None:
        """Wait for that many answers, but not for long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._progress.more(requests)
