"""Opening a store's directory and its disks; both functions block."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec

from g2disk.disk import DiskInfo
from g2disk.disk.identity import new_identity
from g2disk.errors import Invalid, OutOfSpace
from g2disk.stores.file.directory import Directory, check_length
from g2disk.stores.file.disk import FileDisk
from g2disk.stores.file.failures import explain, explained
from g2disk.stores.file.lock import Lock, share_lock, take_lock
from g2disk.stores.file.metadata import Metadata, instance
from g2disk.threads import Crew

_log = logging.getLogger(__name__)

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def open_directory(name: str | Path, *, read_only: bool) -> tuple[Directory, Lock | None]:
    """The directory of a store, made if it is missing, locked and swept; or, read-only, not touched."""
    if "\0" in str(name):
        raise Invalid("a directory's name cannot hold a null character; check the path")
    path = Path(os.path.abspath(os.path.expanduser(name)))
    directory = Directory(path, create=not read_only)
    try:
        if read_only:
            return directory, share_lock(directory.file, str(path))
        lock = take_lock(directory.file, str(path))
        try:
            directory.sweep()
        except BaseException:
            lock.release()
            raise
    except BaseException:
        directory.close()
        raise
    return directory, lock


def open_disk(directory: Directory, name: str, crew: Crew, *, read_only: bool) -> FileDisk:
    """The disk of that name.  Raises `NotFound`, `Corrupt`.

    What an earlier server wrote and did not flush is made durable first: if that fails, it counts as a loss.
    """
    path = f"{directory.path}/{name}/data"
    metadata = directory.load(name)
    file = directory.open_data(name, os.O_RDONLY if read_only else os.O_RDWR)
    try:
        check_length(file, metadata.size, path)
        if not read_only:
            metadata = _recover(directory, metadata, file, path)
        info = DiskInfo(
            size=metadata.size,
            identity=metadata.identity,
            instance=instance(metadata, _boot(), os.fstat(file).st_dev, os.fstat(file).st_ino),
            description=metadata.description or "sparse file",
            read_only=read_only,
        )
        return FileDisk(file, info, crew, path, partial(_note_loss, directory, name))
    except BaseException:
        os.close(file)
        raise


def _recover(directory: Directory, metadata: Metadata, file: int, path: str) -> Metadata:
    if os.fstat(file).st_size > metadata.size:  # an interrupted resize
        with explained(f"cutting {path}"):
            os.ftruncate(file, metadata.size)
    # The kernel tells of a failure once.  So it is noted before the kernel is asked, and that is taken back when all is
    # well; on a full file system, which has no room for the note, only afterwards.
    noted: Metadata | None = None
    with suppress(OutOfSpace):
        noted = _note_loss(directory, metadata.name)
    try:
        os.fsync(file)
    except OSError as error:
        failure = explain(error, f"writing out {path}")
        _log.error("%s; what was written since the last flush may be lost", failure)
        return noted or _note_loss(directory, metadata.name)
    return metadata if noted is None else directory.update(metadata.name, lambda _: metadata)


def _note_loss(directory: Directory, name: str) -> Metadata:
    return directory.update(name, lambda metadata: msgspec.structs.replace(metadata, losses=metadata.losses + 1))


def _boot() -> str:
    """A name for the time since the system was started; where the kernel does not tell, one for this moment."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return new_identity()
