"""An event loop with virtual time, whose callbacks belong to processes that can be killed and stopped between any two
of them.

Nothing waits: when nothing is ready, time jumps to the next timer.  The same calls give the same run, always.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar

T = TypeVar("T")

MOST_STEPS = 200_000
"""Callbacks in one run, more than any run needs that gets on."""

_MOST_WAITS = 20
"""Times that something waits while it is thrown away."""


class Stuck(Exception):
    """Nothing can happen any more, or nothing comes of what does, and somebody still waits."""


class Process:
    """A process of the simulated machines: whatever was begun in its context dies, stops and goes on with it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.stopped = False
        self.parked: list[asyncio.Handle] = []
        """What became ready while the process was stopped, in order."""
        self.context = copy_context()
        self.context.run(PROCESS.set, self)

    def kill(self) -> None:
        """As SIGKILL does: not one callback of it runs any more."""
        self.alive = False
        self.parked.clear()

    def run(self, work: Callable[..., T], *args: Any) -> T:
        """Call `work` as this process."""
        return self.context.copy().run(work, *args)


PROCESS: ContextVar[Process | None] = ContextVar("PROCESS", default=None)
"""Whose code is running; None is the world outside, which never dies."""


class _Task(asyncio.Task[Any]):
    """Has its place in sets by a number: by its address, no run would be like the one before."""

    def __init__(self, coro: Coroutine[Any, Any, Any], *, number: int, **others: Any) -> None:
        self._number = number
        super().__init__(coro, **others)

    def __hash__(self) -> int:
        return self._number


class _Future(asyncio.Future[Any]):
    """Likewise."""

    def __init__(self, *, number: int, **others: Any) -> None:
        self._number = number
        super().__init__(**others)

    def __hash__(self) -> int:
        return self._number


class VirtualLoop(asyncio.AbstractEventLoop):
    """What asyncio's tasks, futures and timeouts need of a loop, and nothing else."""

    def __init__(self) -> None:
        self.steps = 0
        """Callbacks that have run."""
        self.errors: list[str] = []
        """What callbacks raised: bugs."""
        self._now = 0.0
        self._ready: deque[tuple[Process | None, asyncio.Handle]] = deque()
        self._timers: list[tuple[float, int, Process | None, asyncio.Handle]] = []
        self._counted: list[tuple[int, int, asyncio.Future[None]]] = []
        self._sequence = 0
        self._tasks: list[asyncio.Task[Any]] = []
        """Kept, so that none is collected, and has its `finally` run, after its process died."""
        self._closed = False

    def time(self) -> float:
        return self._now

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append((PROCESS.get() if context is None else context.get(PROCESS), handle))
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        process = PROCESS.get() if context is None else context.get(PROCESS)
        self._sequence += 1
        heapq.heappush(self._timers, (when, self._sequence, process, handle))
        return handle

    def after_steps(self, count: int) -> asyncio.Future[None]:
        """Done when `count` more callbacks have run."""
        future = self.create_future()
        self._sequence += 1
        heapq.heappush(self._counted, (self.steps + count, self._sequence, future))
        return future

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds of this loop's time."""
        future: asyncio.Future[None] = self.create_future()
        timer = self.call_later(seconds, _set, future)
        try:
            await future
        finally:
            timer.cancel()

    def create_future(self) -> asyncio.Future[Any]:
        self._sequence += 1
        return _Future(loop=self, number=self._sequence)

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, T], *, name: str | None = None, context: Context | None = None, **_: Any
    ) -> asyncio.Task[T]:
        self._sequence += 1
        task = _Task(coro, loop=self, name=name, context=context, number=self._sequence)
        self._tasks.append(task)
        return task

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """What `main` returns; whatever is left then is thrown away.  Raises `Stuck`."""
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            task = self.create_task(main)
            while not task.done():
                self._turn()
            return task.result()
        finally:
            self._closed = True
            for task in self._tasks:
                if not task.done() and (work := task.get_coro()) is not None:
                    _close(work)
            self._ready.clear()
            self._timers.clear()
            self._tasks.clear()
            asyncio._set_running_loop(before)

    def resume(self, process: Process) -> None:
        """Let a stopped process go on, as SIGCONT does."""
        process.stopped = False
        parked, process.parked = process.parked, []
        self._ready.extend((process, handle) for handle in parked)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self._closed:
            error = context.get("exception")
            self.errors.append(f"{context.get('message')}: {type(error).__name__}: {error}")

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return not self._closed

    def is_closed(self) -> bool:
        return self._closed

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Cancelled timers are passed over when their time comes."""

    def _turn(self) -> None:
        if not self._ready:
            self._jump()
        for _ in range(len(self._ready)):
            process, handle = self._ready.popleft()
            if handle.cancelled():
                continue
            if process is not None:
                if not process.alive:
                    continue
                if process.stopped:
                    process.parked.append(handle)
                    continue
            handle._run()
            self.steps += 1
            while self._counted and self._counted[0][0] <= self.steps:
                _set(heapq.heappop(self._counted)[2])
        if self.steps > MOST_STEPS:
            raise Stuck(f"{MOST_STEPS} callbacks, and no end")

    def _jump(self) -> None:
        """Go to the next moment at which something happens."""
        timers = self._timers
        while timers and timers[0][3].cancelled():
            heapq.heappop(timers)
        if not timers:
            raise Stuck("nothing is ready, and no timer is set")
        self._now = max(self._now, timers[0][0])
        while timers and timers[0][0] <= self._now:
            _, _, process, handle = heapq.heappop(timers)
            self._ready.append((process, handle))


def _close(work: Any) -> None:
    """Throw it away, though its `finally` waits for more."""
    for _ in range(_MOST_WAITS):
        try:
            work.close()
        except RuntimeError:  # it waits again
            continue
        return


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
