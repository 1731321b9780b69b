"""The nbdkit plugin as nbdkit's user meets it: parameters, errors, daemon; what it serves is in test_gateways.py."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbd
import pytest

from tests.support.nbd_client import connected
from tests.support.processes import PLUGIN, Server, can_connect, nbdkit, target_server, wait_until


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nbdkit")


@pytest.fixture(scope="module")
def server(directory: Path) -> Iterator[Server]:
    with target_server(directory, "memory:", "--verbose", "--disk", "default=64GiB", "--disk", "other=5MiB") as running:
        yield running


def test_a_daemon_serves_over_tcp_from_a_unix_endpoint(tmp_path: Path) -> None:
    """nbdkit as a daemon (gRPC starts after the fork), with a Unix socket to the server."""
    pid_file, socket = tmp_path / "pid", tmp_path / "nbd.sock"
    with target_server(tmp_path, "memory:", "--disk", "d=1MiB", listen=f"unix:{tmp_path}/grpc.sock") as server:
        command = ["nbdkit", "-P", str(pid_file), "-U", str(socket), "python", PLUGIN, f"endpoint={server.endpoint}"]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=20)
        try:
            with connected(socket) as handle:
                handle.pwrite(b"daemon", 0)
                handle.flush()

                assert b"daemon" == handle.pread(6, 0)
        finally:
            subprocess.run(["kill", pid_file.read_text().strip()], check=True)
            wait_until("the daemon is gone", lambda: not can_connect(socket))


LARGE_BLOCKS = """
from dataclasses import replace
from g2disk.disk import DiskInfo
from g2disk.stores.memory import MemoryDisk

class LargeBlocks(MemoryDisk):
    def __init__(self) -> None:
        super().__init__(1 << 30)

    def info(self) -> DiskInfo:
        return replace(super().info(), preferred_block=64 << 20)
"""


def test_a_disk_of_large_blocks_is_served(tmp_path: Path) -> None:
    """A disk may prefer larger requests than nbdkit can say."""
    disk, socket = tmp_path / "large.py", tmp_path / "nbd.sock"
    disk.write_text(LARGE_BLOCKS)
    with target_server(tmp_path, f"{disk}:LargeBlocks") as server:
        command = ["nbdkit", "-U", str(socket), "python", PLUGIN, f"endpoint={server.endpoint}"]
        command += ["--run", "nbdinfo --json $uri"]
        told = subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)

    assert 32 << 20 == json.loads(told.stdout)["exports"][0]["block_size_preferred"]


FORGETFUL = """
from pathlib import Path

FILE = Path(__file__).with_name("flushed")

class Forgetful:
    size = 1 << 20
    identity = "the same at each start"

    def __init__(self) -> None:
        self.data = bytearray(FILE.read_bytes() if FILE.exists() else bytes(self.size))

    async def read(self, offset: int, length: int) -> bytes:
        return bytes(self.data[offset : offset + length])

    async def write(self, offset: int, data: bytes, fua: bool = False) -> None:
        self.data[offset : offset + len(data)] = data
        if fua:
            await self.flush()

    async def flush(self) -> None:
        FILE.write_bytes(self.data)
