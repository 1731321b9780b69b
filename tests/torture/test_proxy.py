"""What the proxy does to the bytes between a client and a server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from g2disk.testing import turns
from g2disk.torture.proxy import Proxy, proxy
from tests.support.loops import on_every_loop


class Listener:
    """A server that answers each piece in capitals, and notes what came on each connection."""

    def __init__(self) -> None:
        self.heard: list[bytearray] = []
        self.ended = 0
        self.changed = asyncio.Condition()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard = bytearray()
        self.heard.append(heard)
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1000):
                heard += data
                writer.write(data.upper())
                await self._tell()
        writer.close()
        self.ended += 1
        await self._tell()

    async def until(self, *heard: bytes) -> None:
        """Wait until exactly this was heard on the connections so far."""
        async with self.changed, asyncio.timeout(10):
            await self.changed.wait_for(lambda: [bytes(one) for one in self.heard] == list(heard))

    async def until_ended(self, count: int) -> None:
        async with self.changed, asyncio.timeout(10):
            await self.changed.wait_for(lambda: self.ended >= count)

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()


@contextlib.asynccontextmanager
async def relayed(directory: Path) -> AsyncIterator[tuple[Proxy, Listener]]:
    listener = Listener()
    server = await asyncio.start_unix_server(listener.serve, str(directory / "server"))
    async with proxy(directory / "proxy", f"unix:{directory / 'server'}") as between:
        yield between, listener
    await listener.until_ended(len(listener.heard))
    server.close()
    await server.wait_closed()


async def connect(between: Proxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_unix_connection(between.endpoint.removeprefix("unix:"))


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> bytes:
    writer.write(data)
    return await asyncio.wait_for(reader.readexactly(len(data)), 10)


async def is_cut(reader: asyncio.StreamReader) -> bool:
    try:
        return b"" == await asyncio.wait_for(reader.read(1), 10)
    except ConnectionResetError:
        return True


@on_every_loop
async def test_bytes_pass_both_ways(tmp_path: Path) -> None:
    """Without a fault, nothing is changed or lost, and an end is an end."""
    async with relayed(tmp_path) as (between, listener):
        reader, writer = await connect(between)
        assert b"ABC" == await ask(reader, writer, b"abc")
        writer.close()
        await listener.until_ended(1)


@on_every_loop
async def test_a_cut_ends_both_sides(tmp_path: Path) -> None:
    """Client and server see the end of a connection that was cut; the next one works."""
    async with relayed(tmp_path) as (between, listener):
        reader, writer = await connect(between)
        await ask(reader, writer, b"abc")
        between.cut()
        assert await is_cut(reader)
        await listener.until_ended(1)
        writer.close()
        again = await connect(between)
        assert b"DEF" == await ask(*again, b"def")
        again[1].close()


@on_every_loop
async def test_requests_that_were_held_back_arrive_behind_those_of_the_next_connection(tmp_path: Path) -> None:
    """Bytes of a connection that is gone for the client reach the server late."""
    async with relayed(tmp_path) as (between, listener):
        reader, writer = await connect(between)
        await ask(reader, writer, b"abc")
        between.hold_requests()
        writer.write(b"late")
        await turns(20)  # what the proxy has not read when it cuts is lost
        between.cut()
        assert await is_cut(reader)
        again = await connect(between)
        assert b"NEW" == await ask(*again, b"new")
        await listener.until(b"abc", b"new")
        between.deliver()
        await listener.until(b"abclate", b"new")
        assert b"ER" == await ask(*again, b"er")
        writer.close()
        again[1].close()


@on_every_loop
async def test_replies_that_are_held_back_are_lost_in_a_cut(tmp_path: Path) -> None:
    """The server has done what the client hears nothing of."""
    async with relayed(tmp_path) as (between, listener):
        reader, writer = await connect(between)
        await ask(reader, writer, b"abc")
        between.hold_replies()
        writer.write(b"def")
        await listener.until(b"abcdef")
        between.cut()
        assert await is_cut(reader)
        writer.close()


@on_every_loop
async def test_connections_wait_while_the_server_is_away(tmp_path: Path) -> None:
    """A client that connects behind `shut` gets through when the server is open again."""
    async with relayed(tmp_path) as (between, listener):
        between.shut()
        reader, writer = await connect(between)
        writer.write(b"abc")
        await writer.drain()
        assert [] == listener.heard
        between.open()
        assert b"ABC" == await asyncio.wait_for(reader.readexactly(3), 10)
        writer.close()


async def test_a_server_that_is_not_there_ends_the_connection(tmp_path: Path) -> None:
    """The client sees what it would see without the proxy: nobody."""
    async with proxy(tmp_path / "proxy", f"unix:{tmp_path / 'nobody'}") as between:
        reader, writer = await connect(between)
        assert await is_cut(reader)
        writer.close()


@pytest.mark.parametrize("held", [True, False])
async def test_leaving_the_block_leaves_nothing(held: bool, tmp_path: Path) -> None:
    """Connections that are open, waiting or held back end with the proxy."""
    async with relayed(tmp_path) as (between, _):
        reader, writer = await connect(between)
        await ask(reader, writer, b"abc")
        if held:
            between.hold_requests()
        between.refuse()
        waiting = await connect(between)
        await turns(10)  # so that it is accepted; asyncio's own loop forgets what it accepts behind the end
    assert await is_cut(reader)
    assert await is_cut(waiting[0])
    writer.close()
    waiting[1].close()
