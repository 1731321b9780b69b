"""The gateway of the nbdkit plugin, driven by threads as nbdkit does."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.support.processes import wait_until

from g2disk.disk import Buffer, Disk
from g2disk.disk.plain import adapt
from g2disk.errors import Internal, NotFound
from g2disk.remote.session_codec import SESSION_PATH
from g2disk.request import WRITE, Request
from g2disk.servers.exports import Exports
from g2disk.servers.grpc.server import GrpcServer
from g2disk.servers.nbdkit.bridge import Bridge
from g2disk.servers.nbdkit.gateway import ThreadedGateway
from g2disk.servers.nbdkit.parameters import Parameters
from g2disk.stores.store import DiskEntry, Store


class Zeroes:
    """All zeroes."""

    size = 1 << 20

    async def read(self, offset: int, length: int) -> Buffer:
        """Zeroes."""
        return bytes(length)


class Gate(Store):
    """Two disks; the one called "slow" is open only when the other one is."""

    url = "gate:"

    def __init__(self) -> None:
        self._disks = {name: adapt(Zeroes()) for name in ("fast", "slow")}
        self.slow_is_asked_for = asyncio.Event()
        self._fast_is_open = asyncio.Event()

    async def list(self) -> list[DiskEntry]:
        """Both."""
        return [DiskEntry(name, disk.info().size) for name, disk in self._disks.items()]

    async def open(self, name: str) -> Disk:
        """See `Gate`."""
        if name not in self._disks:
            raise NotFound(f"there is no {name}")
        if name == "slow":
            self.slow_is_asked_for.set()
            await self._fast_is_open.wait()
        else:
            self._fast_is_open.set()
        return self._disks[name]


def open_sessions(server: GrpcServer) -> set[object]:
    """The sessions that the server has now."""
    row: Any = server._rows[SESSION_PATH]
    found: set[object] = row.open.__self__._open
    return found


async def test_a_disk_that_is_slow_to_open_keeps_no_other_waiting() -> None:
    """Clients that connect while another one's disk does not answer are served; all that ask for one disk share it."""
    store = Gate()
    server = GrpcServer(Exports(store), ["127.0.0.1:0"])
    parameters = Parameters(endpoint=(await server.start())[0], timeout=10)
    gateway = await asyncio.to_thread(ThreadedGateway, parameters)
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(4) as threads:
        slow = [loop.run_in_executor(threads, gateway.open, "slow") for _ in range(3)]
        await store.slow_is_asked_for.wait()
        fast = await loop.run_in_executor(threads, gateway.open, "fast")
        first, *others = await asyncio.gather(*slow)

        assert fast is not first
        assert all(other is first for other in others)
        await asyncio.to_thread(wait_until, "each disk has one session", lambda: len(open_sessions(server)) == 2)
        await loop.run_in_executor(threads, gateway.close)
    await server.drain(0)


class Bug(Disk):
    """Raises what no disk may raise, at every write."""

    size = 1 << 20

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        """Not done."""
        raise KeyError(offset)


def test_what_is_not_done_is_not_answered_as_done() -> None:
    """Whatever happens to a write on the loop, the thread that waits for it hears that it failed."""
    bridge = Bridge()
    try:
        with pytest.raises(Internal, match="KeyError"):
            bridge.perform(Bug(), Request(WRITE, 0, 0, 3, data=b"abc"))
    finally:
        bridge.close()
