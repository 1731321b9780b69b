"""`Unsettled`, which knows what a server that opens a session must be sent before anything else: what it has lost of
this client's record, or of the record that the process before left.

Pure, but for the keeper of the record.  Source: proto/g2disk/v1/disk.proto, "IDENTITY AND INSTANCE" and "SURVIVAL".
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from g2disk.errors import Fenced
from g2disk.remote.pb import disk_pb2
from g2disk.remote.record import Record, UnflushedLog
from g2disk.remote.replay import Replay
from g2disk.request import Request

log = logging.getLogger(__name__)


class Lost(Exception):
    """Unflushed changes are gone for good; the disk fails until a person accepts that."""

    def __init__(self, reason: Fenced) -> None:
        super().__init__(str(reason))
        self.reason = reason


class Unsettled:
    """The record of one disk, and what was inherited of it."""

    def __init__(self, record: Record, keeper: UnflushedLog | None, endpoint: str) -> None:
        """`endpoint` is the server's, for people."""
        self._record = record
        self._keeper = keeper
        self._endpoint = endpoint
        self._inherited = keeper is not None and not keeper.recovered.empty
        """What the process before left unflushed is not settled yet."""

    def replay(self, said: disk_pb2.DescribeReply, longest: int) -> Replay | None:
        """What must be sent, in writes of at most `longest` bytes, to a server that describes the disk so; None:
        nothing.  Raises `Lost`.

        What another process left is flushed at least, so that from then on only this one's counts.
        """
        if not said.capabilities.flush:
            self.settle(said.identity)
            return None
        if self._inherited:
            return Replay(said.instance, self._inherited_changes(said), longest)
        if self._record.doubts(said.instance):
            log.warning(
                "= %s was restarted, or lost writes: sending it %d unflushed changes (%d bytes) again",
                self._endpoint,
                len(self._record),
                self._record.data_bytes,
            )
            return Replay(said.instance, self._record.again(), longest)
        if self._keeper is not None and not len(self._record):
            self._keeper.begin(said.identity)
        return None

    def settle(self, identity: str) -> None:
        """All of it is durable, or was given up; from now on the record is of the disk with that identity."""
        self._record.clear()
        self._inherited = False
        if self._keeper is not None:
            self._keeper.begin(identity)

    def _inherited_changes(self, said: disk_pb2.DescribeReply) -> Sequence[Request]:
        assert self._keeper is not None
        left = self._keeper.recovered
        if left.identity != said.identity:
            raise Lost(Fenced("the record of unflushed writes that was found belongs to another disk"))
        if left.instance and left.instance == said.instance:
            return ()
        if not left.complete:
            raise Lost(
                Fenced(
                    "this gateway was killed while it had unflushed writes, and the server was restarted since: "
                    "they may be lost"
                )
            )
        return left.changes
