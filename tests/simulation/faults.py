"""What goes wrong in a run, one thing after the other."""

from __future__ import annotations

import asyncio
from random import Random

from g2disk.errors import OutOfSpace, Unavailable
from tests.simulation.client import Kernel
from tests.simulation.server import Server


class Faults:
    """Strikes between any two callbacks of the loop."""

    def __init__(self, kernel: Kernel, server: Server, rng: Random, events: list[str]) -> None:
        self._kernel = kernel
        self._server = server
        self._rng = rng
        self._events = events
        """What happened, for people."""
        self._kinds = {
            self._cut: 20,
            self._crash: 30,
            self._stop_server: 12,
            self._kill_gateway: 13,
            self._stop_gateway: 5,
            self._lose_cache: 20,
            self._refuse: 9,
        }

    async def one(self, last: bool) -> None:
        """Wait some time, and let something go wrong.  Only the last fault may be one that ends the disk."""
        await self._some_time()
        if last and self._rng.random() < 0.02 and self._kernel.told is None:  # who accepts takes any disk
            await self._exchange()
        else:
            await self._rng.choices([*self._kinds], [*self._kinds.values()])[0]()

    async def _cut(self) -> None:
        self._note("the stream is cut")
        self._kernel.network.cut()

    async def _crash(self) -> None:
        if self._rng.random() < 0.2 and self._server.now is not None:
            self._note("the server shuts down")
            self._server.now.drain()
            await self._some_time()
        self._note("the server crashes")
        self._server.crash(worst=self._rng.random() < 0.5)
        if self._rng.random() < 0.5:
            await self._some_time()
        self._server.start()
        self._note("the server is there")

    async def _stop_server(self) -> None:
        self._note("the server is stopped")
        self._server.stop()
        await self._some_time()
        if self._rng.random() < 0.5:
            await self._cut()
            await self._some_time()
        self._note("the server goes on")
        self._server.go_on()

    async def _kill_gateway(self) -> None:
        self._note("the gateway is killed")
        self._kernel.kill()
        if self._rng.random() < 0.4:
            await self._some_time()
        if self._rng.random() < 0.4:
            await self._crash()
        self._note("the gateway is started")
        self._kernel.start()

    async def _stop_gateway(self) -> None:
        self._note("the gateway is stopped")
        self._kernel.stop()
        await self._some_time()
        self._note("the gateway goes on")
        self._kernel.go_on()

    async def _lose_cache(self) -> None:
        looks = [self._kernel.loop.create_task(self._kernel.read(block, 1)) for block in self._looked_at()]
        if looks:
            await self._kernel.loop.after_steps(self._rng.randint(5, 20))
        if self._server.now is not None:
            self._note("the server loses its cache")
            self._server.now.process.run(self._server.now.disk.lose_and_go_on)
        for look in looks:
            await look

    def _looked_at(self) -> list[int]:
        """Blocks that are read just when something goes wrong: what is believed then matters."""
        return self._rng.sample(range(self._server.blocks), 4) if self._rng.random() < 0.7 else []

    async def _refuse(self) -> None:
        if self._server.now is not None:
            disk = self._server.now.disk
            disk.trouble = self._rng.choice((Unavailable, OutOfSpace))
            self._note(f"the server answers {disk.trouble.__name__}")
            await self._some_time()
            disk.trouble = None

    async def _exchange(self) -> None:
        self._note("another disk is in the server's place")
        self._server.crash()
        self._server.exchange()
        await self._some_time()
        self._server.start()

    async def _some_time(self) -> None:
        """Return when a number of callbacks have run, or some time has passed."""
        steps = self._kernel.loop.after_steps(self._rng.choice((2, 10, 60)) * self._rng.randint(0, 10))
        await asyncio.wait([steps], timeout=self._rng.choice((0.005, 0.1, 3.0)) * self._rng.random())

    def _note(self, event: str) -> None:
        loop = self._kernel.loop
        self._events.append(f"{loop.steps} {loop.time():.4f} {event}")
