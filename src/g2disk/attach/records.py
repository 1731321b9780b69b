"""What is attached, kept in a directory that lives as long as the machine runs: one subdirectory an attachment."""

from __future__ import annotations

import contextlib
import enum
import fcntl
import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from g2disk.attach.processes import Process
from g2disk.errors import Busy, Corrupt, Denied, from_os_error

log = logging.getLogger(__name__)

_STATE, _LOCK, _DAEMON_LOCK = "state.json", "lock", "daemon.lock"


class Via(enum.StrEnum):
    """What turns the disk into NBD."""

    NBD = "nbd"
    """g2disk itself."""
    NBDKIT = "nbdkit"
    """nbdkit with g2disk's plugin."""


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """A disk that is attached, or is about to be."""

    version: Literal[1] = 1
    disk: str
    """The disk's name at the server."""
    endpoint: str
    identity: str
    size: int
    """Bytes."""
    read_only: bool
    kind: Literal["kernel", "fuse"]
    target: str = ""
    """The device or the file; empty until there is one."""
    via: Via = Via.NBD
    timeout: float = 0.0
    """Seconds that a request waits for a server that is away; 0: for ever."""
    gateway: Process | None = None
    """The process that serves a file, or nbdkit."""
    fuse: Process | None = None
    """nbdfuse, where the kind is fuse."""
    made_file: bool = False
    """Attaching created the file, so detaching removes it."""
    daemon: Process | None = None
    """Where the kind is kernel, the process that answers the kernel; the last one, where none lives."""
    asked: str = ""
    """The disk's name as the user wrote it; empty: the server's default."""
    served: str = ""
    """The disk's name as the server is asked for it; empty where it has only one."""
    wanted: str = ""
    """The device that the user named; empty: a free one."""
    backend: str = ""
    """Names the attachment to the kernel, which shows it beside the device."""
    client: str = ""
    """16 bytes in hexadecimal, which name the attachment to the server."""
    generation: int = 0
    """Counts the daemons."""
    connections: int = 1
    """Sockets of the device, which the kernel never changes."""
    record: str = ""
    """The directory for unflushed data; empty: it is not kept."""

    def serves(self, endpoint: str, disk: str) -> bool:
        """Whether this is the disk that a user means by these."""
        return self.endpoint == endpoint and disk in (self.disk, self.asked)

    @property
    def where(self) -> str:
        """The target for people."""
        return self.target or "nothing yet"


@dataclass(frozen=True, slots=True)
class Slot:
    """An attachment's directory, locked by this process."""

    path: Path

    @property
    def socket(self) -> Path:
        """Where the gateway listens."""
        return self.path / "nbd.sock"

    @property
    def gateway_log(self) -> Path:
        """What the gateway says."""
        return self.path / "gateway.log"

    @property
    def fuse_log(self) -> Path:
        """What nbdfuse says."""
        return self.path / "nbdfuse.log"

    @property
    def daemon_log(self) -> Path:
        """What the daemon says."""
        return self.path / "daemon.log"

    @property
    def control(self) -> Path:
        """Where the daemon takes orders."""
        return self.path / "control.sock"

    def unflushed_at(self, attachment: Attachment) -> Path:
        """Where the daemon remembers what is unflushed: in the directory that the user named, if any, which other run
        directories may share.
        """
        if attachment.record:
            return Path(attachment.record) / f"g2disk-{attachment.client}"
        return self.path / "unflushed"

    @contextmanager
    def for_daemon(self) -> Iterator[None]:
        """The right to be the attachment's daemon, while the block runs.  Raises `Busy` where one lives."""
        with _locked(self.path / _DAEMON_LOCK, wait=False) as ours:
            if not ours:
                raise Busy("the daemon of this attachment lives already; `g2disk status` shows it")
            yield

    def load(self) -> Attachment:
        """What was saved last.  Raises FileNotFoundError, `Corrupt`."""
        return _load(self.path)

    def save(self, attachment: Attachment) -> Attachment:
        """Keep `attachment`, and return it; whoever reads meanwhile sees the one before."""
        new = self.path / f"{_STATE}.new"
        new.write_bytes(msgspec.json.format(msgspec.json.encode(attachment), indent=2))
        new.replace(self.path / _STATE)
        return attachment

    def remove(self) -> None:
        """Forget the attachment, its logs too."""
        # The state goes first: what is left behind by a crash in between counts as nothing.
        (self.path / _STATE).unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):  # removed meanwhile, as the socket of a daemon that ends
            shutil.rmtree(self.path)


