"""The disks of a store as servers offer them, while others change the store."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from g2disk.errors import Fenced, Invalid, NotFound
from g2disk.servers.exports import Exports
from g2disk.servers.grpc.server import GrpcServer
from g2disk.stores.file import FileStore
from g2disk.stores.memory import MemoryStore
from g2disk.stores.remote import RemoteStore
from g2disk.stores.store import DiskEntry

MIB = 1 << 20


class Hesitant(MemoryStore):
    """Takes effect at once, and answers when it is allowed to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.allowed = asyncio.Event()

    async def resize(self, name: str, size: int) -> DiskEntry:
        """See `Store.resize`."""
        self.asked.set()
        await self.allowed.wait()
        return await super().resize(name, size)

    async def delete(self, name: str) -> None:
        """See `Store.delete`."""
        await super().delete(name)
        self.asked.set()
        await self.allowed.wait()


async def test_a_disk_made_in_the_place_of_one_whose_files_were_removed_is_served(tmp_path: Path) -> None:
    """What was opened before does not stand in the way of the disk that is there now."""
    store = await FileStore.at(tmp_path)
    exports = Exports(store)
    await exports.create("a", MIB, "")
    await exports.open("a")
    shutil.rmtree(tmp_path / "a")
    await exports.create("a", 2 * MIB, "")

    _, disk = await exports.open("a")

    assert bytes(512) == bytes(await disk.read(2 * MIB - 512, 512))
    await store.close()


async def test_a_delete_whose_caller_went_away_leaves_nothing_behind() -> None:
    """A cancelled delete that took effect: the name, also as the default, is free for another disk."""
    store = Hesitant()
    exports = Exports(store)
    await exports.create("a", MIB, "")
    await exports.pinned()
    deleting = asyncio.create_task(exports.delete("a"))
    await store.asked.wait()
    deleting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await deleting

    await exports.create("b", 2 * MIB, "")

    assert 2 * MIB == (await exports.pinned()).info().size
    with pytest.raises(NotFound):
        await exports.open("a")


async def test_a_resize_never_shrinks_what_another_has_just_grown() -> None:
    """Without `allow_shrink` the size that is compared is the one that is changed."""
    store = Hesitant()
    server = GrpcServer(Exports(store), ["127.0.0.1:0"])
    client = RemoteStore((await server.start())[0], 20)
    await store.create("a", MIB)
    growing = asyncio.create_task(client.resize("a", 4 * MIB, allow_shrink=False))
    await store.asked.wait()
    late = asyncio.create_task(client.resize("a", 2 * MIB, allow_shrink=False))
    for _ in range(3):  # on the same connection: the request before them is there when they are answered
        await client.list()
    store.allowed.set()
    await growing

    with pytest.raises(Invalid, match="shrink"):
        await late
    assert 4 * MIB == (await store.get("a")).size
    await client.close()
    await server.drain(0)


async def test_a_proxy_follows_what_changes_at_its_server() -> None:
    """A disk that is resized, or deleted and made again, behind a proxy: new clients see what is there now, and those
    that had the old disk are fenced off.
    """
    store = MemoryStore()
    server = GrpcServer(Exports(store), ["127.0.0.1:0"])
    behind = RemoteStore((await server.start())[0], 20)
    proxy = GrpcServer(Exports(behind), ["127.0.0.1:0"])
    address = (await proxy.start())[0]
    first, second = RemoteStore(address, 20), RemoteStore(address, 20)
    await store.create("a", MIB)
    old = await first.open("a")
    await store.resize("a", 2 * MIB)
    grown = await second.open("a")

    assert bytes(512) == bytes(await grown.read(2 * MIB - 512, 512))

    await store.delete("a")
    await store.create("a", 4 * MIB)
    third = RemoteStore(address, 20)
    with pytest.raises(Fenced):
        await old.read(0, 512)

    assert 4 * MIB == (await third.open("a")).info().size
    for client in (first, second, third):
        await client.close()
    await proxy.drain(0)
    await behind.close()
    await server.drain(0)
