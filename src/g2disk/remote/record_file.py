"""`RecordFile`, the changes that a server acknowledged and did not yet make durable, kept in files: they outlive a
gateway that is killed.

They do not outlive the machine: nothing here is synced to a device, as the kernel's block device is gone with the
machine too.  The format is in docs/record-file.md.
"""

from __future__ import annotations

import fcntl
import logging
import mmap
import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from g2disk.errors import Busy, from_os_error
from g2disk.remote.record_format import (
    MARKER,
    MOST_CHANGES,
    Batch,
    Data,
    Marker,
    decode_batches,
    decode_marker,
    encode_batch,
    encode_slot,
    fitting,
    recovered_changes,
)
from g2disk.request import Request
from g2disk.units import MIB

log = logging.getLogger(__name__)

_MARKER_NAME, _LOG_PREFIX = "unflushed", "unflushed."
_FULL = 8 * MIB
"""Bytes from which on a file of the log takes no further batch."""
_MODE = 0o600
"""The files hold what is on the disk."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Recovered:
    """What the process before left."""

    identity: str = ""
    """Of the disk that the record is from; empty: it has none, or nobody knows."""
    instance: str = ""
    """That acknowledged the oldest change."""
    changes: list[Request] = field(default_factory=list)
    """Unflushed, oldest first; where some are missing, those before them."""
    complete: bool = True
    """Whether all unflushed changes are there."""
    empty: bool = True
    """Whether nothing was unflushed."""


class RecordFile:
    """Made by `RecordFile.open`."""

    def __init__(self, directory: Path, keep_data: bool, file: int, boot: str) -> None:
        self._log = _Log(directory) if keep_data else None
        self._directory = directory
        self._file = file
        self._boot = boot
        self._begun = False
        raw = os.pread(file, MARKER, 0)
        os.posix_fallocate(file, 0, MARKER)  # so that no write to the mapped pages can fail
        self._pages = mmap.mmap(file, MARKER)
        said, whole = decode_marker(raw)
        self._marker = said or Marker()
        self.recovered = self._recover(said, whole)

    @classmethod
    def open(cls, directory: Path, keep_data: bool, boot: str | None = None) -> RecordFile:
        """The record in `directory`, which is made where it is missing; what is in it stays until `begin`.

        Without `keep_data` it only remembers that there are unflushed changes, and of which instance.  `boot` names the
        run of the machine (default: the kernel's boot id): what is left from another one is void, as the device that it
        was for is gone.  Raises `Busy` where another process has it, and what the system refuses.
        """
        path = directory / _MARKER_NAME
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return cls(directory, keep_data, file, _boot_id() if boot is None else boot)
            except BaseException:
                os.close(file)
                raise
        except BlockingIOError:
            raise Busy(f"another process keeps its record in {directory}; stop it, or take another directory") from None
        except OSError as error:
            raise from_os_error(error, f"opening the record in {directory}") from error

    def begin(self, identity: str) -> None:
        """Record changes of this disk from now on, and forget what was recovered.

        Raises what the system refuses; then nothing has begun, and it can be called again.
        """
        marker = self._marker
        marker.first, marker.boot, marker.identity, marker.instance = marker.after, self._boot, fitting(identity), ""
        self._note()
        try:
            if self._log is not None:
                self._log.close()
            _remove_logs(self._directory)
        except OSError as error:
            raise from_os_error(error, f"emptying the record in {self._directory}") from error
        self.recovered = Recovered()
        self._begun = True

    def acknowledged(self, instance: str, changes: Sequence[Request]) -> None:
        """A server of this instance acknowledged these writes, trims and zeroes, in this order.

        When it returns they survive the process.  Raises a `DiskError` when they cannot be kept: then they are counted
        all the same, also by `covered`, and the record is incomplete until that has counted beyond them.
        """
        assert self._begun
        if self._marker.clean:
            self._marker.instance = fitting(instance)
        try:
            if self._log is not None:
                self._log.append(self._marker.after, changes)
        except OSError as error:
            raise from_os_error(error, f"keeping unflushed changes in {self._directory}") from error
        finally:
            self._marker.after += len(changes)
            self._note()

    def covered(self, count: int) -> None:
        """The `count` oldest changes are durable; no more are counted than there are since `begin`."""
        marker = self._marker
        marker.first = min(marker.first + count, marker.after)
        self._note()
        if self._log is not None:
            self._log.covered(marker.first, marker.clean)

    def close(self) -> None:
        """Let others have the record, whose content stays.  Does nothing when called again."""
        if self._pages.closed:
            return
        if self._log is not None:
            self._log.close()
        try:
            if self._begun and self._marker.clean:
                _remove_logs(self._directory)
        except OSError as error:
            raise from_os_error(error, f"emptying the record in {self._directory}") from error
        finally:
            self._pages.close()
            os.close(self._file)

    def _note(self) -> None:
        self._marker.generation += 1
        at, raw = encode_slot(self._marker)
        self._pages[at : at + len(raw)] = raw

    def _recover(self, said: Marker | None, whole: bool) -> Recovered:
        if said is None:
            # A marker that was never written has no log beside it.
            lost = not whole or any(_logs(self._directory))
            return Recovered(complete=not lost, empty=not lost)
        if said.boot != self._boot:
            if not (whole and said.clean):
                log.warning("= %s: unflushed changes from before the machine's restart are void", self._directory)
            return Recovered(said.identity)
        if not whole:  # the other slot may have been the newer one
            return Recovered(said.identity, said.instance, complete=False, empty=False)
        if said.clean:
            return Recovered(said.identity)
        batches = [batch for path in _logs(self._directory) for batch in _batches(path)]
        changes, complete = recovered_changes(said, batches)
        return Recovered(said.identity, said.instance, changes, complete, empty=False)


class _LogFile:
    """One of the files that batches are written to, from its beginning."""

    def __init__(self, path: Path) -> None:
        self.file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _MODE)
        self.end = 0
        """Bytes of the batches in it."""
        self.after = 0
        """The number behind the last change in it."""

    def append(self, parts: list[Data], after: int) -> None:
        """Write a batch, in one call unless the system takes only some of it.  Raises `OSError`, and keeps nothing."""
        at = self.end
        while parts:
            written = os.pwritev(self.file, parts, at)
            at += written
            parts = _behind(parts, written)
        self.end, self.after = at, after


class _Log:
    """The batches, in files that are used again when all in them is durable."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._used: deque[_LogFile] = deque()
        """Oldest first; the last one is written to."""
        self._spare: list[_LogFile] = []

    def append(self, sequence: int, changes: Sequence[Request]) -> None:
        """Keep these changes, numbered from `sequence` on.  Raises `OSError`."""
        for start in range(0, len(changes), MOST_CHANGES):
            some = changes[start : start + MOST_CHANGES]
            number = sequence + start
            self._current().append(encode_batch(number, some), number + len(some))

    def covered(self, first: int, clean: bool) -> None:
        """What comes before the change of this number is durable; `clean`: nothing comes after it."""
        used = self._used
        while len(used) > 1 and used[0].after <= first:
            self._spare.append(used.popleft())
        if clean and used:
            used[0].end = 0

    def close(self) -> None:
        """Close the files."""
        for log_file in (*self._used, *self._spare):
            os.close(log_file.file)
        self._used.clear()
        self._spare.clear()

    def _current(self) -> _LogFile:
        if self._used and self._used[-1].end < _FULL:
            return self._used[-1]
        if self._spare:
            log_file = self._spare.pop()
            log_file.end = 0
        else:
            log_file = _LogFile(self._directory / f"{_LOG_PREFIX}{len(self._used)}")
        self._used.append(log_file)
        return log_file


def _behind(parts: list[Data], written: int) -> list[Data]:
    """What is left of `parts` behind the first `written` bytes."""
    for index, part in enumerate(parts):
        if written < len(part):
            return [memoryview(part)[written:], *parts[index + 1 :]]
        written -= len(part)
    return []


def _logs(directory: Path) -> list[Path]:
    return list(directory.glob(f"{_LOG_PREFIX}*"))


def _remove_logs(directory: Path) -> None:
    for path in _logs(directory):
        path.unlink(missing_ok=True)


def _batches(path: Path) -> list[Batch]:
    """What a file holds; nothing where it cannot be read: then something is missing, and that is found out."""
    try:
        return list(decode_batches(path.read_bytes()))
    except OSError as error:
        log.warning("! %s", from_os_error(error, f"reading {path}"))
        return []


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
