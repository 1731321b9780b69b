"""What outlives a killed gateway: files, or a stand-in for `g2disk.remote.record_file` in memory that promises the same
and costs less.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from g2disk.remote.record_file import RecordFile
from g2disk.request import WRITE, Request


@dataclass
class Left:
    """What the process before left."""

    identity: str = ""
    instance: str = ""
    changes: Sequence[Request] = ()
    complete: bool = True
    empty: bool = True


@dataclass
class Files:
    """What is in the directory: the numbers of all unflushed changes, and the changes themselves where data is kept."""

    keep_data: bool
    identity: str = ""
    instance: str = ""
    unflushed: deque[Request | None] = field(default_factory=deque)


class MemoryLog:
    """One process's; an `UnflushedLog`."""

    def __init__(self, files: Files) -> None:
        self._files = files
        changes = [change for change in files.unflushed if change is not None]
        complete = len(changes) == len(files.unflushed)
        self.recovered = Left(files.identity, files.instance, changes, complete, not files.unflushed)
        self._begun = False

    def begin(self, identity: str) -> None:
        self._files.identity, self._files.instance = identity, ""
        self._files.unflushed.clear()
        self.recovered = Left()
        self._begun = True

    def acknowledged(self, instance: str, changes: Sequence[Request]) -> None:
        assert self._begun
        files = self._files
        if not files.unflushed:
            files.instance = instance
        files.unflushed.extend(_copy(change) if files.keep_data else None for change in changes)

    def covered(self, count: int) -> None:
        assert self._begun
        assert count <= len(self._files.unflushed)
        for _ in range(count):
            self._files.unflushed.popleft()

    def close(self) -> None:
        """Memory needs none."""


def _copy(change: Request) -> Request:
    data = bytes(change.data) if change.operation == WRITE else None
    return Request(change.operation, change.flags, change.offset, change.length, data=data)


class Directory:
    """Where gateways keep their records, one after the other: in this directory, or in memory."""

    def __init__(self, keep_data: bool, path: Path | None) -> None:
        self.keep_data = keep_data
        self._path = path
        self._files = Files(keep_data)

    def open(self) -> MemoryLog | RecordFile:
        """The record of a new process."""
        if self._path is None:
            return MemoryLog(self._files)
        return RecordFile.open(self._path, self.keep_data, boot="simulated")
