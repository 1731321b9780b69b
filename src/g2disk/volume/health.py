"""`Health`, whether a volume can go on, and why not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from g2disk.errors import DiskError

T = TypeVar("T")


class Health:
    """Holds the one error that ended a volume for good, and tells those who wait for something that will not come."""

    def __init__(self, on_failure: Callable[[], None]) -> None:
        """`on_failure` is called once, if the volume fails; it does not wait."""
        self.error: DiskError | None = None
        self._on_failure = on_failure
        self._waiting: set[asyncio.Future[None]] = set()

    def check(self) -> None:
        """Raise the error if there is one."""
        if self.error is not None:
            raise self.again()

    def again(self) -> DiskError:
        """The error, to be raised once more."""
        assert self.error is not None
        return type(self.error)(*self.error.args)

    def fail(self, error: DiskError) -> None:
        """End the volume; only the first error counts."""
        if self.error is None:
            self.error = error
            for waiter in self._waiting:
                if not waiter.done():
                    waiter.set_result(None)
            self._on_failure()

    async def race(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` returns, unless the volume fails before: then `work` is cancelled, and the error raised."""
        if self.error is not None:
            work.close()
            raise self.again()
        task = asyncio.ensure_future(work)
        failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(failed)
        try:
            await asyncio.wait((task, failed), return_when=asyncio.FIRST_COMPLETED)
            self.check()  # also where the work ended because the volume did
            return task.result()
        finally:
            self._waiting.discard(failed)
            if not task.done():
                task.cancel()
                await asyncio.wait((task,))
            if not task.cancelled():
                task.exception()  # seen, whatever became of the caller