"""


@pytest.mark.parametrize("kept", ["record", "marker"])
def test_who_takes_over_knows_what_was_unflushed(tmp_path: Path, kept: str) -> None:
    """Gateway and server are killed with a write unflushed: the next gateway sends it again, and where only that there
    was one is known, it fails rather than hide the loss."""
    disk = tmp_path / "forgetful.py"
    disk.write_text(FORGETFUL)
    store, client = f"{disk}:Forgetful", f"client={bytes(range(16)).hex()}"
    given = ["disk=default", f"{kept}={tmp_path}/record", "identity=the same at each start", client]
    with target_server(tmp_path, store) as first:
        with nbdkit(tmp_path, f"endpoint={first.endpoint}", *given, "generation=1") as (socket, gateway):
            with connected(socket) as handle:
                handle.pwrite(b"flushed", 0)
                handle.flush()
                handle.pwrite(b"not so", 100)
                gateway.kill()
        first.process.kill()
    with target_server(tmp_path, store, listen=first.endpoint) as second:
        with nbdkit(tmp_path, f"endpoint={second.endpoint}", *given, "generation=2") as (socket, _):
            with connected(socket) as handle:
                if kept == "record":
                    assert (b"flushed", b"not so") == (handle.pread(7, 0), handle.pread(6, 100))
                else:
                    with pytest.raises(nbd.Error, match="Input/output error"):
                        handle.pread(7, 0)


def test_who_takes_over_waits_for_the_server(tmp_path: Path) -> None:
    """With a client's name the plugin starts while the server is away, and serves when it comes."""
    with target_server(tmp_path, "memory:", "--disk", "d=1MiB") as away:
        pass
    with nbdkit(tmp_path, f"endpoint={away.endpoint}", "disk=d", f"client={bytes(16).hex()}") as (socket, _):
        with ThreadPoolExecutor(1) as thread:
            size = thread.submit(size_of, socket)
            with target_server(tmp_path, "memory:", "--disk", "d=1MiB", listen=away.endpoint):
                assert 1 << 20 == size.result(30)


def size_of(socket: Path) -> int:
    with connected(socket) as handle:
        size: int = handle.get_size()
        return size


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "endpoint is missing"),
        (["endpoint=nowhere"], "'nowhere' is no endpoint"),
        (["endpoint=h:99999"], "is no endpoint"),
        (["endpoint=127.0.0.1:1"], "cannot reach 127.0.0.1:1: Connection refused"),
        (["endpoint=unix:/nonexistent/socket"], "cannot reach unix:/nonexistent/socket"),
        (["endpoint={server}", "disk=missing"], "no disk 'missing'"),
        (["endpoint={server}", "disk=a/b"], "cannot be a disk's name"),
        (["endpoint={server}", "timeout=soon"], "is no time"),
        (["endpoint={server}", "timeout=-1"], "is no time"),
        (["endpoint={server}", "timeout=nan"], "is no time"),
        (["endpoint={server}", "timeout=1e10"], "is no time"),
        (["endpoint={server}", "readonly=maybe"], "neither true nor false"),
        (["endpoint={server}", "colour=red"], "no parameter 'colour'"),
        (["endpoint={server},nowhere"], "'nowhere' is no endpoint"),
        (["endpoint={server}", "disk=other", "client=00ff"], "client=00ff is no client"),
        (["endpoint={server}", "disk=other", "client=soon"], "client=soon is no client"),
        (["endpoint={server}", "generation=-1"], "generation=-1 is no number"),
        (["endpoint={server}", "generation=4294967296"], "is no number"),
        (["endpoint={server}", "record=r"], "for a single disk; give disk=NAME"),
        (["endpoint={server}", "disk=other", "record=r", "marker=m"], "exclude each other"),
        (["endpoint={server}", "disk=other", "record=/proc/none"], "opening the record in /proc/none"),
    ],
)
def test_bad_parameters_are_one_clear_line(tmp_path: Path, server: Server, arguments: list[str], says: str) -> None:
    """nbdkit ends at once, with one line that says what is wrong."""
    given = [argument.format(server=server.endpoint) for argument in arguments]
    command = ["nbdkit", "-f", "-U", str(tmp_path / "s"), "python", PLUGIN, *given]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)

    assert 0 != done.returncode
    assert says in done.stderr
    assert 1 == len(done.stderr.strip().splitlines())


def test_the_plugin_describes_itself() -> None:
    """--dump-plugin names our version and parameters."""
    done = subprocess.run(
        ["nbdkit", "python", PLUGIN, "--dump-plugin"], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )

    assert "g2disk_version=" in done.stdout
    assert "g2disk_parameter_timeout=SECONDS" in done.stdout
