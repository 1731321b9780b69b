"""`Crew`, threads for calls that block, made for very many short ones; `Runner`, what asks for no more than that.

Results are handed to the event loop in batches: however many calls end while the loop is busy, it is woken once.  That
makes a call several times cheaper than with `concurrent.futures` when many are in flight.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")

Ended = Callable[[Any, BaseException | None], None]
"""Called on the event loop with what a call returned, or what it raised."""


_SWITCH = 2e-4


def let_the_event_loop_in() -> None:
    """Have threads that compute give Python's lock away within 0.2 ms when another one wants it, instead of 5.

    The event loop gives the lock away at each system call, and without this waits for 5 ms after each while a thread
    packs a segment: flushes took twice as long on average.  For the whole process.
    """
    sys.setswitchinterval(_SWITCH)


class Runner(Protocol):
    """Something that runs calls that take long or block: a `Crew`, or `Inline` where everything is to be repeatable."""

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """`function(*arguments)`.  It always ends before this does, also when this is cancelled."""
        ...


class Inline:
    """A `Runner` without threads: each call is done where it is made, at once."""

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """See `Runner.run`."""
        return function(*arguments)


class Crew:
    """Up to `most` threads, started when they are needed, that serve the event loop on which the crew was made."""

    def __init__(self, most: int, name: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._most = most
        self._name = name
        self._threads: list[threading.Thread] = []
        self._todo: SimpleQueue[tuple[Ended, Callable[..., Any], tuple[Any, ...]] | None] = SimpleQueue()
        self._done: deque[tuple[Ended, Any, BaseException | None]] = deque()
        self._woken = False
        self._pending = 0

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """`function(*arguments)`, run in a thread.

        It always ends before this does, also when this is cancelled: what it uses can be relied on to be unused then.
        """
        call: _Call[T] = _Call()
        self.start(call.end, function, *arguments)
        return await call.outcome(self._loop)

    def start(self, ended: Ended, function: Callable[..., Any], *arguments: Any) -> None:
        """Have `function(*arguments)` run in a thread; `ended` is called when it is over."""
        self._pending += 1
        if self._pending > len(self._threads) < self._most:
            name = f"{self._name}-{len(self._threads)}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()
        self._todo.put((ended, function, arguments))

    def stop(self) -> None:
        """End the threads.  No call is pending."""
        for _ in self._threads:
            self._todo.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _work(self) -> None:
        while (todo := self._todo.get()) is not None:
            ended, function, arguments = todo
            result, error = None, None
            try:
                result = function(*arguments)
            except BaseException as raised:  # noqa: BLE001 - it is raised where the call was made
                error = raised
            self._done.append((ended, result, error))
            del todo, ended, function, arguments, result, error
            if not self._woken:
                self._woken = True
                self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        # First this: a thread that appends after the last popleft must see False and wake the loop again.
        self._woken = False
        while self._done:
            ended, result, error = self._done.popleft()
            self._pending -= 1
            ended(result, error)


class _Call(Generic[T]):
    """One call of `Crew.run`."""

    __slots__ = ("_error", "_over", "_result", "_waiter")

    def __init__(self) -> None:
        self._over = False
        self._waiter: asyncio.Future[None] | None = None

    def end(self, result: T, error: BaseException | None) -> None:
        self._over, self._result, self._error = True, result, error
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def outcome(self, loop: asyncio.AbstractEventLoop) -> T:
        cancelled: asyncio.CancelledError | None = None
        while not self._over:
            self._waiter = loop.create_future()
            try:
                await self._waiter
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled from self._error
        if self._error is not None:
            raise self._error
        return self._result


class Usage:
    """Counts the calls that use something, so that it can be known when those of a moment are over."""

    def __init__(self) -> None:
        self._era = _Era()
        self._earlier: list[_Era] = []
        """Those that somebody waits for; no call is added to them."""

    def begin(self) -> Callable[[], None]:
        """Count a call; what is returned is called when it is over."""
        self._era.calls += 1
        return self._era.leave

    async def over(self) -> None:
        """Return when all calls that were counted before this are over."""
        self._earlier = [era for era in (*self._earlier, self._era) if era.calls]
        self._era = _Era()
        for era in tuple(self._earlier):
            await era.over()

    async def idle(self) -> None:
        """Return when no call is left; for when only those in flight can begin others."""
        while self._era.calls or any(era.calls for era in self._earlier):
            await self.over()


class _Era:
    __slots__ = ("calls", "waiters")

    def __init__(self) -> None:
        self.calls = 0
        self.waiters: list[asyncio.Future[None]] = []

    def leave(self) -> None:
        self.calls -= 1
        if not self.calls:
            for waiter in self.waiters:
                if not waiter.done():  # cancelled
                    waiter.set_result(None)

    async def over(self) -> None:
        if self.calls:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.waiters.append(waiter)
            await waiter
