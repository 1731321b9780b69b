"""Our NBD client's handshake against the servers that people run; then a read shows that the socket is in step."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from g2disk.attach.nbdkit_link import connect_nbdkit
from g2disk.errors import NotFound, Unavailable
from g2disk.nbd import constants as nbd
from g2disk.nbd.errors import NbdProtocolError
from tests.support.nbd_servers import GATEWAY, nbd_server
from tests.support.processes import nbdkit, running, target_server, wait_until

SIZE = 3 << 20


@contextlib.contextmanager
def nbdkit_with_the_plugin(directory: Path, _image: Path) -> Iterator[Path]:
    """nbdkit with g2disk's plugin."""
    with target_server(directory, f"file:{directory}/ours", "--disk", f"disk={SIZE}") as server:
        with nbdkit(directory, f"endpoint={server.endpoint}") as (path, _):
            yield path


@contextlib.contextmanager
def our_own(directory: Path, _image: Path) -> Iterator[Path]:
    """`g2disk nbd`."""
    with nbd_server(directory, GATEWAY, f"file:{directory}/ours", "--disk", f"disk={SIZE}") as server:
        yield server.socket


@contextlib.contextmanager
def plain_nbdkit(directory: Path, image: Path) -> Iterator[Path]:
    """nbdkit serving files, which has an export for each."""
    with listening(directory, "nbdkit", "-f", "-U", "{socket}", "file", f"dir={image.parent}") as path:
        yield path


@contextlib.contextmanager
def old_nbdkit(directory: Path, image: Path) -> Iterator[Path]:
    """nbdkit that knows neither GO nor the absence of zeroes."""
    masked = ["--mask-handshake=0", "-U", "{socket}"]
    with listening(directory, "nbdkit", "-f", *masked, "file", str(image)) as path:
        yield path


@contextlib.contextmanager
def qemu_nbd(directory: Path, image: Path) -> Iterator[Path]:
    """qemu-nbd."""
    options = ["--persistent", "--format=raw", "--export-name=disk", "--socket={socket}"]
    with listening(directory, "qemu-nbd", *options, str(image)) as path:
        yield path


@contextlib.contextmanager
def the_reference(directory: Path, image: Path) -> Iterator[Path]:
    """nbd-server, the protocol's reference."""
    settings = directory / "nbd-server.conf"
    path = directory / "socket"
    settings.write_text(f"[generic]\nunixsock={path}\n[disk]\nexportname={image}\n")
    with listening(directory, "nbd-server", "-d", "-C", str(settings)) as found:
        yield found


@contextlib.contextmanager
def listening(directory: Path, *command: str) -> Iterator[Path]:
    """The program, once it listens on the socket whose path stands for {socket}."""
    path = directory / "socket"
    with running([part.format(socket=path) for part in command], directory) as process:
        wait_until(f"{command[0]} listens", path.is_socket, process)
        yield path


SERVERS = [nbdkit_with_the_plugin, our_own, plain_nbdkit, old_nbdkit, qemu_nbd, the_reference]


@pytest.fixture(params=SERVERS, ids=lambda server: server.__name__)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    image = tmp_path / "store" / "disk"
    image.parent.mkdir()
    image.write_bytes(b"first" + bytes(SIZE - 5))
    start: Callable[[Path, Path], contextlib.AbstractContextManager[Path]] = request.param
    with start(tmp_path, image) as path:
        yield path


def transact(connection: socket.socket, command: int, data: bytes = b"", length: int = 0) -> bytes:
    """One request at the disk's beginning, and its simple reply, as the kernel has it."""
    connection.settimeout(10)
    connection.sendall(struct.pack(">IHHQQI", nbd.REQUEST_MAGIC, 0, command, 7, 0, length or len(data)) + data)
    magic, error, cookie = struct.unpack(">IIQ", connection.recv(16, socket.MSG_WAITALL))
    assert (magic, error, cookie) == (nbd.SIMPLE_REPLY_MAGIC, 0, 7)
    return connection.recv(length, socket.MSG_WAITALL) if length else b""


async def test_an_export_is_entered(server: Path) -> None:
    """Size and flags are the disk's, the socket does not block, and transmission on it is in step."""
    connection, negotiated = await connect_nbdkit(server, "disk")
    with connection:
        assert not connection.getblocking()
        assert negotiated.size == SIZE
        assert negotiated.flags & (nbd.FLAG_HAS_FLAGS | nbd.FLAG_READ_ONLY) == nbd.FLAG_HAS_FLAGS
        assert negotiated.minimum_block <= 512
        transact(connection, nbd.CMD_WRITE, bytes(range(256)) * 2)
        assert transact(connection, nbd.CMD_READ, length=512) == bytes(range(256)) * 2


async def test_another_export_is_refused(server: Path, request: pytest.FixtureRequest) -> None:
    """Every server's way to say that there is no such disk is the same error; nbdkit with one disk takes any name."""
    if "old_nbdkit" in request.node.name:
        connection, negotiated = await connect_nbdkit(server, "other")
        connection.close()
        assert negotiated.size == SIZE
        return
    with pytest.raises((NotFound, Unavailable), match="'other'"):
        await connect_nbdkit(server, "other")


async def test_nobody_there_is_unavailable(tmp_path: Path) -> None:
    """A path without a socket, and one that nobody listens at any more."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "left"))
    for name in ("nothing", "left"):
        with pytest.raises(Unavailable, match=f"cannot reach the gateway at .*{name}"):
            await connect_nbdkit(tmp_path / name, "disk")


async def test_silence_is_unavailable(tmp_path: Path) -> None:
    """Somebody who listens and says nothing is given up after the time given."""
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent"))
        silent.listen()
        with pytest.raises(Unavailable, match=r"did not answer within 0\.05 s"):
            await connect_nbdkit(tmp_path / "silent", "disk", patience=0.05)


async def test_another_protocol_is_named(tmp_path: Path) -> None:
    """A server that greets in another protocol is told from an NBD server."""

    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        writer.close()

    async with await asyncio.start_unix_server(greet, tmp_path / "other"):
        with pytest.raises(NbdProtocolError, match="does not speak NBD"):
            await connect_nbdkit(tmp_path / "other", "disk")
