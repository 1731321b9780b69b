"""`Record`, the changes that a server has acknowledged and no flush has covered yet: what a client sends again when
the server comes back without them.

Pure, but for the log that it may be given.  The precedent is the write verifier of NFS version 3 (RFC 1813, COMMIT).
Source: proto/g2disk/v1/disk.proto, "IDENTITY AND INSTANCE" and "SURVIVAL".
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from typing import Protocol, TypeAlias

from g2disk.errors import DiskError
from g2disk.request import FUA, WRITE, Request

log = logging.getLogger(__name__)

Change: TypeAlias = tuple[int, int, int, int, bytes, int]
"""Operation, flags, offset, length; of a write also the bytes that hold its data, and where in them it begins."""

CHANGE_COST = 256
"""Bytes that a change counts beside its data."""


class Recovered(Protocol):
    """What a log holds that the process before left."""

    @property
    def identity(self) -> str:
        """The disk's."""

    @property
    def instance(self) -> str:
        """That acknowledged the changes."""

    @property
    def changes(self) -> Sequence[Request]:
        """The oldest first."""

    @property
    def complete(self) -> bool:
        """Whether these are all."""

    @property
    def empty(self) -> bool:
        """Whether nothing was unflushed."""


class UnflushedLog(Protocol):
    """Remembers the record, or at least that there is one, when this process is killed; see
    `g2disk.remote.record_file`.
    """

    @property
    def recovered(self) -> Recovered:
        """What the process before left."""

    def begin(self, identity: str) -> None:
        """From now on it is the record of this disk; what was recovered is settled."""

    def acknowledged(self, instance: str, changes: Sequence[Request]) -> None:
        """These are about to be reported as done.  Raises a `DiskError` when it cannot keep them; it remembers then
        that something is missing.
        """

    def covered(self, count: int) -> None:
        """The `count` oldest are durable."""


class Record:
    """Changes in the order in which they were acknowledged, all by one instance of the server.

    An instance that is empty is unknown, and compared with nothing.
    """

    def __init__(self, limit: int, keeper: UnflushedLog | None) -> None:
        self.instance = ""
        """Which acknowledged what is in the record."""
        self.bytes = 0
        """Of data, and some for each change."""
        self._limit = limit
        self._keeper = keeper
        self._batches: deque[tuple[Sequence[Change], int]] = deque()
        """What was answered together, and its bytes."""
        self._count = 0
        """Changes in all of them."""
        self._complains = False
        """It was said that the keeper fails."""
        self._dropped = 0
        """Changes that were in the record before and are durable."""

    def __len__(self) -> int:
        return self._count

    @property
    def room(self) -> int:
        """Bytes that may still be added."""
        return self._limit - self.bytes

    @property
    def data_bytes(self) -> int:
        """Of data alone."""
        return self.bytes - CHANGE_COST * self._count

    @property
    def wants_flush(self) -> bool:
        """Whether it is time to flush, without being asked to."""
        return self.bytes * 2 > self._limit

    def contradicts(self, instance: str) -> bool:
        """Whether a server that says this instance may have lost something of the record."""
        return self.doubts(instance) and bool(instance) and bool(self.instance)

    def doubts(self, instance: str) -> bool:
        """Whether a server that says this instance in a new session may have: an unknown one may be any."""
        return self._count > 0 and (instance != self.instance or not instance)

    def acknowledged(self, instance: str, requests: Sequence[Request], changes: Sequence[Change]) -> None:
        """These were answered: `requests` as they were made, and `changes` the same with data that stays.

        What was durable when it was answered is kept, too, where something older is there: sent again, that would
        land on it.
        """
        if not self._count:
            if all(request.flags & FUA for request in requests):
                return
            self.instance = instance
        elif not self.instance:
            self.instance = instance
        size = _cost(requests)
        self._batches.append((changes, size))
        self._count += len(changes)
        self.bytes += size
        if self._keeper is not None:
            try:
                self._keeper.acknowledged(instance, requests)
                self._complains = False
            except DiskError as error:
                if not self._complains:
                    log.error(
                        "! the unflushed record is not kept: %s; if this process is killed now, writes may be lost",
                        error,
                    )

    def mark(self) -> int:
        """To be taken when a flush is sent, and given to `flushed`."""
        return self._dropped + self._count

    def flushed(self, mark: int) -> None:
        """A flush was answered by the record's instance: what was there when it was sent is durable."""
        count = mark - self._dropped
        if count <= 0:
            return
        self._dropped = mark
        self._count -= count
        left = count
        while left:  # a mark never parts what was answered together
            changes, size = self._batches.popleft()
            left -= len(changes)
            self.bytes -= size
        if self._keeper is not None:
            self._keeper.covered(count)

    def again(self) -> list[Request]:
        """The changes as requests, the oldest first."""
        return [
            Request(operation, flags, offset, length, data=memoryview(data)[at : at + length])
            if operation == WRITE
            else Request(operation, flags, offset, length)
            for changes, _ in self._batches
            for operation, flags, offset, length, data, at in changes
        ]

    def clear(self) -> None:
        """All of it is durable, or a person has given it up."""
        self.flushed(self.mark())


def _cost(requests: Sequence[Request]) -> int:
    data = sum([request.length for request in requests if request.operation == WRITE])
    return data + CHANGE_COST * len(requests)
