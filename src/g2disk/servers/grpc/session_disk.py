"""`SessionDisk`, the disk that a session was opened for, as it is by now."""

from __future__ import annotations

from g2disk.disk import Disk, DiskInfo
from g2disk.errors import Fenced, NotFound
from g2disk.remote.pb import disk_pb2
from g2disk.remote.session_codec import ReplyHead, reply_prefix
from g2disk.servers.exports import Exports
from g2disk.servers.grpc.disk_service import describe


class SessionDisk:
    """Follows the store: the disk may be deleted, or replaced, while sessions with it are open."""

    def __init__(self, exports: Exports, name: str, disk: Disk, attempt: int) -> None:
        self.name = name
        self.disk = disk
        self.info: DiskInfo = disk.info()
        """As it was when the session was opened."""
        self._exports = exports
        self._attempt = attempt
        self._said = self._now = self.info
        """What the client was told last, and what the disk said last."""
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
        if now is not self._now:
            self._look(now)
        return self._prefix

    def news(self) -> disk_pb2.DescribeReply | None:
        """What the client is to be told, where the disk has become another than it was told; goes by `prefix`."""
        if self._said is self._now:
            return None
        self._said = self._now
        return describe(self.name, self._now)

    def _look(self, now: DiskInfo) -> None:
        if now.identity != self.info.identity:
            raise Fenced(f"the disk {self.name!r} is another one now")
        before, self._now = self._now, now
        if now.instance != before.instance:
            self._prefix = self._encoded()
        if now == self._said:
            self._said = now

    def _encoded(self) -> bytes:
        return reply_prefix(ReplyHead(self.info.identity, self._now.instance, self._attempt))
