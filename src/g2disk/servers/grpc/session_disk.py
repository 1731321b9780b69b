"""`SessionDisk`, the disk that a session was opened for, as it is by now."""

from __future__ import annotations

from g2disk.disk import Disk, DiskInfo
from g2disk.errors import Fenced, NotFound
from g2disk.remote.session_codec import ReplyHead, reply_prefix
from g2disk.servers.exports import Exports


class SessionDisk:
    """Follows the store: the disk may be deleted, or replaced, while sessions with it are open."""

    def __init__(self, exports: Exports, name: str, disk: Disk, attempt: int) -> None:
        self.name = name
        self.disk = disk
        self.info: DiskInfo = disk.info()
        """As it was when the session was opened."""
        self._exports = exports
        self._attempt = attempt
        self._instance = self.info.instance
        self._prefix = self._encoded()

    @property
    def is_current(self) -> bool:
        """Whether nothing speaks against it; if something does, `check` tells."""
        return self._exports.serves(self.name, self.disk)

    async def check(self) -> None:
        """Ask the store again.  Raises `Fenced` when another disk, or none, is served under the name."""
        try:
            _, self.disk = await self._exports.open(self.name, self.info.identity)
        except (NotFound, Fenced) as error:
            raise Fenced(f"the disk {self.name!r} is gone: {error}") from error

    def prefix(self) -> bytes:
        """What a reply begins with that is sent now.  Raises `Fenced` when this is another disk by now."""
        now = self.disk.info()
        if now.identity != self.info.identity:
            raise Fenced(f"the disk {self.name!r} is another one now")
        if now.instance != self._instance:
            self._instance = now.instance
            self._prefix = self._encoded()
        return self._prefix

    def _encoded(self) -> bytes:
        return reply_prefix(ReplyHead(self.info.identity, self._instance, self._attempt))
