"""A gateway as a process of its own on a private Unix socket: our NBD server or nbdkit."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import g2disk.servers.nbdkit
from g2disk.attach.processes import Process, last_error, start
from g2disk.attach.records import Slot, Via
from g2disk.clock import Clock
from g2disk.errors import Invalid, Unavailable

PATIENCE = 60.0
"""Seconds that a process of ours may take to get ready or to end."""

_THREADS = 64
"""Threads that nbdkit works with, and so the most requests of a connection that it has under way; its own 16 keep a
queue of the usual depth waiting."""

_LONGEST_SOCKET = 107
"""Bytes that a Unix socket's path may have (sun_path in unix(7), less the closing zero)."""


def plugin_path() -> Path:
    """The file that nbdkit loads."""
    return Path(g2disk.servers.nbdkit.__file__).with_name("plugin.py")


@dataclass(frozen=True, slots=True)
class Source:
    """The disk that a gateway serves."""

    endpoint: str
    disk: str
    """Empty: the server's only one."""
    timeout: float
    """Seconds that a request waits for a server that is away."""
    read_only: bool
    inheritance: Sequence[str] = ()
    """Parameters of nbdkit's plugin by which one gateway follows the other."""


def start_gateway(slot: Slot, source: Source, via: Via) -> Process:
    """Start serving the disk at `slot.socket`; it is not ready yet."""
    if len(os.fsencode(slot.socket)) > _LONGEST_SOCKET:
        raise Invalid(f"{slot.socket} is too long for a Unix socket; set G2DISK_RUN_DIR to a shorter path")
    if via is Via.NBD:
        return start(_nbd_command(slot, source), slot.gateway_log)
    # nbdkit's Python is not ours: where this one is a virtual environment, the plugin finds it by this.
    environment = {"VIRTUAL_ENV": sys.prefix} if sys.prefix != sys.base_prefix else {}
    return start(_nbdkit_command(slot, source), slot.gateway_log, environment)


def _nbd_command(slot: Slot, source: Source) -> list[str | Path]:
    command: list[str | Path] = [sys.executable, "-m", "g2disk.cli.main", "nbd"]
    command += ["--listen", f"unix:{slot.socket}", "--endpoint", absolute(source.endpoint)]
    command += ["--timeout", f"{source.timeout:g}"]
    command += ["--read-only"] if source.read_only else []
    return [*command, "--", source.disk] if source.disk else command


def _nbdkit_command(slot: Slot, source: Source) -> list[str | Path]:
    command: list[str | Path] = ["nbdkit", "-f", "-t", str(_THREADS), "-U", slot.socket, "python", plugin_path()]
    command += [f"endpoint={absolute(source.endpoint)}"]
    command += [f"timeout={source.timeout:g}", f"readonly={str(source.read_only).lower()}", *source.inheritance]
    return [*command, f"disk={source.disk}"] if source.disk else command


async def wait_for_gateway(slot: Slot, gateway: Process, clock: Clock) -> None:
    """Return when it can be connected to.  Raises `Unavailable` with what it said when it ends instead."""
    deadline = clock.now() + PATIENCE
    while not _listens(slot.socket):
        if not gateway.is_alive():
            raise Unavailable(f"the gateway did not start: {last_error(slot.gateway_log)}")
        if clock.now() > deadline:
            raise Unavailable(f"the gateway did not get ready within {PATIENCE:g} s: {last_error(slot.gateway_log)}")
        await clock.sleep(0.02)


def absolute(endpoint: str) -> str:
    """The same endpoint for a process in another directory."""
    scheme, colon, path = endpoint.removeprefix("grpc://").partition("unix:")
    if scheme or not colon or path.startswith("//"):
        return endpoint
    return f"unix:{Path(path).absolute()}"


def _listens(path: Path) -> bool:
    """Whether an NBD server greets at `path`; left unread, the greeting would be an error in its log."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        try:
            client.connect(os.fsencode(path))
            return client.recv(18, socket.MSG_WAITALL)[:8] == b"NBDMAGIC"
        except OSError:
            return False
