"""`ObjectFiles`, the steps of `DirectoryObjects` on the file system; they block, and raise `OSError`."""

from __future__ import annotations

import fcntl
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from tempfile import mkstemp

from g2disk.disk import Buffer
from g2disk.objects.store import ObjectEntry

INCOMING = ".incoming"
"""The folder of files that are being written; no key begins with a dot."""

_VECTORS = 1024
"""Buffers that one call writes; IOV_MAX of Linux."""


class ObjectFiles:
    """Objects as files under `directory`.  Any number of threads may use one at once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._durable: set[Path] = set()
        """Folders that are there for good: we have synced those that they lie in.  Nobody ever removes one."""

    def prepare(self, make: bool = True) -> None:
        """Have the directory, made if `make` is set and its parent is there; remove what writers left that are dead.
        Raises `FileNotFoundError`.
        """
        incoming = self._directory / INCOMING
        if make:
            with suppress(FileExistsError):
                self._directory.mkdir()
        with suppress(FileExistsError):
            incoming.mkdir()
        self._keep(self._directory)
        for left in incoming.iterdir():
            _remove_if_left(left)

    def put(self, key: str, data: Sequence[Buffer]) -> None:
        """Store an object in the place of what was there."""
        self._store(key, data, os.replace)

    def create(self, key: str, data: Sequence[Buffer]) -> None:
        """Store an object where there is none.  Raises `FileExistsError`."""
        if (self._directory / key).exists():  # spares the writing; the link is what decides
            raise FileExistsError(key)
        self._store(key, data, os.link)

    def read(self, key: str, offset: int = 0, length: int | None = None) -> Buffer:
        """A range of an object, or all of it."""
        file = os.open(self._directory / key, os.O_RDONLY | os.O_CLOEXEC)
        try:
            end = os.fstat(file).st_size
            if length is not None:
                end = min(end, offset + length)
            data = os.pread(file, max(end - offset, 0), offset)
            while offset + len(data) < end and (more := os.pread(file, end - offset - len(data), offset + len(data))):
                data += more
            return data
        finally:
            os.close(file)

    def delete(self, key: str) -> None:
        """Remove an object, if it is there."""
        path = self._directory / key
        # What is missing may have been removed by a call that failed before it was durable.
        with suppress(FileNotFoundError, NotADirectoryError):
            if not path.is_dir():
                path.unlink(missing_ok=True)
            _sync_folder(path.parent)

    def listing(self, prefix: str, after: str) -> list[ObjectEntry]:
        """As `ObjectStore.list`."""
        found = [entry for entry in self._walk(prefix) if entry.key.startswith(prefix) and entry.key > after]
        found.sort(key=lambda entry: entry.key)
        return found

    def _store(self, key: str, data: Sequence[Buffer], give_name: Callable[[Path, Path], None]) -> None:
        target = self._directory / key
        with self._incoming() as (path, file):
            _write_all(file, data)
            os.fsync(file)
            self._keep(target.parent)
            give_name(path, target)
            _sync_folder(target.parent)

    @contextmanager
    def _incoming(self) -> Iterator[tuple[Path, int]]:
        """A new file for the block, locked, so that all can see that its writer lives."""
        while True:
            file, name = mkstemp(dir=self._directory / INCOMING)
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file).st_nlink:
                break
            os.close(file)  # it was removed before we had the lock
        path = Path(name)
        try:
            yield path, file
        finally:
            path.unlink(missing_ok=True)  # a rename has taken it away
            os.close(file)

    def _keep(self, folder: Path) -> None:
        """Make a folder, and those that it lies in, and have them survive a power cut."""
        if folder in self._durable:
            return
        if folder != self._directory:
            self._keep(folder.parent)
            with suppress(FileExistsError):
                folder.mkdir()
        # Also where it was there: who made it may not have synced it yet.
        _sync_folder(folder.parent)
        self._durable.add(folder)

    def _walk(self, prefix: str) -> Iterator[ObjectEntry]:
        """The objects in the folder that `prefix` lies in, and in those under it."""
        folders = [prefix.rpartition("/")[0]]
        while folders:
            folder = folders.pop()
            with suppress(NotADirectoryError, FileNotFoundError), os.scandir(self._directory / folder) as entries:
                for entry in entries:
                    key = f"{folder}/{entry.name}" if folder else entry.name
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(key)
                        continue
                    with suppress(FileNotFoundError):  # deleted meanwhile
                        status = entry.stat(follow_symlinks=False)
                        yield ObjectEntry(key, status.st_size, status.st_mtime)


def _write_all(file: int, data: Sequence[Buffer]) -> None:
    waiting = deque(memoryview(part) for part in data if len(part))
    while waiting:
        written = os.writev(file, list(islice(waiting, _VECTORS)))
        while waiting and written >= len(waiting[0]):
            written -= len(waiting.popleft())
        if written:
            waiting[0] = waiting[0][written:]


def _sync_folder(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _remove_if_left(path: Path) -> None:
    """Remove a file that nobody writes any more."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return  # its writer lives
    finally:
        os.close(file)
