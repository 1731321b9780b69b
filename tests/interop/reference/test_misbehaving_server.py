"""A reference server that answers wrongly, late or never: our gateway reports errors and gives out no wrong data."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import nbd
import pytest

from g2disk.clock import SystemClock
from g2disk.remote.connection import Connection
from g2disk.remote.negotiation import open_remote_disk
from tests.interop.reference.peers import Peers
from tests.support.nbd_client import connected
from tests.support.processes import PLUGIN, nbdkit

SIZE = 8 << 20
LATE_SECONDS = 1.5
"""As in server.py."""


@pytest.mark.parametrize(
    ("way", "length"),
    [
        *((way, 512) for way in ("short", "empty", "long", "nonsense", "error", "late", "never")),
        *((way, 5 << 20) for way in ("short", "never")),
    ],
)
def test_a_wrong_read_is_an_error(peers: Peers, tmp_path: Path, way: str, length: int) -> None:
    """Whatever comes instead of the bytes, the client of the gateway gets EIO; writes go on."""
    with (
        peers.server(tmp_path, SIZE, "--misbehave", way) as endpoint,
        nbdkit(tmp_path, f"endpoint={endpoint}", "timeout=1") as (socket, process),
    ):
        with connected(socket) as handle:
            for _ in range(2):
                with pytest.raises(nbd.Error) as failure:
                    handle.pread(length, 1024)
                assert failure.value.errno == "EIO"
            handle.pwrite(b"x" * 512, 0)
        assert process.popen.poll() is None
        assert "Traceback" not in process.log_text()


@pytest.mark.parametrize(
    ("way", "errno"), [("nonsense", "EIO"), ("error", "EIO"), ("late", "EIO"), ("never", "EIO"), ("full", "ENOSPC")]
)
def test_a_wrong_answer_to_a_write_is_an_error(peers: Peers, tmp_path: Path, way: str, errno: str) -> None:
    """A write that nobody confirmed has failed; a full server is ENOSPC; reads go on."""
    with (
        peers.server(tmp_path, SIZE, "--misbehave", way, "--method", "Write") as endpoint,
        nbdkit(tmp_path, f"endpoint={endpoint}", "timeout=1") as (socket, process),
    ):
        with connected(socket) as handle:
            with pytest.raises(nbd.Error) as failure:
                handle.pwrite(b"x" * 512, 0)
            assert failure.value.errno == errno
            assert handle.pread(512, 4096) == bytes(512)
        assert process.popen.poll() is None
        assert "Traceback" not in process.log_text()


@pytest.mark.parametrize(
    ("size", "options"),
    [
        (0, ()),
        (SIZE, ("--method", "GetSize", "--misbehave", "nonsense")),
        (SIZE, ("--method", "GetSize", "--misbehave", "error")),
        (SIZE, ("--method", "GetSize", "--misbehave", "never")),
    ],
    ids=["size 0", "nonsense", "error", "never"],
)
def test_a_server_that_tells_no_size_is_refused_at_start(
    peers: Peers, tmp_path: Path, size: int, options: tuple[str, ...]
) -> None:
    """nbdkit ends with one line that says what is wrong."""
    with peers.server(tmp_path, size, *options) as endpoint:
        command = ["nbdkit", "-f", "-U", str(tmp_path / "sock"), "python", PLUGIN, f"endpoint={endpoint}", "timeout=1"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    assert done.returncode != 0
    assert done.stderr.count("\n") == 1
    assert "g2disk: error: " in done.stderr


async def test_a_cancelled_write_does_not_come_late(peers: Peers, tmp_path: Path) -> None:
    """A server may still execute a write that was cancelled; when the cancellation has ended, it has, or never will."""
    clock = SystemClock()
    with peers.server(tmp_path, SIZE, "--misbehave", "late once", "--method", "Write") as endpoint:
        connection = Connection(endpoint, timeout=10)
        try:
            disk = await open_remote_disk(connection)
            earlier = asyncio.create_task(disk.write(0, b"earlier"))
            await asyncio.wait([earlier], timeout=LATE_SECONDS / 3)
            earlier.cancel()
            await asyncio.wait([earlier])
            await disk.write(0, b"later..")
            end = clock.now() + LATE_SECONDS
            while clock.now() < end:
                assert bytes(await disk.read(0, 7)) == b"later.."
        finally:
            await connection.close()
