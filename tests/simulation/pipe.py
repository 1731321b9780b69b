"""One direction of a link, and the weather of the network: messages in order and late, and a cut with messages still
under way.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from g2disk.remote.stream import Status
from tests.simulation.loop import Process, VirtualLoop

LOST = Status(14, "the connection broke")
GONE = Status(1, "the client has gone")
GRAIN = 0.0005
"""Seconds; all delays are multiples of it, so that many things happen at the same moment."""


@dataclass(slots=True)
class Weather:
    """How bad the network is."""

    rng: Random
    usual: int = 4
    """Grains that a message takes at most, as a rule."""
    slow: float = 0.02
    """The part of the messages that takes up to a second."""
    cut: float = 0.0
    """The part of the messages at which their stream is cut."""
    ghosts: float = 0.0
    """The part of the cut streams that somebody sends again."""

    def calm(self) -> None:
        """From now on all goes well."""
        self.slow = self.cut = self.ghosts = 0.0

    def delay(self) -> float:
        """Seconds that a message takes."""
        if self.rng.random() < self.slow:
            return self.rng.randint(1, 2000) * GRAIN
        return self.rng.randint(0, self.usual) * GRAIN

    def notice(self) -> float:
        """Seconds until somebody learns that a link broke."""
        return self.rng.choice((1, 20, 1000, 20000)) * self.rng.randint(0, 10) * GRAIN


class Pipe:
    """One direction of a link."""

    def __init__(
        self, loop: VirtualLoop, weather: Weather, receiver: Process, deliver: Callable[[bytes | Status], None]
    ) -> None:
        self._loop = loop
        self._weather = weather
        self._receiver = receiver
        self._deliver = deliver
        self._queue: deque[tuple[float, bytes | Status]] = deque()
        self._last = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._held = False
        self.broken = False
        """What is put in from now on is lost."""

    def put(self, item: bytes | Status) -> None:
        """Have it arrive some time."""
        if not self.broken:
            self._append(item, self._weather.delay())

    def hold(self) -> None:
        """The receiver takes no more for now."""
        self._held = True

    def release(self) -> None:
        """The opposite of `hold`."""
        self._held = False
        self._arm()

    def close(self) -> None:
        """Nothing arrives any more."""
        self.broken = True
        self._queue.clear()

    def cut(self, keep: int, status: Status, late: float) -> None:
        """Lose all but the first `keep` messages under way; the receiver learns of it `late` seconds behind them."""
        if not self.broken:
            while len(self._queue) > keep:
                self._queue.pop()
            if self._queue:
                self._last = self._queue[-1][0]
            self._append(status, late)
            self.broken = True

    def delay_all(self, seconds: float) -> None:
        """Let what is under way take so much longer."""
        self._queue = deque((when + seconds, item) for when, item in self._queue)
        self._last += seconds

    def __len__(self) -> int:
        return len(self._queue)

    def _append(self, item: bytes | Status, delay: float) -> None:
        self._last = max(self._last, self._loop.time() + delay)
        self._queue.append((self._last, item))
        self._arm()

    def _arm(self) -> None:
        if self._timer is None and self._queue and not self._held:
            self._timer = self._loop.call_at(self._queue[0][0], self._arrive, context=self._receiver.context.copy())

    def _arrive(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._queue and not self._held and self._queue[0][0] <= now:
            self._deliver(self._queue.popleft()[1])
        self._arm()