class RunDirectory:
    """The directory of all attachments of one user."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def all(self) -> list[tuple[Path, Attachment]]:
        """Every attachment and its directory, oldest first; the log says which are damaged and so left out."""
        found = []
        for path in sorted(_numbered(self.path), key=lambda path: int(path.name)):
            try:
                found.append((path, _load(path)))
            except FileNotFoundError:
                continue
            except Corrupt as error:  # one that is damaged must not keep anyone from the others
                log.warning("! %s", error)
        return found

    @contextmanager
    def new(self) -> Iterator[Slot]:
        """A fresh slot, locked while the block runs."""
        _make_private(self.path)
        for number in range(1, 1 << 20):
            path = self.path / str(number)
            path.mkdir(mode=0o700, exist_ok=True)
            with _locked(path / _LOCK, wait=False) as ours:
                if ours and not (path / _STATE).exists():
                    yield Slot(path)
                    return
        raise Busy(f"{self.path} is full; remove what is left over in it")

    @contextmanager
    def locked(self, path: Path) -> Iterator[Slot]:
        """An existing slot, locked while the block runs.  Raises `Busy`."""
        with _locked(path / _LOCK, wait=False) as ours:
            if not ours:
                raise Busy("another g2disk command is attaching or detaching this disk; wait until it is done")
            yield Slot(path)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """The whole directory, for as long as it takes to look and to save."""
        with _locked(self.path / _LOCK, wait=True):
            yield


def run_directory(environment: Mapping[str, str]) -> RunDirectory:
    """The calling user's: G2DISK_RUN_DIR, else /run/g2disk for root, else below XDG_RUNTIME_DIR or the temporary
    directory.
    """
    user = os.geteuid()
    if given := environment.get("G2DISK_RUN_DIR"):
        return RunDirectory(Path(given).absolute())
    if user == 0:
        return RunDirectory(Path("/run/g2disk"))
    if runtime := environment.get("XDG_RUNTIME_DIR"):
        return RunDirectory(Path(runtime) / "g2disk")
    return RunDirectory(Path(tempfile.gettempdir()) / f"g2disk-{user}")


def _make_private(path: Path) -> None:
    """Have a directory that only this user can look into: whoever owns it could redirect us."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.lstat()
    except OSError as error:
        raise from_os_error(error, f"making {path}") from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise Denied(f"{path} is not a directory of yours that nobody else can enter; remove it, or set G2DISK_RUN_DIR")


def _numbered(path: Path) -> list[Path]:
    try:
        return [entry for entry in path.iterdir() if entry.name.isdecimal()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise from_os_error(error, f"reading {path}") from error


def _load(path: Path) -> Attachment:
    file = path / _STATE
    try:
        return msgspec.json.decode(file.read_bytes(), type=Attachment)
    except msgspec.DecodeError as error:
        raise Corrupt(f"{file} is damaged: {error}; detach by hand what it names, then remove {path}") from error


@contextmanager
def _locked(path: Path, wait: bool) -> Iterator[bool]:
    """A lock that ends with its process; whether it is ours."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        yield False  # the directory was removed meanwhile
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        # A lock on a file that was removed meanwhile keeps nobody out.
        yield path.exists() and os.path.samestat(path.stat(), os.fstat(descriptor))
    finally:
        os.close(descriptor)
