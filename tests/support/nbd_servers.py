"""g2disk's NBD servers as processes: direct, as a gateway of a target server, and the plugin in nbdkit."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tests.support.nbd_wire import WireClient
from tests.support.processes import G2DISK, Process, Server, nbdkit, running, target_server

DIRECT, GATEWAY, NBDKIT = "direct", "gateway", "nbdkit"
OURS = (DIRECT, GATEWAY)
"""Those that are our own NBD server."""
ALL = (*OURS, NBDKIT)


@dataclass(frozen=True)
class NbdServer:
    """A running NBD server, and the target server behind it (the same process, where it is direct)."""

    address: Path | tuple[str, int]
    process: Process
    target: Server

    @property
    def socket(self) -> Path:
        """The Unix socket that it listens on."""
        assert isinstance(self.address, Path)
        return self.address

    def uri(self, export: str = "") -> str:
        """The NBD URI of an export."""
        path = quote(export, safe="")
        if isinstance(self.address, Path):
            return f"nbd+unix:///{path}?socket={self.address}"
        return f"nbd://{self.address[0]}:{self.address[1]}/{path}"

    def client(self) -> WireClient:
        """A connection, before its handshake."""
        return WireClient(self.address)


@contextlib.contextmanager
def nbd_server(
    directory: Path, kind: str, *arguments: str, options: Sequence[str] = (), tcp: bool = False
) -> Iterator[NbdServer]:
    """Serve what `g2disk serve` with these arguments has; `options` are for the gateway, and empty for a direct one."""
    listen = "127.0.0.1:0" if tcp else f"unix:{directory}/nbd-{time.monotonic_ns()}.sock"
    if kind == DIRECT:
        assert not options
        with target_server(directory, *arguments, "--nbd", listen) as server:
            yield NbdServer(_address(server.process, ", NBD"), server.process, server)
        return
    with target_server(directory, *arguments) as server, gateway_to(directory, kind, server, options, listen) as nbd:
        yield nbd


@contextlib.contextmanager
def gateway_to(
    directory: Path, kind: str, server: Server, options: Sequence[str] = (), listen: str = ""
) -> Iterator[NbdServer]:
    """A gateway to this target server."""
    if kind == NBDKIT:
        with nbdkit(directory, f"endpoint={server.endpoint}", *options) as (socket, process):
            yield NbdServer(socket, process, server)
        return
    where = listen or f"unix:{directory}/nbd-{time.monotonic_ns()}.sock"
    command = [G2DISK, "nbd", *options, "--endpoint", server.endpoint, "--listen", where]
    with running(command, directory, ready="^g2disk: serving") as process:
        yield NbdServer(_address(process, " over NBD on"), process, server)


def _address(process: Process, after: str) -> Path | tuple[str, int]:
    found = re.search(f"{after} ([^,; ]+)", process.first_line)
    assert found, process.first_line
    if found[1].startswith("unix:"):
        return Path(found[1].removeprefix("unix:"))
    host, _, port = found[1].rpartition(":")
    return host, int(port)
