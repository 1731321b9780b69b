"""`Bridge`, from threads that block to one event loop."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import uvloop

Result = TypeVar("Result")


class _Call:
    """A call on its way through the bridge; `done` is held until there is an outcome."""

    __slots__ = ("done", "error", "make", "result")

    def __init__(self, make: Callable[[], Awaitable[Any]]) -> None:
        self.make = make
        self.done = threading.Lock()
        self.done.acquire()
        self.result: Any = None
        self.error: BaseException | None = None


class Bridge:
    """An event loop on a thread of its own, and a way to call coroutines there from other threads.

    Calls that arrive while the loop is busy wait in a queue, and one wake-up fetches them all.  Any number of threads
    may call at once.  Make it after the process has forked for the last time.
    """

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._queue: deque[_Call] = deque()
        self._awake = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="g2disk", daemon=True)
        self._thread.start()

    def call(self, make: Callable[[], Awaitable[Result]]) -> Result:
        """Await `make()` on the loop; block until then, and return its result or raise its exception."""
        call = _Call(make)
        self._queue.append(call)
        if not self._awake:
            self._awake = True
            self._loop.call_soon_threadsafe(self._fetch)
        call.done.acquire()
        if call.error is not None:
            raise call.error
        result: Result = call.result
        return result

    def close(self) -> None:
        """End the loop.  No call is under way, and none follows."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _fetch(self) -> None:
        # Cleared before the queue is read: whoever appends from now on wakes the loop again.
        self._awake = False
        while self._queue:
            task = self._loop.create_task(self._run(self._queue.popleft()))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, call: _Call) -> None:
        try:
            call.result = await call.make()
        except BaseException as error:
            call.error = error
            if not isinstance(error, Exception):
                raise
        finally:
            call.done.release()
