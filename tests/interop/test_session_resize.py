"""Open sessions with real servers are told that their disk has another size; the client knows only the .proto."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from g2disk.disk import DiskInfo
from g2disk.remote.connection import Connection
from g2disk.remote.disk import RemoteDisk
from g2disk.remote.pb import catalogue_pb2, disk_pb2
from g2disk.request import READ, WRITE
from g2disk.units import MIB
from tests.support import growing_disk
from tests.support.processes import target_server

CLIENT = b"0123456789abcdef"


class Client:
    """One session."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._head: dict[str, Any] = {"client": CLIENT, "attempt": 1}
        self.size = 0

    async def open(self, disk: str = "") -> None:
        await self._call.write(disk_pb2.SessionRequest(**self._head, disk=disk, open=disk_pb2.SessionOpen()))
        said = (await self.reply()).opened.description
        self._head |= {"disk": said.disk, "identity": said.identity}
        self.size = said.size

    async def ask(self, number: int, operation: int, offset: int, length: int, payload: bytes = b"") -> None:
        await self._call.write(
            disk_pb2.SessionRequest(
                **self._head,
                ids=[number],
                operations=[operation],
                offsets=[offset],
                lengths=[length],
                payload=payload,
            )
        )

    async def reply(self) -> disk_pb2.SessionReply:
        reply = await self._call.read()
        assert isinstance(reply, disk_pb2.SessionReply)
        return reply


@asynccontextmanager
async def session(endpoint: str, disk: str = "") -> AsyncIterator[Client]:
    async with grpc.aio.insecure_channel(endpoint) as channel:
        call = channel.stream_stream(
            "/g2disk.v1.Disk/Session",
            disk_pb2.SessionRequest.SerializeToString,
            disk_pb2.SessionReply.FromString,
        )(timeout=30)
        client = Client(call)
        await client.open(disk)
        yield client
        call.cancel()


async def resize(endpoint: str, size: int) -> None:
    """By a client of its own."""
    async with grpc.aio.insecure_channel(endpoint) as channel:
        call = channel.unary_unary(
            "/g2disk.v1.Catalogue/Resize",
            catalogue_pb2.ResizeRequest.SerializeToString,
            catalogue_pb2.ResizeReply.FromString,
        )
        reply = await call(catalogue_pb2.ResizeRequest(name="default", size=size, allow_shrink=True), timeout=30)
        assert size == reply.disk.size


@pytest.mark.parametrize("store", ["memory:", "file:{}/store"])
async def test_an_idle_session_is_told_of_a_resize(tmp_path: Path, store: str) -> None:
    """Grown and shrunk by somebody else, with no request from the session; the range is then as long as was said."""
    with target_server(tmp_path, store.format(tmp_path), "--disk", "default=16MiB") as server:
        async with session(server.endpoint) as client:
            assert 16 * MIB == client.size
            for size in (32 * MIB, 8 * MIB):
                await resize(server.endpoint, size)
                told = await client.reply()
                assert ("default", size, []) == (told.description.disk, told.description.size, list(told.ids))
                await client.ask(1, READ, size - 512, 512)
                assert [1] == list((await client.reply()).ids)
                await client.ask(2, READ, size, 512)
                assert ["OutOfRange"] == [error.kind for error in (await client.reply()).errors]


async def test_our_client_follows_a_resize(tmp_path: Path) -> None:
    """Without a request the disk has its new size, and who wants to know is told."""
    with target_server(tmp_path, "memory:", "--disk", "default=16MiB") as server:
        connection = Connection(server.endpoint, 20)
        disk = await RemoteDisk.open(connection, "")
        told: asyncio.Future[DiskInfo] = asyncio.get_running_loop().create_future()
        disk.info_changed = told.set_result
        await resize(server.endpoint, 32 * MIB)

        assert 32 * MIB == (await told).size == disk.info().size
        await disk.write(32 * MIB - 512, bytes(512))
        await disk.close()
        await connection.close()


async def test_sessions_through_a_second_server_are_told_of_a_resize_there(tmp_path: Path) -> None:
    """A server of another server's disks passes on what was resized through it."""
    with target_server(tmp_path, "memory:", "--disk", "default=16MiB") as behind:
        with target_server(tmp_path, f"grpc://{behind.endpoint}") as server:
            async with session(server.endpoint) as client:
                await resize(server.endpoint, 32 * MIB)

                assert 32 * MIB == (await client.reply()).description.size


async def test_a_disk_that_grows_by_itself_is_described_with_the_next_reply(tmp_path: Path) -> None:
    """The server looks whenever it answers."""
    with target_server(tmp_path, f"{growing_disk.__file__}:GrowingDisk") as server:
        async with session(server.endpoint) as client:
            await client.ask(1, WRITE, client.size - 512, 512, bytes(512))
            told, answered = await client.reply(), await client.reply()

            assert (2 * client.size, []) == (told.description.size, list(told.ids))
            assert ([1], False) == (list(answered.ids), answered.HasField("description"))
