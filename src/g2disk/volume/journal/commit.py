"""`Committer`, one sync for all who wait for one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from g2disk.errors import DiskError, Fenced
from g2disk.volume.journal.bell import Bell


class Committer:
    """Knows how far the journal is written and how far it is durable; runs one sync at a time.

    There is no task of its own: the first who waits runs the sync, whoever comes meanwhile shares the next one, and
    when the one who runs it is cancelled, another takes over.
    """

    def __init__(self, sync: Callable[[], Awaitable[None]]) -> None:
        self._sync = sync
        self._running = False
        self._ended = Bell()
        self.written = 0
        """Bytes that were ever written; whoever writes counts them here."""
        self._durable = 0
        self.failure: DiskError | None = None
        """Why nothing can be made durable any more; then all of the journal raises this."""

    @property
    def unsynced(self) -> int:
        """Bytes that are written and not durable."""
        return self.written - self._durable

    def check(self) -> None:
        """Raise `Fenced` when a sync has failed."""
        if self.failure is not None:
            raise Fenced(str(self.failure)) from self.failure.__cause__

    async def wait(self) -> None:
        """Return when all that is written now is durable.  Raises `Fenced`."""
        aim = self.written
        self.check()
        while self._durable < aim:
            if self._running:
                await self._ended.wait()
            else:
                await self._run()
            self.check()

    async def _run(self) -> None:
        reached = self.written
        self._running = True
        try:
            await self._sync()
            self._durable = reached
        except DiskError as error:
            # The kernel may have dropped what it could not write, and the next sync would not tell (fsync(2)).
            self.failure = Fenced(f"the journal lost what was written last: {error}; restart when its disk is mended")
            self.failure.__cause__ = error
        finally:
            self._running = False
            self._ended.ring()
