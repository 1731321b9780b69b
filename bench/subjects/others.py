"""NBD servers of other projects.  Those that serve a file get one on a tmpfs, so that all disks are memory."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench import usage
from bench.errors import BenchError
from bench.fio import Target
from bench.subjects.ours import NAME
from bench.subjects.subject import Subject

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where Linux has a tmpfs; the file goes into a new directory
_BYTEARRAY_PLUGIN = str(Path(__file__).with_name("bytearray_plugin.py"))
_KEEPER = str(Path(__file__).with_name("keeper.py"))


class NbdkitMemory(Subject):
    """nbdkit's own memory plugin: C, and no network behind it."""

    name = "nbdkit-memory"
    title = "nbdkit memory plugin (C)"
    programs = ("nbdkit",)

    def start(self, directory: Path, size: int) -> Target:
        """See `Subject.start`."""
        return self.nbdkit(directory, size, "memory", str(size))


class NbdkitPython(Subject):
    """nbdkit's Python plugin on a bytearray."""

    name = "nbdkit-python"
    title = "nbdkit Python plugin, bytearray"
    programs = ("nbdkit",)

    def start(self, directory: Path, size: int) -> Target:
        """See `Subject.start`."""
        return self.nbdkit(directory, size, "python", _BYTEARRAY_PLUGIN, f"size={size}")


class FileServer(Subject):
    """A server of one raw file."""

    def file(self, size: int) -> Path:
        """An empty file of that size on a tmpfs, until `stop`.  Raises `BenchError`."""
        try:
            directory = tempfile.TemporaryDirectory(prefix="g2disk-bench-", dir=_SHARED_MEMORY)
        except OSError as error:
            raise BenchError(
                f"{self.name} needs a tmpfs at {_SHARED_MEMORY}: {error}; leave it out with --subject"
            ) from error
        path = Path(self._stack.enter_context(directory)) / "disk"
        with path.open("wb") as file:
            os.truncate(file.fileno(), size)
        return path


class NbdkitFile(FileServer):
    """nbdkit's file plugin."""

    name = "nbdkit-file"
    title = "nbdkit file plugin (tmpfs)"
    programs = ("nbdkit",)

    def start(self, directory: Path, size: int) -> Target:
        """See `Subject.start`."""
        return self.nbdkit(directory, size, "file", str(self.file(size)))


class QemuNbd(FileServer):
    """QEMU's NBD server."""

    name = "qemu-nbd"
    title = "qemu-nbd (tmpfs)"
    programs = ("qemu-nbd",)

    def start(self, directory: Path, size: int) -> Target:
        """See `Subject.start`."""
        command = ["qemu-nbd", "--persistent", "--shared=16", "--format=raw", "--cache=writeback"]
        command += [f"--socket={self.socket(directory)}", str(self.file(size))]
        return self.reached(self.run("qemu-nbd", command, directory), directory, size)


class NbdServer(FileServer):
    """The reference server.  It cannot serve several connections without going into background."""

    name = "nbd-server"
    title = "nbd-server (tmpfs)"
    programs = ("nbd-server",)
    _daemon: Sequence[int] = ()

    def start(self, directory: Path, size: int) -> Target:
        """See `Subject.start`."""
        settings, pid_file = directory / "nbd-server.conf", directory / "nbd-server.pid"
        settings.write_text(
            f"[generic]\nunixsock={self.socket(directory)}\n[disk]\nexportname={self.file(size)}\nflush=true\nfua=true\n"
        )
        command = [sys.executable, _KEEPER, "nbd-server", "-C", str(settings), "-p", str(pid_file)]
        keeper = self.helper("keeper", command, directory)
        target = self.reached(keeper, directory, size, "disk")
        keeper.wait_until("it wrote its number", lambda: pid_file.exists() and pid_file.read_text().endswith("\n"))
        self._daemon = [int(pid_file.read_text())]
        return target

    def pids(self) -> Sequence[int]:
        """See `Subject.pids`."""
        return self._daemon


class Peer(Subject):
    """A server that somebody else started and will end."""

    def __init__(self, name: str, uri: str, pids: Sequence[int] = ()) -> None:
        super().__init__()
        self.name = self.title = name
        self._uri = uri
        self._pids = pids

    @classmethod
    def parse(cls, text: str) -> Peer:
        """The peer that NAME=NBD_URI stands for.  Raises `BenchError`."""
        name, _, uri = text.partition("=")
        if not NAME.fullmatch(name) or not re.match(r"nbds?(\+unix|\+vsock)?://", uri):
            raise BenchError(f"--peer {text}: write NAME=NBD_URI, such as go=nbd+unix:///?socket=/tmp/go.sock")
        return cls(name, uri)

    def watch(self, pids: Sequence[int]) -> None:
        """Count the cost of these processes as its own.  Raises `BenchError` unless they run."""
        usage.cpu_seconds(pids)
        self._pids = pids

    def start(self, directory: Path, size: int) -> Target:
        """See `Subject.start`; it runs already."""
        return Target(self._uri, size)

    def pids(self) -> Sequence[int]:
        """See `Subject.pids`."""
        return self._pids


def name_processes(peers: Sequence[Peer], texts: Sequence[str]) -> None:
    """Let each NAME=PID,PID name the processes of a peer.  Raises `BenchError`."""
    for text in texts:
        name, _, numbers = text.partition("=")
        if not re.fullmatch(r"\d+(,\d+)*", numbers):
            raise BenchError(f"--peer-pids {text}: write NAME=PID,PID, the name that of a --peer")
        found = [peer for peer in peers if peer.name == name]
        if not found:
            raise BenchError(f"--peer-pids {text}: there is no --peer {name}; give it too")
        found[0].watch([int(number) for number in numbers.split(",")])
