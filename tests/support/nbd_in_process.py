"""The NBD server in the test's own event loop, with a disk that the test holds in its hands; clients are in threads."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from g2disk.disk import Buffer, Disk, Done
from g2disk.request import Request
from g2disk.servers.exports import Exports
from g2disk.servers.nbd.exports import StoreExports
from g2disk.servers.nbd.server import NbdServer
from g2disk.stores.memory import MemoryDisk
from g2disk.stores.store import Store
from tests.support.nbd_wire import GO, STRUCTURED_REPLY, WireClient, info_data, option
from tests.support.session import OneDisk

T = TypeVar("T")
FORMS = ("simple", "structured", "extended")
ENTER = struct.pack(">I", 3) + option(STRUCTURED_REPLY) + option(GO, info_data(""))
"""All that a client has to say until it may send requests."""


class GatedReads(MemoryDisk):
    """A memory disk of coroutines alone, whose reads wait while the gate is shut."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.gate, self.reading = asyncio.Event(), asyncio.Event()

    def submit(self, requests: list[Request], done: Done) -> list[Request]:
        return requests

    async def read(self, offset: int, length: int) -> Buffer:
        self.reading.set()
        await self.gate.wait()
        return await super().read(offset, length)


@contextlib.asynccontextmanager
async def serving(directory: Path, disk: Disk | Store) -> AsyncIterator[tuple[NbdServer, Path]]:
    """A server of the disk, or of a whole store, and its socket."""
    store = OneDisk(disk) if isinstance(disk, Disk) else disk
    socket = directory / "nbd.sock"
    server = NbdServer(StoreExports(Exports(store)), [f"unix:{socket}"])
    await server.start()
    try:
        yield server, socket
    finally:
        await server.drain(1)


async def blocking(work: Callable[[], T]) -> T:
    """What a client does, while the server's event loop goes on."""
    return await asyncio.to_thread(work)


async def client(stack: contextlib.ExitStack, socket: Path, form: str = "structured") -> WireClient:
    """A connection in transmission, closed with the stack."""

    def connect() -> WireClient:
        wire = WireClient(socket)
        try:
            return wire.negotiate(structured=form != "simple", extended=form == "extended")
        except BaseException:
            wire.socket.close()
            raise

    return stack.enter_context(await blocking(connect))


async def ask_at_once(wire: WireClient, asked: list[tuple[int, int, int]], then: bytes = b"") -> list[int]:
    """Send (command, offset, length) of each in one piece, and `then`; their cookies."""
    packets: list[bytes] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire, "send", packets.append)
        cookies = [wire.ask(*one) for one in asked]
    await blocking(lambda: wire.send(b"".join([*packets, then])))
    return cookies
