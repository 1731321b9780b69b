"""g2disk in its several forms, and the simplest gateway that one could put before its target server."""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from pathlib import Path

import g2disk
from bench.errors import BenchError
from bench.fio import Target
from bench.subjects.subject import Subject

NAME = re.compile(r"[A-Za-z0-9._-]+")
G2DISK = str(Path(sys.executable).with_name("g2disk"))
_SOURCE = Path(g2disk.__file__).parents[1]
_PACKAGES = sysconfig.get_path("purelib")
_NO_RECORD = str(Path(__file__).with_name("no_record.py"))
_UNARY_PLUGIN = str(Path(__file__).with_name("unary_plugin.py"))


class G2disk(Subject):
    """What has `g2disk serve memory:` behind it."""

    _source = _SOURCE

    def target_server(self, directory: Path, size: int, *options: str, store: str = "memory:") -> str:
        """Start `g2disk serve` with a disk of that size, or the store's own where that is 0; its endpoint."""
        disk = ["--disk", f"default={size}"] if size else []
        command = [G2DISK, "serve", store, *disk, "--listen", "127.0.0.1:0", *options]
        line = self.run("server", command, directory, python_path(self._source), talks=True).read_line()
        found = re.search(r" on ([^,; ]+)", line)
        if found is None:
            raise BenchError(f"g2disk serve printed no address: {line}")
        return found[1]


class G2diskNbd(G2disk):
    """Our NBD server as a gateway, over gRPC, to our target server."""

    name = "g2disk-nbd"
    title = "g2disk NBD server over gRPC"
    ours = True

    def start(self, directory: Path, size: int) -> Target:
        """See `Subject.start`."""
        endpoint = self.target_server(directory, size)
        command = [G2DISK, "nbd", "--endpoint", endpoint, "--listen", f"unix:{self.socket(directory)}"]
        return self.reached(self.run("nbd", command, directory, python_path(self._source)), directory, size)


class G2diskNoRecord(G2diskNbd):
    """The same without the record of unflushed changes, for what that costs."""

    name = "g2disk-no-record"
    title = "g2disk NBD server over gRPC, without its record"

    def start(self, directory: Path, size: int) -> Target:
        """See `Subject.start`."""
        endpoint = self.target_server(directory, size)
        command = [sys.executable, _NO_RECORD, "nbd", "--endpoint", endpoint]
        command += ["--listen", f"unix:{self.socket(directory)}"]
        return self.reached(self.run("nbd", command, directory, python_path(self._source)), directory, size)


class G2diskDirect(G2disk):
    """Our target server, speaking NBD itself."""

    name = "g2disk-direct"
    title = "g2disk NBD server, direct"
    ours = True

    endpoint = ""
    """Where it serves gRPC, once it has started."""

    def start(self, directory: Path, size: int) -> Target:
        """See `Subject.start`."""
        self.endpoint = self.target_server(directory, size, "--nbd", f"unix:{self.socket(directory)}")
        return self.reached(self._processes[-1], directory, size)


class G2diskPlugin(G2disk):
    """Our nbdkit plugin, over gRPC, on our target server."""

    name = "g2disk-plugin"
    title = "g2disk nbdkit plugin over gRPC"
    ours = True

    @classmethod
    def of_tree(cls, text: str) -> G2diskPlugin:
        """The plugin and the server of another checkout, given as NAME=DIRECTORY.  Raises `BenchError`."""
        name, _, directory = text.partition("=")
        source = Path(directory).resolve() / "src"
        if not NAME.fullmatch(name) or not (source / "g2disk").is_dir():
            raise BenchError(f"--tree {text}: write NAME=DIRECTORY, the directory a checkout of g2disk")
        made = cls()
        made.name, made.title, made._source = name, f"{cls.title} ({name})", source
        return made

    def start(self, directory: Path, size: int) -> Target:
        """See `Subject.start`."""
        endpoint = self.target_server(directory, size)
        plugin = self._source / "g2disk/servers/nbdkit/plugin.py"
        env = {**python_path(self._source), "VIRTUAL_ENV": sys.prefix}
        return self.nbdkit(directory, size, "-t", "64", "python", str(plugin), f"endpoint={endpoint}", env=env)


class UnaryPlugin(G2disk):
    """The simplest nbdkit plugin in Python, one blocking gRPC call a request, on our target server."""

    name = "unary-plugin"
    title = "one unary call a request"

    def start(self, directory: Path, size: int) -> Target:
        """See `Subject.start`."""
        endpoint = self.target_server(directory, size)
        env = python_path(self._source)
        return self.nbdkit(directory, size, "python", _UNARY_PLUGIN, f"endpoint={endpoint}", env=env)


def python_path(source: Path = _SOURCE) -> dict[str, str]:
    """The environment in which any Python imports g2disk from `source`, and the rest from our packages."""
    return {"PYTHONPATH": os.pathsep.join((str(source), _PACKAGES))}
