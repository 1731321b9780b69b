"""The evidence that docs/decisions/ points at, where no other test is it."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from g2disk.disk import DiskInfo
from g2disk.remote import methods
from g2disk.remote.codec import ReferenceWrite
from g2disk.remote.connection import Connection
from g2disk.remote.negotiation import open_remote_disk
from g2disk.units import MAXIMUM_DISK_SIZE
from tests.support.nbd_client import connected
from tests.support.processes import nbdkit, target_server

ANY_SIZE = """
import nbdkit
API_VERSION = 2
def config(key, value):
    global size
    size = int(value)
def open(readonly):
    return size
def get_size(handle):
    return handle
def pread(handle, buffer, offset, flags):
    buffer[:] = bytes(len(buffer))
"""


def size_over_nbd(*plugin: str | Path) -> subprocess.CompletedProcess[str]:
    """What nbdinfo says of the size that an nbdkit plugin serves."""
    command = ["nbdkit", "-U", "-", *plugin, "--run", 'nbdinfo --size "$uri"']
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)


@asynccontextmanager
async def connection(endpoint: str) -> AsyncIterator[Connection]:
    opened = Connection(endpoint, timeout=20)
    try:
        yield opened
    finally:
        await opened.close()


async def described(endpoint: str) -> DiskInfo:
    async with connection(endpoint) as opened:
        return (await open_remote_disk(opened)).info()


def test_nbdkit_serves_the_largest_disk_and_none_of_8_eib(tmp_path: Path) -> None:
    """2^63 bytes do not fit nbdkit's signed sizes, in C or in Python; our largest disk does."""
    plugin = tmp_path / "any_size.py"
    plugin.write_text(ANY_SIZE)

    assert "overflow" in size_over_nbd("memory", "8E").stderr
    assert "int too big to convert" in size_over_nbd("python", plugin, f"size={1 << 63}").stderr
    assert str(MAXIMUM_DISK_SIZE) == size_over_nbd("python", plugin, f"size={MAXIMUM_DISK_SIZE}").stdout.strip()


async def test_a_killed_server_loses_no_write_and_keeps_its_instance(tmp_path: Path) -> None:
    """What a file disk has acknowledged and not flushed is in the page cache: another server finds it, says the
    same instance, and a gateway with unflushed writes goes on without an error."""
    arguments = (f"file:{tmp_path}/store", "--disk", "d=1MiB")
    with target_server(tmp_path, *arguments) as first:
        with nbdkit(tmp_path, f"endpoint={first.endpoint}") as (socket, _), connected(socket) as handle:
            before = await described(first.endpoint)
            handle.pwrite(b"not flushed", 0)
            first.process.kill()
            with target_server(tmp_path, *arguments, listen=first.endpoint):
                after = await described(first.endpoint)

                assert b"not flushed" == handle.pread(11, 0)
                handle.pwrite(b"more", 100)
                handle.flush()
    assert (before.identity, before.instance) == (after.identity, after.instance)


async def test_a_reference_write_reaches_the_disk_as_durable(tmp_path: Path) -> None:
    """Its clients cannot flush, so every one of their writes has FUA."""
    with target_server(tmp_path, "memory:", "--disk", "d=1MiB", "--verbose") as server:
        async with connection(server.endpoint) as reference:
            await reference.call(methods.REFERENCE_WRITE, ReferenceWrite(512, b"hello"), repeatable=False)

        assert "write 512+5 fua" in server.process.log_text()
