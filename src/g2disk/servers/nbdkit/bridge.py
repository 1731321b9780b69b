"""`Bridge`, from threads that block to one event loop, a batch at a time."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import uvloop

from g2disk.disk import Disk
from g2disk.disk.perform import perform
from g2disk.errors import Internal
from g2disk.request import Request
from g2disk.servers.nbdkit.thread_state import keep_thread_state

Result = TypeVar("Result")


GATHER = 64
"""Requests that are enough for a batch.  While there are fewer, the loop goes round as long as each round brings more:
threads that were woken together come back one by one."""

_own = threading.local()


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
    """An event loop on a thread of its own, and ways to use it from other threads.

    Calls and requests that arrive while the loop is busy wait in queues, and one wake-up fetches them all.  Any number
    of threads may call at once.  Make it after the process has forked for the last time.
    """

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._calls: deque[_Call] = deque()
        self._requests: deque[tuple[Disk, Request]] = deque()
        self._awake = False
        self._seen = 0
        """Requests that were there when the loop last looked."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="g2disk", daemon=True)
        self._thread.start()

    def call(self, make: Callable[[], Awaitable[Result]]) -> Result:
        """Await `make()` on the loop; block until then, and return its result or raise its exception."""
        call = _Call(make)
        self._calls.append(call)
        self._wake()
        call.done.acquire()
        if call.error is not None:
            raise call.error
        result: Result = call.result
        return result

    def perform(self, disk: Disk, request: Request) -> Any:
        """Have `disk` do the request; block until then, and return the request's data or raise its error.

        Requests of many threads reach the disk as one batch (`Disk.submit`).  `request.tag` is the bridge's.
        """
        request.tag = done = _lock_of_this_thread()
        self._requests.append((disk, request))
        self._wake()
        done.acquire()
        if request.error is not None:
            raise request.error
        return request.data

    def close(self) -> None:
        """End the loop.  No call is under way, and none follows."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _wake(self) -> None:
        if not self._awake:
            self._awake = True
            self._loop.call_soon_threadsafe(self._fetch)

    def _fetch(self) -> None:
        if self._seen < len(self._requests) < GATHER and not self._calls:
            self._seen = len(self._requests)
            self._loop.call_soon(self._fetch)
            return
        self._seen = 0
        # Cleared before the queues are read: whoever appends from now on wakes the loop again.
        self._awake = False
        while self._calls:
            self._start(self._run(self._calls.popleft()))
        batches: dict[Disk, list[Request]] = {}
        while self._requests:
            disk, request = self._requests.popleft()
            batches.setdefault(disk, []).append(request)
        for disk, requests in batches.items():
            for request in disk.submit(requests, _release):
                self._start(self._perform(disk, request))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
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

    async def _perform(self, disk: Disk, request: Request) -> None:
        try:
            await perform(disk, request)
        except BaseException as error:  # not done, whatever it was: the event loop logs it
            request.error = Internal(f"{type(error).__name__} in the gateway; its log says more")
            raise
        finally:
            _release([request])


def _lock_of_this_thread() -> threading.Lock:
    """Held, until `_release` lets the thread go on."""
    lock: threading.Lock | None = getattr(_own, "lock", None)
    if lock is None:
        keep_thread_state()
        lock = _own.lock = threading.Lock()
        lock.acquire()
    return lock


def _release(requests: list[Request]) -> None:
    for request in requests:
        request.tag.release()
