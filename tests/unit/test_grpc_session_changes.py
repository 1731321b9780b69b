"""What the sessions of a server say when a disk changes while they are open."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.raw_client import RawClient
from tests.support.session import SIZE, HeldDisk, server_of, turns, until

from g2disk.disk import DiskInfo
from g2disk.errors import NotFound
from g2disk.remote.pb import disk_pb2
from g2disk.request import READ, WRITE
from g2disk.stores.memory import MemoryStore

OTHER = b"fedcba9876543210"


class ChangingDisk(HeldDisk):
    """Its description is what the test says, and made anew each time."""

    said: DiskInfo | None = None

    def info(self) -> DiskInfo:
        return replace(self.said or super().info())


def descriptions(client: RawClient) -> list[disk_pb2.DescribeReply]:
    return [reply.description for reply in client.replies if reply.HasField("description")]


async def test_a_resize_is_told_to_every_session_of_the_disk() -> None:
    """At once, without a request, and with all that Describe would answer; sessions of other disks hear nothing."""
    store = MemoryStore()
    for name in ("default", "other"):
        await store.create(name, SIZE)
    async with server_of(store) as server:
        first, second, other = RawClient(server), RawClient(server, OTHER), RawClient(server, bytes(16))
        opened = await first.open()
        await second.open()
        other.send(open=disk_pb2.SessionOpen(), disk="other")
        await until(lambda: bool(other.replies))
        await server.exports.resize("default", 2 * SIZE)
        await until(lambda: len(first.replies) == len(second.replies) == 2)
        await turns(10)

        expected = disk_pb2.DescribeReply()
        expected.CopyFrom(opened.description)
        expected.size = 2 * SIZE
        for client in (first, second):
            assert [expected] == descriptions(client)
            assert [] == list(client.replies[1].ids)
            assert (client.identity, 1) == (client.replies[1].identity, client.replies[1].attempt)
        assert 1 == len(other.replies)


async def test_the_new_end_can_be_used_at_once() -> None:
    """Requests behind the old end are in range, in the session that was open before."""
    async with server_of() as server:
        client = RawClient(server)
        await client.open()
        await server.exports.resize("default", 2 * SIZE)
        client.ask(1, WRITE, 2 * SIZE - 512, 512, bytes(512))
        await until(lambda: len(client.replies) == 3)

        assert [1] == list(client.replies[2].ids)


async def test_a_resize_to_the_same_size_is_no_news() -> None:
    """Nothing is sent."""
    async with server_of() as server:
        client = RawClient(server)
        await client.open()
        await server.exports.resize("default", SIZE)
        await turns(10)

        assert 1 == len(client.replies)


async def test_a_resize_that_fails_is_no_news_either() -> None:
    """The error goes to who asked, and sessions stay."""
    async with server_of() as server:
        client = RawClient(server)
        await client.open()
        with pytest.raises(NotFound):
            await server.exports.resize("nothing", SIZE)
        client.ask(1, READ, 0, 512)
        await until(lambda: len(client.replies) == 2)

        assert [] == descriptions(client)


async def test_a_disk_that_changes_by_itself_is_described_before_the_next_reply() -> None:
    """Once, and not again until it changes again; also where every description is a new object."""
    disk = ChangingDisk()
    async with server_of(disk) as server:
        client = RawClient(server)
        await client.open()
        for size in (SIZE, SIZE // 2, SIZE // 2, 2 * SIZE):
            disk.said = replace(disk._info, size=size, description=f"of {size}")
            client.ask(1, READ, 0, 512)
            await until(lambda: [1] == list(client.replies[-1].ids))
            client.ask(2, READ, 0, 512)
            await until(lambda: [2] == list(client.replies[-1].ids))

        said = [SIZE, SIZE // 2, 2 * SIZE]
        assert said == [description.size for description in descriptions(client)]
        assert [0, 1, 1] == [len(reply.ids) for reply in client.replies[1:4]]
        assert client.replies[1].HasField("description")


async def test_a_disk_that_becomes_another_one_is_not_described() -> None:
    """Fenced, and no word of what is there instead."""
    disk = ChangingDisk()
    async with server_of(disk) as server:
        client = RawClient(server)
        await client.open()
        disk.said = replace(disk._info, size=2 * SIZE, identity="another")
        server.sessions.changed("default")

        assert "Fenced" == (await client.over()).trailers["g2disk-kind"]
        assert 1 == len(client.replies)


async def test_sessions_that_are_not_open_yet_or_over_are_not_told() -> None:
    """The opening itself has the new size, and a stream that has ended gets nothing."""
    held = HeldDisk()
    held.held = {WRITE}
    async with server_of(held) as server:
        older = RawClient(server)
        await older.open()
        older.ask(1, WRITE, 0, 3, b"abc")
        await held.begun()
        newer = RawClient(server, attempt=2)
        newer.send(open=disk_pb2.SessionOpen())
        await older.over()
        held.resize(2 * SIZE)
        server.sessions.changed("default")
        await turns(10)
        assert [] == newer.replies
        held.let_go()
        await until(lambda: bool(newer.replies))

        assert 2 * SIZE == newer.replies[0].opened.description.size
        assert 1 == len(older.replies)
