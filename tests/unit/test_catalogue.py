"""Snapshots, options, state and maps of disks, from a store through a target server to its client."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.support.keeping_store import KeepingStore

from g2disk.errors import Busy, Corrupt, Exists, Fenced, Invalid, NotFound, ReadOnly, Unsupported
from g2disk.remote import methods
from g2disk.remote.pb import catalogue_pb2
from g2disk.servers.exports import Exports
from g2disk.servers.gateway import Gateway
from g2disk.servers.grpc.handlers import row
from g2disk.servers.grpc.server import GrpcServer
from g2disk.stores.catalogue_messages import map_message, map_of
from g2disk.stores.disk_map import Cell, DiskMap, SegmentFigure
from g2disk.stores.memory import MemoryStore
from g2disk.stores.remote import RemoteStore
from g2disk.stores.store import Store

MIB = 1 << 20
OLD, NEW = b"o" * 4096, b"n" * 4096


class Served:
    """A store behind a target server, and a client."""

    def __init__(self, store: Store, server: GrpcServer, address: str) -> None:
        self.store, self.server, self.address = store, server, address
        self.client = RemoteStore(address, 20)

    async def stop(self) -> None:
        await self.client.close()
        await self.server.drain(0)


async def serve(store: Store) -> Served:
    server = GrpcServer(Exports(store), ["127.0.0.1:0"])
    return Served(store, server, (await server.start())[0])


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """A server of disks with snapshots; one disk, "a", with OLD in the snapshot "before" and NEW since."""
    served = await serve(KeepingStore())
    disk = await served.client.create("a", MIB)
    opened = await served.client.open(disk.name)
    await opened.write(0, OLD)
    await served.client.create_snapshot("a", "before")
    await opened.write(0, NEW)
    yield served
    await served.stop()


@pytest.fixture
async def plain() -> AsyncIterator[Served]:
    """A server of disks without snapshots."""
    served = await serve(MemoryStore())
    await served.client.create("a", MIB)
    yield served
    await served.stop()


async def test_snapshots_are_listed_with_what_is_known_of_them(served: Served) -> None:
    """Name, moment and size travel as they are, the oldest first."""
    await served.client.create_snapshot("a", "after")

    assert await served.store.snapshots("a") == await served.client.snapshots("a")
    assert ["before", "after"] == [entry.name for entry in await served.client.snapshots("a")]


async def test_a_snapshot_is_a_disk_that_cannot_be_written(served: Served) -> None:
    """NAME@SNAPSHOT reads as the disk did then, says that it is read only, and has another identity."""
    disk, snapshot = await served.client.open("a"), await served.client.open("a@before")

    assert OLD == bytes(await snapshot.read(0, 4096))
    assert NEW == bytes(await disk.read(0, 4096))
    assert snapshot.info().read_only
    assert (await served.client.get("a@before")).read_only
    assert disk.info().identity != snapshot.info().identity
    with pytest.raises(ReadOnly):
        await snapshot.write(0, NEW)


async def test_a_gateway_serves_a_snapshot_by_its_name(served: Served) -> None:
    """An NBD client may ask for NAME@SNAPSHOT, also of a gateway that serves nothing else."""
    gateway = Gateway(served.address, 20, ["a@before"])
    name, disk = await gateway.open("a@before")

    assert "a@before" == name
    assert OLD == bytes(await disk.read(0, 4096))
    assert [("a@before", "")] == await gateway.list()
    await gateway.close()


async def test_a_deleted_snapshot_is_gone_for_those_who_have_it_open(served: Served) -> None:
    """Nobody is shown what may be freed already."""
    snapshot = await served.client.open("a@before")
    other = RemoteStore(served.address, 20)
    await other.delete_snapshot("a", "before")

    with pytest.raises(Fenced, match="no snapshot a@before"):
        await snapshot.read(0, 4096)
    assert [] == await other.snapshots("a")
    await other.close()


async def test_a_rollback_and_a_clone_bring_back_what_was_there(served: Served) -> None:
    """The clone is a disk of its own and keeps its snapshot; the rollback changes the disk itself."""
    clone = await served.client.clone("a", "before", "b")
    opened = await served.client.open(clone.name)
    await opened.write(4096, NEW)
    with pytest.raises(Busy, match="'b'"):
        await served.client.delete_snapshot("a", "before")
    await served.client.rollback("a", "before")
    disk = await served.client.open("a")

    assert OLD + NEW == bytes(await opened.read(0, 8192))
    assert OLD + bytes(4096) == bytes(await disk.read(0, 8192))


async def test_wrong_names_are_refused_before_the_store_hears_of_them(served: Served) -> None:
    """What can be no name is Invalid, what is not there NotFound, what is there Exists."""
    with pytest.raises(Invalid):
        await served.client.create_snapshot("a", "b@c")
    with pytest.raises(Invalid):
        await served.client.open("a@b@c")
    with pytest.raises(Exists):
        await served.client.create_snapshot("a", "before")
    for call in (served.client.create_snapshot, served.client.rollback):
        with pytest.raises(NotFound):
            await call("nothing", "before")
    with pytest.raises(Invalid):
        await served.client.delete("a@before")


async def test_a_store_without_snapshots_says_so(plain: Served) -> None:
    """Each of the five calls is Unsupported, and says where there are snapshots."""
    for call in (plain.client.create_snapshot, plain.client.delete_snapshot, plain.client.rollback):
        with pytest.raises(Unsupported, match="objects:DIR"):
            await call("a", "before")
    with pytest.raises(Unsupported, match="objects:DIR"):
        await plain.client.snapshots("a")
    with pytest.raises(Unsupported, match="objects:DIR"):
        await plain.client.clone("a", "before", "b")


async def test_a_server_that_knows_no_snapshots_is_unsupported(served: Served) -> None:
    """One that was written before there were any, or that leaves them out."""
    del served.server._rows[methods.LIST_SNAPSHOTS.path]

    with pytest.raises(Unsupported, match="keeps no snapshots"):
        await served.client.snapshots("a")


async def test_options_reach_the_store(served: Served) -> None:
    """What is chosen for a disk arrives as it was given; what the store does not know is Invalid."""
    chosen = {"encrypt": "yes", "compression": "zstd", "block-size": "65536"}
    await served.client.create("b", MIB, "", chosen)
    assert isinstance(served.store, KeepingStore)

    assert chosen == served.store.options["b"]
    with pytest.raises(Invalid):
        await served.client.create("c", MIB, "", {"colour": "red"})


async def test_a_store_whose_disks_have_no_options_refuses_them(plain: Served) -> None:
    """A disk that was to be encrypted is not made at all instead of plain."""
    with pytest.raises(Invalid, match="encrypt"):
        await plain.client.create("b", MIB, "", {"encrypt": "yes"})
    with pytest.raises(NotFound):
        await plain.store.get("b")


async def test_a_server_that_skips_options_does_not_keep_the_disk(plain: Served) -> None:
    """A server that does not know the field makes a plain disk; the client takes it back and says why."""

    async def create(request: catalogue_pb2.CreateRequest) -> catalogue_pb2.CreateReply:
        entry = await plain.store.create(request.name, request.size)
        return catalogue_pb2.CreateReply(disk=catalogue_pb2.DiskEntry(name=entry.name, size=entry.size))

    plain.server._rows[methods.CREATE.path] = row(methods.CREATE, create)

    with pytest.raises(Unsupported, match="leave encrypt out"):
        await plain.client.create("b", MIB, "", {"encrypt": "yes"})
    assert ["a"] == [entry.name for entry in await plain.store.list()]
    assert "b" == (await plain.client.create("b", MIB)).name


async def test_state_keeps_its_kinds(served: Served) -> None:
    """Counts stay exact, amounts, texts and flags what they are."""
    await served.client.create("b", MIB, "", {"encrypt": "yes"})
    there, here = await served.store.state("b"), await served.client.state("b")

    assert there == here
    assert {name: type(value) for name, value in there.items()} == {name: type(value) for name, value in here.items()}
    assert 1 << 60 == here["unstored_bytes"]
    assert here["encrypted"] is True


async def test_nothing_is_said_of_the_state_of_a_disk_that_has_none(plain: Served) -> None:
    """A memory disk has no state, and a missing disk no answer."""
    assert {} == await plain.client.state("a")
    with pytest.raises(NotFound):
        await plain.client.state("b")


async def test_a_map_travels_whole(served: Served) -> None:
    """Parts and segments arrive as the store gave them."""
    assert await served.store.map("a", 0, MIB, 16) == await served.client.map("a", 0, MIB, 16)
    for cells in (0, 1 << 17):
        with pytest.raises(Invalid):
            await served.client.map("a", 0, MIB, cells)


def test_a_map_whose_columns_do_not_go_together_is_none() -> None:
    """Columns of different lengths, or too few parts for the range, are no map."""
    drawn = DiskMap(0, 8192, 4096, [Cell(4096, 1, 1), Cell(0, 0, 0)], [SegmentFigure(1, 1, 1, 1, 4096)])
    message = map_message(drawn)
    assert drawn == map_of(message, 0, 8192)

    assert map_of(message, 0, 8193) is None
    message.oldest.append(1)
    assert map_of(message, 0, 8192) is None


async def test_a_client_refuses_a_broken_map(served: Served) -> None:
    """A server that sends such a map is told of as Corrupt."""

    async def broken(_: catalogue_pb2.MapRequest) -> catalogue_pb2.MapReply:
        return catalogue_pb2.MapReply(cell_bytes=4096, written=[1, 2])

    served.server._rows[methods.MAP.path] = row(methods.MAP, broken)

    with pytest.raises(Corrupt):
        await served.client.map("a", 0, MIB, 16)
