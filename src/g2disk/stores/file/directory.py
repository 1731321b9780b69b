"""`Directory`, where a file store keeps its disks; every change of it is atomic and durable.

    DIR/.lock                 held by the server
    DIR/NAME/disk.json        the disk's description, see `g2disk.stores.file.metadata`
    DIR/NAME/data             the disk's bytes, a sparse file
    DIR/NAME/disk.json.new    a description about to take effect
    DIR/.new.IDENTITY/        a disk about to be created
    DIR/.deleted.IDENTITY/    a disk that was deleted

The last three are left behind by a crash and are removed at the next start.  What else is in DIR is left alone.  Names
of disks begin with a letter or a digit, so the others do not get in their way.

All methods block.  Paths are looked up from the open directory: if it is deleted and made again, nothing is mixed up.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from g2disk.disk.identity import new_identity
from g2disk.errors import Corrupt, DiskError, Exists, Invalid, NotFound
from g2disk.stores.file.failures import explain, explained
from g2disk.stores.file.linux import largest_file
from g2disk.stores.file.metadata import Metadata, decode, encode
from g2disk.units import check_disk_name, format_size

_log = logging.getLogger(__name__)

_METADATA, _NEW_METADATA, _DATA = "disk.json", "disk.json.new", "data"
_NEW, _DELETED = ".new.", ".deleted."


class Directory:
    """The open directory of a store."""

    def __init__(self, path: Path, *, create: bool) -> None:
        self.path = path
        self._changing = threading.Lock()
        if create:
            _make(path)
        try:
            self.file = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise NotFound(f"there is no directory {path}; check the path, or create it") from error
        except NotADirectoryError as error:
            raise Invalid(f"{path} is not a directory; a file store needs one") from error
        except OSError as error:
            raise explain(error, f"opening {path}") from error

    def close(self) -> None:
        """Close the directory."""
        os.close(self.file)

    def names(self) -> list[str]:
        """The names of all disks, in order; also of damaged ones."""
        with self._explained("listing the disks of"):
            self._require()
            return sorted(name for name in self._entries() if _may_be_disk(name) and self._is_disk(name))

    def load(self, name: str) -> Metadata:
        """The description of a disk.  Raises `NotFound`, `Corrupt`."""
        if not _may_be_disk(name):
            raise self._missing(name)
        path = f"{self.path}/{name}/{_METADATA}"
        try:
            content = self._read(f"{name}/{_METADATA}")
        except FileNotFoundError as error:
            if self._exists(f"{name}/{_DATA}"):
                raise Corrupt(f"{path} is missing beside the disk's data; restore it from a copy") from error
            raise self._missing(name) from error
        except NotADirectoryError as error:
            raise self._missing(name) from error
        except OSError as error:
            raise explain(error, f"reading {path}") from error
        metadata = decode(content, path)
        if metadata.name != name:
            raise Corrupt(f"{path} describes the disk {metadata.name!r}; give its directory that name again")
        return metadata

    def allocated(self, name: str) -> int:
        """Bytes of storage that the disk's data takes up."""
        try:
            return os.stat(f"{name}/{_DATA}", dir_fd=self.file, follow_symlinks=False).st_blocks * 512
        except FileNotFoundError as error:
            raise self._without_data(name) from error
        except OSError as error:
            raise explain(error, f"looking at the disk {name!r} in {self.path}") from error

    def open_data(self, name: str, flags: int) -> int:
        """The disk's data, as an open file."""
        path = f"{self.path}/{name}/{_DATA}"
        try:
            # O_NONBLOCK means nothing for files, and keeps a FIFO from waiting for its other end.
            file = os.open(f"{name}/{_DATA}", flags | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=self.file)
        except FileNotFoundError as error:
            raise self._without_data(name) from error
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise Corrupt(f"{path} is a link and not a file; put the file itself there") from error
            raise explain(error, f"opening {path}") from error
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise Corrupt(f"{path} is not a file; restore it from a copy, or delete the disk")
        return file

    def build(self, metadata: Metadata) -> None:
        """Make a disk of zeroes.  Raises `Exists`."""
        name, new = metadata.name, f"{_NEW}{metadata.identity}"
        with self._explained(f"creating the disk {name!r} in"):
            self._require()
            if self._exists(name):
                raise Exists(f"there is a {name!r} in {self.path} already; take another name, or delete it first")
            try:
                os.mkdir(new, 0o700, dir_fd=self.file)
                self._write(f"{new}/{_METADATA}", encode(metadata))
                self._size_data(new, 0, metadata.size, os.O_CREAT)
                self._sync(new)
                os.rename(new, name, src_dir_fd=self.file, dst_dir_fd=self.file)
            except BaseException:
                self._remove(new)
                raise
            os.fsync(self.file)

    def update(self, name: str, change: Callable[[Metadata], Metadata]) -> Metadata:
        """Put another description in place of a disk's; returns it.  May be called in several threads."""
        with self._changing:
            metadata = change(self.load(name))
            with self._explained(f"changing the disk {name!r} in"):
                try:
                    self._write(f"{name}/{_NEW_METADATA}", encode(metadata))
                except OSError:
                    self._unlink(f"{name}/{_NEW_METADATA}")
                    raise
                os.rename(f"{name}/{_NEW_METADATA}", f"{name}/{_METADATA}", src_dir_fd=self.file, dst_dir_fd=self.file)
                self._sync(name)
            return metadata

    def stretch(self, name: str, size: int, larger: int) -> None:
        """Make a disk's data `larger` bytes; behind `size` it is zeroes.  Comes before the description's change."""
        with self._explained(f"growing the disk {name!r} in"):
            self._size_data(name, size, larger)

    def cut(self, name: str, size: int) -> None:
        """Make a disk's data `size` bytes, which is less than before.  Comes after the description's change."""
        with self._explained(f"shrinking the disk {name!r} in"):
            self._size_data(name, size, size)

    def discard(self, name: str) -> str:
        """Take a disk out of the store; returns what to give to `dispose`.  Raises `NotFound`."""
        if not _may_be_disk(name) or not self._is_disk(name):
            raise self._missing(name)
        trash = f"{_DELETED}{new_identity()}"
        with self._explained(f"deleting the disk {name!r} in"):
            os.rename(name, trash, src_dir_fd=self.file, dst_dir_fd=self.file)
            os.fsync(self.file)
        return trash

    def dispose(self, trash: str) -> None:
        """Give back the space of a discarded disk."""
        self._remove(trash)

    def sweep(self) -> None:
        """Remove what interrupted operations left behind."""
        with self._explained("removing what interrupted operations left in"):
            for name in self._entries():
                if name.startswith((_NEW, _DELETED)):
                    self._remove(name)
                elif _may_be_disk(name) and self._is_disk(name):
                    self._unlink(f"{name}/{_NEW_METADATA}")

    def _size_data(self, directory: str, size: int, larger: int, flags: int = 0) -> None:
        path = f"{directory}/{_DATA}"
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o600, dir_fd=self.file)
        try:
            check_length(file, size, f"{self.path}/{path}")
            os.ftruncate(file, size)
            if larger != size:
                self._extend(file, size, larger)
            os.fsync(file)
        finally:
            os.close(file)

    def _extend(self, file: int, size: int, larger: int) -> None:
        try:
            os.ftruncate(file, larger)
        except OSError as error:
            if error.errno != errno.EFBIG:
                raise
            most = largest_file(file)
            os.ftruncate(file, size)
            raise Invalid(
                f"a disk of {format_size(larger)} cannot be in {self.path}, whose file system holds files of up to "
                f"{most} bytes ({format_size(most)}); take a smaller size, or a directory on XFS, which holds 8EiB"
            ) from error

    def _read(self, path: str) -> bytes:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=self.file)
        with open(file, "rb") as reader:
            return reader.read()

    def _write(self, path: str, content: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        with open(os.open(path, flags, 0o600, dir_fd=self.file), "wb") as writer:
            writer.write(content)
            writer.flush()
            os.fsync(writer.fileno())

    def _sync(self, name: str) -> None:
        _sync_directory(name, self.file)

    def _entries(self) -> list[str]:
        # An open directory has one position, which threads would share: so each opens its own.
        file = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.file)
        try:
            return os.listdir(file)
        finally:
            os.close(file)

    def _exists(self, path: str) -> bool:
        try:
            os.stat(path, dir_fd=self.file, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def _is_disk(self, name: str) -> bool:
        return self._exists(f"{name}/{_METADATA}") or self._exists(f"{name}/{_DATA}")

    def _remove(self, name: str) -> None:
        if not self._exists(name):
            return
        try:
            shutil.rmtree(name, dir_fd=self.file)
        except OSError as error:
            _log.warning("cannot remove %s/%s: %s; it is tried again at the next start", self.path, name, error)

    def _unlink(self, path: str) -> None:
        if self._exists(path):
            os.unlink(path, dir_fd=self.file)

    def _missing(self, name: str) -> DiskError:
        return NotFound(f"there is no disk {name!r} in {self.path}; `g2disk list` shows which there are")

    def _without_data(self, name: str) -> DiskError:
        if not self._is_disk(name):
            return self._missing(name)
        return Corrupt(f"{self.path}/{name}/{_DATA} is missing; restore it from a copy, or delete the disk")

    def _require(self) -> None:
        if not os.fstat(self.file).st_nlink:
            raise NotFound(f"the directory {self.path} was deleted under the server; restart the server")

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        with explained(f"{doing} {self.path}"):
            yield


def check_length(file: int, size: int, path: str) -> None:
    """Raise `Corrupt` if an open file is shorter than the disk that it holds."""
    length = os.fstat(file).st_size
    if length < size:
        raise Corrupt(
            f"{path} has {length} bytes and must have {size}, so data is missing; restore it from a copy, "
            f"or go on with zeroes in its place: truncate -s {size} {path}"
        )


def _may_be_disk(name: str) -> bool:
    try:
        check_disk_name(name)
    except Invalid:
        return False
    return True


def _make(path: Path) -> None:
    """Create a directory, and those above it that are missing, durably."""
    with explained(f"creating the directory {path}"):
        missing = [at for at in (path, *path.parents) if not at.exists()]
        for directory in reversed(missing):
            directory.mkdir(0o700, exist_ok=True)
            _sync_directory(str(directory.parent))


def _sync_directory(path: str, base: int | None = None) -> None:
    file = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=base)
    try:
        os.fsync(file)
    finally:
        os.close(file)
