"""The subjects: NBD servers to be measured.  To add one, write a class like those here and name it in `SUBJECTS`."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path

import g2disk
from bench.errors import BenchError
from bench.processes import Process, can_connect, running

_SOURCE = Path(g2disk.__file__).parents[1]
_PACKAGES = sysconfig.get_path("purelib")
_G2DISK = str(Path(sys.executable).with_name("g2disk"))
_UNARY_PLUGIN = str(Path(__file__).with_name("unary_plugin.py"))
_NAME = re.compile(r"[A-Za-z0-9._-]+")


class Subject:
    """An NBD server that runs between `start` and `stop`."""

    name: str
    """On the command line and in results."""
    title: str
    """For people, in tables and plots; begins in lower case where grammar does."""
    ours: bool = False
    """Whether others are to be compared with it."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._processes: list[Process] = []

    def start(self, directory: Path, size: int) -> str:
        """Serve an export of at least `size` bytes; its NBD URI.  Sockets and logs go to `directory`."""
        raise NotImplementedError

    def stop(self) -> None:
        """End all that `start` started, however far it came."""
        self._processes.clear()
        self._stack.close()

    def cpu_seconds(self) -> float | None:
        """Processor time of its processes so far; None where they are not ours to watch."""
        return sum(process.cpu_seconds() for process in self._processes)

    def run(
        self,
        program: str,
        command: Sequence[str],
        directory: Path,
        env: Mapping[str, str] | None = None,
        talks: bool = False,
    ) -> Process:
        """Start a program that `stop` ends; see `processes.running`."""
        name = f"{self.name}.{program}"
        process = self._stack.enter_context(running(name, command, directory, env=env, talks=talks))
        self._processes.append(process)
        return process

    def nbdkit(self, directory: Path, *arguments: str, env: Mapping[str, str] | None = None) -> str:
        """Start nbdkit with a plugin and its parameters; the NBD URI of its default export."""
        path = directory / f"{self.name}.sock"
        process = self.run("nbdkit", ["nbdkit", "-f", "-U", str(path), *arguments], directory, env)
        process.wait_until("it listened", lambda: path.exists() and can_connect(path))
        return f"nbd+unix:///?socket={path}"

    def target_server(self, directory: Path, size: int, source: Path = _SOURCE) -> str:
        """Start `g2disk serve` with a memory disk; its endpoint."""
        command = [_G2DISK, "serve", "memory:", "--disk", f"default={size}", "--listen", "127.0.0.1:0"]
        line = self.run("server", command, directory, _python_path(source), talks=True).read_line()
        found = re.search(r" on ([^,; ]+)", line)
        if found is None:
            raise BenchError(f"g2disk serve printed no address: {line}")
        return found[1]


class G2diskPlugin(Subject):
    """Our nbdkit plugin, over gRPC, on our target server."""

    name = "g2disk-plugin"
    title = "g2disk plugin over gRPC"
    ours = True
    _source = _SOURCE

    @classmethod
    def of_tree(cls, text: str) -> G2diskPlugin:
        """The plugin and the server of another checkout, given as NAME=DIRECTORY.  Raises `BenchError`."""
        name, _, directory = text.partition("=")
        source = Path(directory).resolve() / "src"
        if not _NAME.fullmatch(name) or not (source / "g2disk").is_dir():
            raise BenchError(f"--tree {text}: write NAME=DIRECTORY, the directory a checkout of g2disk")
        made = cls()
        made.name, made.title, made._source = name, f"{cls.title} ({name})", source
        return made

    def start(self, directory: Path, size: int) -> str:
        """See `Subject.start`."""
        endpoint = self.target_server(directory, size, self._source)
        plugin = self._source / "g2disk/servers/nbdkit/plugin.py"
        env = {**_python_path(self._source), "VIRTUAL_ENV": sys.prefix}
        return self.nbdkit(directory, "python", str(plugin), f"endpoint={endpoint}", env=env)


class UnaryPlugin(Subject):
    """The simplest nbdkit plugin in Python, one blocking gRPC call a request, on our target server."""

    name = "unary-plugin"
    title = "one unary call a request"

    def start(self, directory: Path, size: int) -> str:
        """See `Subject.start`."""
        endpoint = self.target_server(directory, size)
        return self.nbdkit(directory, "python", _UNARY_PLUGIN, f"endpoint={endpoint}", env=_python_path(_SOURCE))


class NbdkitMemory(Subject):
    """nbdkit's own memory plugin: C, and no network behind it."""

    name = "nbdkit-memory"
    title = "nbdkit memory plugin (C, no gRPC)"

    def start(self, directory: Path, size: int) -> str:
        """See `Subject.start`."""
        return self.nbdkit(directory, "memory", str(size))


class Peer(Subject):
    """A server that somebody else started and will end."""

    def __init__(self, name: str, uri: str) -> None:
        super().__init__()
        self.name = self.title = name
        self._uri = uri

    @classmethod
    def parse(cls, text: str) -> Peer:
        """The peer that NAME=NBD_URI stands for.  Raises `BenchError`."""
        name, _, uri = text.partition("=")
        if not _NAME.fullmatch(name) or not re.match(r"nbds?(\+unix|\+vsock)?://", uri):
            raise BenchError(f"--peer {text}: write NAME=NBD_URI, such as go=nbd+unix:///?socket=/tmp/go.sock")
        return cls(name, uri)

    def start(self, directory: Path, size: int) -> str:
        """See `Subject.start`; it runs already."""
        return self._uri

    def cpu_seconds(self) -> float | None:
        """Not ours to watch."""
        return None


def _python_path(source: Path) -> dict[str, str]:
    """The environment in which any Python imports g2disk from `source`, and the rest from our packages."""
    return {"PYTHONPATH": os.pathsep.join((str(source), _PACKAGES))}


SUBJECTS: tuple[type[Subject], ...] = (G2diskPlugin, UnaryPlugin, NbdkitMemory)
"""In the order of a round."""
