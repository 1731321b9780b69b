"""What makes a target server crowded: `python crowd.py disks ENDPOINT COUNT` creates that many disks and writes a
block of each; `grpc ENDPOINT COUNT` and `nbd SOCKET COUNT` open that many connections and keep them.

Each prints a line when it is done, and stays until it is ended.
"""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
import struct
import sys

from g2disk.stores.remote import RemoteStore

_AT_ONCE = 16
_BLOCK = bytes(4096)
_GREETING, _OPTION = struct.Struct(">QQH"), struct.Struct(">QII")
_CLIENT_FLAGS = 3  # fixed newstyle, no zeroes
_OPTION_MAGIC, _EXPORT_NAME = 0x49484156454F5054, 1


async def make_disks(endpoint: str, count: int) -> None:
    """Disks of 1 GiB with 4 KiB written each."""
    store = RemoteStore(endpoint)
    names = iter(range(count))

    async def worker() -> None:
        for number in names:
            await store.create(f"disk-{number}", 1 << 30)
            await (await store.open(f"disk-{number}")).write(0, _BLOCK)

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(worker())
    await store.close()
    await _stay()


async def connect_grpc(endpoint: str, count: int) -> None:
    """Clients as our gateways are, each with the default disk open."""
    stores = [RemoteStore(endpoint) for _ in range(count)]
    for store in stores:
        disk = await store.open("")
        await disk.read(0, 4096)
    await _stay()


async def connect_nbd(path: str, count: int) -> None:
    """Clients that chose the default export and now ask for nothing (NBD protocol, "Handshake phase")."""
    sockets = []
    for _ in range(count):
        made = socket.socket(socket.AF_UNIX)
        made.connect(path)
        made.recv(_GREETING.size, socket.MSG_WAITALL)
        made.sendall(struct.pack(">I", _CLIENT_FLAGS) + _OPTION.pack(_OPTION_MAGIC, _EXPORT_NAME, 0))
        made.recv(10, socket.MSG_WAITALL)  # size and flags
        sockets.append(made)
    await _stay()


async def _stay() -> None:
    print("done", flush=True)  # noqa: T201
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    what = {"disks": make_disks, "grpc": connect_grpc, "nbd": connect_nbd}[sys.argv[1]]
    asyncio.run(what(sys.argv[2], int(sys.argv[3])))
