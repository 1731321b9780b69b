"""A handshake whose questions are answered at once."""

from __future__ import annotations

from collections.abc import Mapping

from g2disk.errors import DiskError, NotFound
from g2disk.nbd.constants import FLAG_HAS_FLAGS, FLAG_SEND_FLUSH
from g2disk.nbd.events import Closed, Event, ExportWanted, ListWanted, Ready
from g2disk.nbd.export import Export
from g2disk.nbd.handshake import Handshake

FLAGS = FLAG_HAS_FLAGS | FLAG_SEND_FLUSH
GREETING = b"NBDMAGICIHAVEOPT\x00\x03"
FIXED = b"\0\0\0\3"
"""Client flags: fixed newstyle, no zeroes."""
DISK = Export("disk", 0x1122334455667788, FLAGS, "ein Gerät", 512, 4096, 1 << 25)


class Conversation:
    """What a client sends goes in with `say`; `sent` holds all that went back, `events` what the shell was told."""

    def __init__(
        self, exports: Mapping[str, Export | DiskError] | None = None, listing: DiskError | None = None
    ) -> None:
        self.handshake = Handshake()
        self.exports = {"disk": DISK, "": DISK} if exports is None else exports
        self.listing = listing
        self.events: list[Event] = []
        self.sent = self.handshake.data_to_send()

    def say(self, data: bytes) -> bytes:
        """What the server sent in answer; bytes behind the end are not looked at."""
        if self.over:
            return b""
        event = self.handshake.receive(data)
        answer = self.handshake.data_to_send()
        while event is not None:
            self.events.append(event)
            event = self._answer(event)
            answer += self.handshake.data_to_send()
        self.sent += answer
        return answer

    @property
    def over(self) -> bool:
        """The handshake has ended."""
        return bool(self.events) and isinstance(self.events[-1], Ready | Closed)

    @property
    def ready(self) -> Ready:
        """How it ended."""
        last = self.events[-1]
        assert isinstance(last, Ready)
        return last

    def _answer(self, event: Event) -> Event | None:
        if isinstance(event, ExportWanted):
            export = self.exports.get(event.name) or NotFound(f"there is no disk {event.name!r}")
            return self.handshake.refuse(export) if isinstance(export, DiskError) else self.handshake.export(export)
        if isinstance(event, ListWanted):
            named = [(e.name, e.description) for key, e in self.exports.items() if key and isinstance(e, Export)]
            return self.handshake.refuse(self.listing) if self.listing else self.handshake.exports(named)
        return None
