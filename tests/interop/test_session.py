"""Sessions between real processes, with servers that die, and with peers that know nothing but disk.proto."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from g2disk.disk import Disk
from g2disk.errors import Unavailable
from g2disk.remote.connection import Connection
from g2disk.remote.disk import RemoteDisk
from g2disk.remote.pb import disk_pb2
from g2disk.request import READ, WRITE, Request
from g2disk.stores.remote import RemoteStore
from g2disk.testing import check_disk
from tests.support import disks, session_disks
from tests.support.processes import target_server, wait_until
from tests.support.session import submitted
from tests.support.session_server import ForeignServer

IN_SESSIONS = "g2disk.v1 in sessions"
CLIENT = b"0123456789abcdef"


@asynccontextmanager
async def remote(endpoint: str, timeout: float = 20) -> AsyncIterator[RemoteDisk]:
    """The default disk of the server there."""
    connection = Connection(endpoint, timeout)
    disk = await RemoteDisk.open(connection, "", wait=True)
    try:
        yield disk
    finally:
        await disk.close()
        await connection.close()


@pytest.mark.timeout(120)
async def test_our_client_works_with_a_server_made_from_the_proto_alone(tmp_path: Path) -> None:
    """check_disk passes over sessions with a server of plain grpc."""
    foreign = ForeignServer()
    server = await foreign.start(f"unix:{tmp_path}/s")

    @asynccontextmanager
    async def open_disk() -> AsyncIterator[Disk]:
        async with remote(f"unix:{tmp_path}/s") as disk:
            assert IN_SESSIONS == disk.protocol
            yield disk

    await check_disk(open_disk, seed=3)
    await server.stop(None)
    assert foreign.sessions > 0


async def test_a_client_made_from_the_proto_alone_works_with_our_server(tmp_path: Path) -> None:
    """A client of plain grpc opens, writes, reads and gets an error for a bad request, all in one session."""
    with target_server(tmp_path, "memory:", "--disk", "default=16MiB") as server:
        async with grpc.aio.insecure_channel(server.endpoint) as channel:
            call = channel.stream_stream(
                "/g2disk.v1.Disk/Session",
                disk_pb2.SessionRequest.SerializeToString,
                disk_pb2.SessionReply.FromString,
            )()
            await call.write(disk_pb2.SessionRequest(client=CLIENT, attempt=1, open=disk_pb2.SessionOpen()))
            first = await call.read()
            assert isinstance(first, disk_pb2.SessionReply)
            said = first.opened.description
            head: dict[str, Any] = {"client": CLIENT, "attempt": 1, "disk": said.disk, "identity": said.identity}
            await call.write(
                disk_pb2.SessionRequest(
                    **head, ids=[5], operations=[WRITE], offsets=[4096], lengths=[3], payload=b"abc"
                )
            )
            written = await call.read()
            await call.write(
                disk_pb2.SessionRequest(
                    **head, ids=[5, 6], operations=[READ] * 2, offsets=[4095, said.size], lengths=[5, 1]
                )
            )
            read = await call.read()
            await call.done_writing()

            assert isinstance(written, disk_pb2.SessionReply)
            assert isinstance(read, disk_pb2.SessionReply)
            assert ([5], [0]) == (list(written.ids), list(written.lengths))
            assert ([5], b"\0abc\0") == (list(read.ids), read.payload)
            assert [(6, "OutOfRange", 22)] == [(error.id, error.kind, error.errno) for error in read.errors]
            assert grpc.StatusCode.OK == await call.code()


async def test_requests_survive_a_server_that_is_killed(tmp_path: Path) -> None:
    """Reads that came while the server was down are answered by its successor, and flushed bytes are there."""
    arguments = (f"file:{tmp_path}/store", "--disk", "default=16MiB")
    with target_server(tmp_path, *arguments, listen=f"unix:{tmp_path}/s") as server:
        connection = Connection(server.endpoint, 20)
        disk = await RemoteDisk.open(connection, "")
        assert IN_SESSIONS == disk.protocol
        await disk.write(4096, b"abc")
        await disk.flush()
        server.process.kill()
    read = asyncio.create_task(disk.read(4096, 3))
    with target_server(tmp_path, *arguments, listen=f"unix:{tmp_path}/s"):
        assert b"abc" == await read
        await disk.write(4096, b"xyz")
        await disk.flush()
        assert b"xyz" == await disk.read(4096, 3)
        await disk.close()
        await connection.close()


async def test_what_a_killed_server_lost_is_sent_again(tmp_path: Path) -> None:
    """Acknowledged writes without a flush, and a restart: reads see them, and a flush makes them durable."""
    forgetful = f"{session_disks.__file__}:ForgetfulDisk"
    with target_server(tmp_path, forgetful, listen=f"unix:{tmp_path}/s") as server:
        connection = Connection(server.endpoint, 20)
        disk = await RemoteDisk.open(connection, "")
        await submitted(disk, [Request(WRITE, 0, 0, 3, data=b"abc")])
        server.process.kill()
    with target_server(tmp_path, forgetful, listen=f"unix:{tmp_path}/s"):
        assert b"abc" == await disk.read(0, 3)
        await disk.flush()
        assert 0 == disk.state().unflushed_requests
        await disk.close()
        await connection.close()


async def test_a_server_that_stops_answers_what_is_in_flight(tmp_path: Path) -> None:
    """A slow write that was sent before SIGTERM succeeds."""
    slow = f"{disks.__file__}:SlowDisk?seconds=1"
    with target_server(tmp_path, slow, listen=f"unix:{tmp_path}/s") as server:
        async with remote(server.endpoint) as disk:
            write = asyncio.create_task(disk.write(0, b"abc"))
            await asyncio.to_thread(_wait_for, server.process.log, "write started")
            await asyncio.to_thread(server.process.stop)
            await write
            assert "write finished" in server.process.log_text()


async def test_a_server_that_stays_away_fails_requests_in_time(tmp_path: Path) -> None:
    """Unavailable after the timeout."""
    with target_server(tmp_path, "memory:", "--disk", "default=16MiB", listen=f"unix:{tmp_path}/s") as server:
        connection = Connection(server.endpoint, 1)
        disk = await RemoteDisk.open(connection, "")
        server.process.kill()
    with pytest.raises(Unavailable):
        await disk.read(0, 512)
    await disk.close()
    await connection.close()


def _wait_for(log: Path, text: str) -> None:
    wait_until(text, lambda: text in log.read_text())


async def test_a_client_may_have_more_disks_open_than_a_connection_has_streams(tmp_path: Path) -> None:
    """1,100 disks have a session each, and requests on them and calls beside them are answered."""
    with target_server(tmp_path, "memory:") as server:
        store = RemoteStore(server.endpoint, 20)
        opened = []
        for number in range(1100):
            await store.create(f"disk-{number}", 4096)
            opened.append(await store.open(f"disk-{number}"))
        for disk in opened:
            await disk.write(0, b"x" * 512)

        assert 1100 == len(await store.list())
        await store.close()
