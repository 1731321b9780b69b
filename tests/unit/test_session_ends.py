"""Both ends of a Session over streams in memory: requests, batches, failures, and what survives a broken stream."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace

import pytest
from tests.support.session import SIZE, HeldDisk, OneDisk, TaskDisk, remote, server_of, submitted, turns, until
from tests.support.streams import Streams

from g2disk.clock import SystemClock
from g2disk.disk import Buffer, Disk, DiskInfo, Done, Extent
from g2disk.errors import Corrupt, DiskError, Fenced, OutOfRange, OutOfSpace, ReadOnly, Unavailable, Unsupported
from g2disk.remote import session_opening
from g2disk.remote.disk import RemoteDisk
from g2disk.remote.pb import disk_pb2
from g2disk.remote.session_flight import Bounds
from g2disk.remote.stream import MessageHandler, MessageStream
from g2disk.remote.terms import LEAST_UNFLUSHED, Terms
from g2disk.request import FLUSH, FUA, READ, WRITE, ZERO, Request
from g2disk.servers.grpc.session_shared import Limits
from g2disk.stores.memory import MemoryDisk
from g2disk.testing import check_disk

KIB = 1 << 10


def replies(streams: Streams) -> list[disk_pb2.SessionReply]:
    """Every reply of the newest session."""
    return [disk_pb2.SessionReply.FromString(raw) for raw in streams.opened[-1].peer.messages]


def requests_sent(streams: Streams, session: int = -1) -> list[disk_pb2.SessionRequest]:
    return [disk_pb2.SessionRequest.FromString(raw) for raw in streams.opened[session].messages]


@pytest.mark.parametrize("kind", [MemoryDisk, TaskDisk])
@pytest.mark.parametrize("seed", range(2))
async def test_a_disk_keeps_the_contract_through_a_session(kind: type[MemoryDisk], seed: int) -> None:
    """check_disk passes for the disk at the client's end, whether the server's disk takes batches or not."""

    @contextlib.asynccontextmanager
    async def open_disk() -> AsyncIterator[Disk]:
        async with server_of(kind(SIZE)) as server:
            disk = await remote(server)
            yield disk
            await disk.close()

    await check_disk(open_disk, seed=seed)


async def test_a_batch_goes_as_one_message_and_comes_back_as_one() -> None:
    """Requests of one submit share a message, and so do their replies."""
    async with server_of() as server:
        disk = await remote(server)
        writes = [Request(WRITE, 0, at * 4096, 4096, data=bytes([at]) * 4096) for at in range(32)]
        await submitted(disk, writes)
        reads = [Request(READ, 0, at * 4096, 4096) for at in range(32)]
        await submitted(disk, reads)

        assert [bytes([at]) * 4096 for at in range(32)] == [bytes(request.data) for request in reads]
        assert [0, 32, 32] == [len(message.ids) for message in requests_sent(server.streams)]
        assert [0, 32, 32] == [len(message.ids) for message in replies(server.streams)]


async def test_what_is_asked_in_one_iteration_shares_messages() -> None:
    """Coroutines that run at once need two messages: the first request alone, at once, and all others together."""
    async with server_of() as server:
        disk = await remote(server)
        await asyncio.gather(*(disk.read(at * 512, 512) for at in range(20)))

        assert [0, 1, 19] == [len(message.ids) for message in requests_sent(server.streams)]


async def test_a_slow_flush_does_not_hold_back_reads() -> None:
    """A read that came with a flush and one that came after it are answered before the flush."""
    held = HeldDisk()
    held.held = {FLUSH}
    async with server_of(held) as server:
        disk = await remote(server)
        flush = asyncio.create_task(disk.flush())
        await held.begun()
        await disk.read(0, 512)

        assert not flush.done()
        held.let_go()
        await flush


async def test_errors_come_back_as_what_they_are() -> None:
    """A request that fails has its kind, its message and no effect on the others of its batch."""
    held = HeldDisk()
    held.held = {WRITE}
    async with server_of(held) as server:
        disk = await remote(server)
        beyond = Request(READ, 0, SIZE, 512)
        good = Request(READ, 0, 0, 512)
        write = Request(WRITE, 0, 0, 3, data=b"abc")
        finished = asyncio.create_task(submitted(disk, [beyond, good, write]))
        await held.begun()
        held.let_go(OutOfSpace("the store is full; make room"))
        await finished

        assert type(beyond.error) is OutOfRange
        assert (None, bytes(512)) == (good.error, bytes(good.data))
        assert (OutOfSpace, "the store is full; make room") == (type(write.error), str(write.error))
        held.held = {WRITE}
        task = asyncio.create_task(disk.write(0, b"abc"))
        await held.begun()
        held.let_go(OutOfSpace("again"))
        with pytest.raises(OutOfSpace, match="again"):
            await task


async def test_a_read_only_disk_refuses_writes_at_the_client() -> None:
    """Nothing is sent for a write to a disk that takes none."""

    class Sealed(MemoryDisk):
        def _describe(self) -> DiskInfo:
            return replace(super()._describe(), read_only=True)

    async with server_of(Sealed(SIZE)) as server:
        disk = await remote(server)
        write = Request(WRITE, 0, 0, 3, data=b"abc")

        assert [write] == disk.submit([write], lambda _: None)
        with pytest.raises(ReadOnly):
            await disk.write(0, b"abc")
        assert 1 == len(requests_sent(server.streams))


async def test_large_requests_are_cut_into_pieces_that_fit() -> None:
    """Requests larger than all bounds arrive whole; nothing more than the server allows is ever in flight."""
    limits = Limits(requests=4, data=64 * KIB, message=32 * KIB, all_data=1 << 20)
    async with server_of(limits=limits) as server:
        disk = await remote(server)
        data = bytes(range(256)) * 4 * KIB
        await disk.write(512, data)

        assert data == await disk.read(512, len(data))
        assert all(len(raw) <= 32 * KIB for raw in server.streams.opened[0].messages)


async def test_more_requests_than_fit_wait_in_order() -> None:
    """A server that allows four in flight gets four at a time, and all in the end."""
    held = HeldDisk()
    held.held = {READ}
    async with server_of(held, Limits(requests=4)) as server:
        disk = await remote(server)
        reads = [Request(READ, 0, at * 512, 512) for at in range(10)]
        finished = asyncio.create_task(submitted(disk, reads))
        await held.begun(4)

        assert [4] == [len(batch) for batch in held.batches]
        held.let_go()
        assert reads == await finished
        assert [at * 512 for at in range(10)] == [request.offset for batch in held.batches for request in batch]


async def test_replies_keep_to_what_the_client_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server cuts its replies where the client's largest message ends."""
    monkeypatch.setattr(session_opening, "_OPEN", disk_pb2.SessionOpen(maximum_message=32 * KIB))
    async with server_of() as server:
        disk = await remote(server)
        reads = [Request(READ, 0, at * 4096, 4096) for at in range(32)]
        await submitted(disk, reads)

        assert all(len(raw) <= 32 * KIB for raw in server.streams.opened[0].peer.messages)
        assert 32 == sum(len(message.ids) for message in replies(server.streams))


async def test_fua_goes_only_to_servers_that_flush() -> None:
    """A write with FUA arrives with it."""
    held = HeldDisk()
    async with server_of(held) as server:
        disk = await remote(server)
        await disk.write(0, b"abc", fua=True)

        assert [FUA] == [request.flags for request in held.batches[-1]]


async def test_reads_and_flushes_survive_a_broken_stream() -> None:
    """What does no harm is repeated in the next session, and nobody notices."""
    held = HeldDisk()
    held.held = {READ, FLUSH}
    async with server_of(held) as server:
        disk = await remote(server)
        read = asyncio.create_task(disk.read(0, 512))
        flush = asyncio.create_task(disk.flush())
        await held.begun(2)
        server.streams.opened[0].cut()
        await until(lambda: len(server.streams.opened) == 2)
        held.let_go()

        assert bytes(512) == await read
        await flush
        assert [1, 2] == [requests_sent(server.streams, at)[0].attempt for at in range(2)]


async def test_writes_in_flight_are_sent_again_when_the_stream_breaks() -> None:
    """The server is done with the older session before it opens the next one, so a repeated write does no harm."""
    held = HeldDisk()
    held.held = {WRITE}
    async with server_of(held) as server:
        disk = await remote(server)
        write = asyncio.create_task(disk.write(0, b"abc"))
        await held.begun()
        server.streams.opened[0].cut()
        await until(lambda: len(server.streams.opened) == 2)
        assert not write.done()
        held.let_go()
        await write

        assert b"abc" == await disk.read(0, 3)
        assert 1 == disk.state().reconnects


async def test_of_more_writes_than_fit_all_are_done_in_the_next_session() -> None:
    """Those that were sent when the stream broke are sent again, and those that waited follow."""
    held = HeldDisk()
    held.held = {WRITE}
    async with server_of(held, Limits(requests=2)) as server:
        disk = await remote(server)
        writes = [Request(WRITE, 0, at, 1, data=b"x") for at in range(5)]
        finished = asyncio.create_task(submitted(disk, writes))
        await held.begun(2)
        server.streams.opened[0].cut()
        held.let_go()
        await finished

        assert [None] * 5 == [request.error for request in writes]
        assert b"xxxxx" == await disk.read(0, 5)


async def test_a_new_session_waits_for_the_requests_of_the_one_before() -> None:
    """The server answers an opening only when nothing of the same client's older session can happen any more."""
    held = HeldDisk()
    held.held = {WRITE}
    async with server_of(held) as server:
        disk = await remote(server)
        write = asyncio.create_task(disk.write(0, b"abc"))
        await held.begun()
        server.streams.opened[0].cut()
        await until(lambda: len(server.streams.opened) == 2)
        await turns(50)
        assert [] == server.streams.opened[1].peer.messages
        held.let_go()
        await write

        assert b"abc" == await disk.read(0, 3)


async def test_a_server_that_is_away_is_waited_for() -> None:
    """Requests wait while the server is away, and are answered when it is back."""
    async with server_of() as server:
        disk = await remote(server)
        server.streams.serve, serve = None, server.streams.serve
        server.streams.opened[0].cut()
        read = asyncio.create_task(disk.read(0, 512))
        await until(lambda: server.streams.tries >= 3)
        server.streams.serve = serve

        assert bytes(512) == await read


async def test_a_server_that_stays_away_is_given_up() -> None:
    """After the connection's timeout the requests fail, and say so."""
    async with server_of() as server:
        server.streams.timeout = 0.3
        disk = await remote(server)
        server.streams.serve = None
        server.streams.opened[0].cut()
        with pytest.raises(Unavailable, match="memory"):
            await disk.read(0, 512)
        await disk.close()


async def test_a_request_that_is_not_answered_is_given_up() -> None:
    """A read that hangs fails after the timeout; its late reply disturbs nobody, and the session goes on."""
    held = HeldDisk()
    held.held = {READ}
    async with server_of(held) as server:
        server.streams.timeout = 0.3
        disk = await remote(server)
        with pytest.raises(Unavailable, match="did not answer Read within"):
            await disk.read(0, 512)
        held.let_go()

        assert bytes(512) == await disk.read(0, 512)
        assert 1 == len(server.streams.opened)


async def test_a_write_that_was_given_up_never_lands_on_a_later_one() -> None:
    """After a write that was not answered in time, the next one waits until the server is done with the first."""
    held = HeldDisk()
    held.held = {WRITE}
    async with server_of(held) as server:
        server.streams.timeout = 0.3
        disk = await remote(server)
        with pytest.raises(Unavailable, match="did not answer Write within"):
            await disk.write(0, b"old")
        server.streams.timeout = 20
        held.held.clear()
        later = asyncio.create_task(disk.write(0, b"new"))
        await turns(20)
        held.let_go()
        await later

        assert b"new" == await disk.read(0, 3)


class CountingClock(SystemClock):
    """Remembers what was slept, and does not sleep."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await turns(1)


async def test_a_server_that_ends_every_session_is_asked_at_growing_intervals() -> None:
    """A read that breaks each session that it is sent in is repeated with pauses, not as fast as sessions can open."""
    held = HeldDisk()
    held.held = {READ}
    async with server_of(held) as server:
        clock = server.streams.clock = CountingClock()
        disk = await remote(server)
        read = asyncio.create_task(disk.read(0, 512))
        for _ in range(5):
            await held.begun()
            server.streams.opened[-1].cut()
            held.let_go()
            held.held = {READ}
        held.held.clear()
        await read
        assert 4 == len(clock.slept)
        assert clock.slept[-1] > 2 * clock.slept[0] > 0

        server.streams.opened[-1].cut()
        await disk.read(0, 512)
        assert 4 == len(clock.slept)


async def test_a_cancelled_write_is_done_before_the_cancellation() -> None:
    """Who cancels a write gets control back only when it cannot change the disk any more; a read is abandoned."""
    held = HeldDisk()
    held.held = {WRITE, READ}
    async with server_of(held) as server:
        disk = await remote(server)
        write = asyncio.create_task(disk.write(0, b"abc"))
        read = asyncio.create_task(disk.read(0, 3))
        await held.begun(2)
        write.cancel()
        read.cancel()
        with pytest.raises(asyncio.CancelledError):
            await read
        assert not write.done()
        held.let_go()
        with pytest.raises(asyncio.CancelledError):
            await write

        assert b"abc" == await disk.read(0, 3)


async def test_another_disk_after_a_break_ends_this_one() -> None:
    """A server that came back with another disk is noticed when the session is opened again."""
    async with server_of() as server, server_of() as other:
        disk = await remote(server)
        server.streams.opened[0].cut()
        server.streams.serve = other.streams.serve
        for _ in range(2):
            with pytest.raises(Fenced, match="another disk"):
                await disk.read(0, 512)


class Forgetful(MemoryDisk):
    """Loses what it was not asked to flush, and says so by its instance, when the test wants it to."""

    def __init__(self) -> None:
        super().__init__(SIZE)
        self.said: list[int] = []
        """The operations that were asked for, in their order."""

    def submit(self, requests: list[Request], done: Done) -> list[Request]:
        self.said += [request.operation for request in requests]
        return super().submit(requests, done)

    async def lose(self, *ranges: tuple[int, int]) -> None:
        for offset, length in ranges:
            await super().zero(offset, length)
        self._instance += "+"
        self._info = self._describe()


@pytest.mark.parametrize("cut", [True, False])
async def test_what_another_instance_lost_is_sent_again_before_anything_else(cut: bool) -> None:
    """Whether the stream broke or not: a read sees what was acknowledged, and a flush makes it durable."""
    disk_there = Forgetful()
    async with server_of(disk_there) as server:
        disk = await remote(server)
        await disk.write(0, b"abc")
        await disk.write(1, b"x")
        await disk.zero(4, 4)
        await disk_there.lose((0, 8))
        disk_there.said.clear()
        if cut:
            server.streams.opened[0].cut()

        assert b"axc\0" == await disk.read(0, 4)
        *changes, flush, read = disk_there.said[disk_there.said.index(WRITE) :]
        assert ({WRITE, ZERO}, FLUSH, READ) == (set(changes), flush, read)
        assert 0 == disk.state().unflushed_requests


async def test_a_record_is_kept_until_a_flush_of_the_same_instance_is_answered() -> None:
    """What was acknowledged counts as unflushed, and no longer once it is flushed; FUA writes alone are not kept."""
    async with server_of() as server:
        disk = await remote(server)
        await disk.write(0, b"durable", fua=True)
        assert (0, 0) == (disk.state().unflushed_requests, disk.state().unflushed_bytes)
        await disk.write(0, b"abc")
        await disk.write(1, b"durable", fua=True)
        await disk.trim(512, 512)
        assert (3, 10) == (disk.state().unflushed_requests, disk.state().unflushed_bytes)
        await disk.flush()
        assert (0, 0) == (disk.state().unflushed_requests, disk.state().unflushed_bytes)


async def test_a_long_record_is_flushed_without_being_asked_to() -> None:
    """The memory that unflushed writes take is bounded."""
    async with server_of(HeldDisk(1 << 27)) as server:
        disk = await RemoteDisk.open(server.streams, "", terms=Terms(unflushed_limit=LEAST_UNFLUSHED))
        most = 0
        for at in range(48):
            await disk.write(at << 20, bytes(1 << 20))
            most = max(most, disk.state().unflushed_bytes)
        await disk.close()

    assert LEAST_UNFLUSHED // 2 <= most <= LEAST_UNFLUSHED


async def test_writes_wait_when_the_record_is_full_and_reads_do_not() -> None:
    """A server that is slow to flush slows its writers."""
    held = HeldDisk(1 << 27)
    held.held = {FLUSH}
    async with server_of(held) as server:
        disk = await RemoteDisk.open(server.streams, "", terms=Terms(unflushed_limit=LEAST_UNFLUSHED))
        writes = [Request(WRITE, 0, at << 20, 1 << 20, data=bytes(1 << 20)) for at in range(40)]
        finished = asyncio.create_task(submitted(disk, writes))
        await held.begun()
        assert bytes(512) == await disk.read(0, 512)
        assert not finished.done()
        assert disk.state().unflushed_bytes <= LEAST_UNFLUSHED
        held.let_go()
        await finished
        assert [None] * 40 == [write.error for write in writes]
        await disk.close()


async def test_changes_that_overlap_are_done_one_after_the_other() -> None:
    """A write that overlaps one that is not answered waits for it; others do not."""
    held = HeldDisk()
    held.held = {WRITE}
    async with server_of(held) as server:
        disk = await remote(server)
        first = asyncio.create_task(disk.write(0, b"first"))
        second = asyncio.create_task(disk.write(3, b"second"))
        await held.begun()
        await turns(50)
        assert 1 == len(held.batches)
        held.let_go()
        await first
        await second

        assert b"firsecond" == await disk.read(0, 9)


async def test_a_patient_client_waits_for_space() -> None:
    """A full store is waited out, and shows in the state; an impatient client hears of it."""
    held = HeldDisk()
    held.held = {WRITE}
    async with server_of(held) as server:
        disk = await RemoteDisk.open(server.streams, "", terms=Terms(patient=True))
        write = asyncio.create_task(disk.write(0, b"abc"))
        await held.begun()
        held.let_go(OutOfSpace("the store is full"))
        await until(lambda: disk.state().condition == "waiting")
        assert "the store is full" in disk.state().cause
        await write
        assert "connected" == disk.state().condition
        assert b"abc" == await disk.read(0, 3)
        await disk.close()


async def test_a_person_can_accept_another_disk() -> None:
    """A server that came back with another disk fails every request, until somebody takes it as it is."""
    async with server_of() as server, server_of() as other:
        disk = await RemoteDisk.open(server.streams, "", terms=Terms(patient=True))
        await disk.write(0, b"abc")
        server.streams.opened[0].cut()
        server.streams.serve = other.streams.serve
        with pytest.raises(Fenced, match="another disk"):
            await disk.read(0, 512)
        assert "failed" == disk.state().condition
        disk.accept()

        assert bytes(512) == await disk.read(0, 512)
        assert ("connected", 0) == (disk.state().condition, disk.state().unflushed_requests)
        await disk.close()


async def test_a_disk_that_must_be_another_one_fails_every_request() -> None:
    """A gateway that takes over never serves other bytes than the gateway before it."""
    async with server_of() as server:
        disk = await RemoteDisk.open(server.streams, "", terms=Terms(patient=True, identity="somebody else's"))
        assert (SIZE, "failed") == (disk.info().size, disk.state().condition)
        with pytest.raises(Fenced):
            await disk.read(0, 512)
        disk.accept()
        assert bytes(512) == await disk.read(0, 512)
        await disk.close()


async def test_a_disk_that_is_deleted_ends_its_sessions() -> None:
    """The next request after a deletion raises Fenced, and so do all later ones; also when a new one has its name."""
    async with server_of() as server:
        disk = await remote(server)
        await disk.write(0, b"abc")
        await server.exports.delete("default")
        await server.exports.create("default", SIZE, "")
        for _ in range(2):
            with pytest.raises(Fenced):
                await disk.read(0, 3)


async def test_a_disk_that_is_replaced_in_its_store_ends_its_sessions() -> None:
    """A store that gives another disk for the name is noticed at the next message, though the old one still works."""
    store = OneDisk(MemoryDisk(SIZE))
    async with server_of(store) as server:
        disk = await remote(server)
        store.disk = MemoryDisk(SIZE)
        await server.exports.open("default")
        with pytest.raises(Fenced):
            await disk.read(0, 3)


async def test_a_disk_that_is_deleted_behind_the_servers_back_ends_its_sessions() -> None:
    """A request that finds no disk makes the server look, and the session ends with Fenced, not with NotFound."""
    async with server_of() as server:
        disk = await remote(server)
        await server.exports.store.delete("default")
        with pytest.raises(Fenced, match="is gone"):
            await disk.read(0, 3)


async def test_a_disk_that_becomes_another_one_ends_its_sessions() -> None:
    """No reply is sent for a disk whose identity has changed while the session was open."""
    memory = MemoryDisk(SIZE)
    async with server_of(memory) as server:
        disk = await remote(server)
        memory._identity = "another"
        memory._info = memory._describe()
        with pytest.raises(Fenced, match="another one now"):
            await disk.read(0, 3)


async def test_a_server_that_compares_nothing_is_found_out() -> None:
    """The client itself compares the identity when a session is opened again."""
    async with server_of() as server:
        disk = await remote(server)
        other = disk_pb2.DescribeReply(disk="default", identity="another", size=SIZE)
        with pytest.raises(Fenced, match="another disk"):
            disk.described(other, Bounds(1, SIZE, SIZE))


async def test_wrong_replies_end_the_session_and_fail_what_was_in_flight() -> None:
    """A server that answers a read with too little is Corrupt, not believed."""
    held = HeldDisk()
    held.held = {READ}
    async with server_of(held) as server:
        disk = await remote(server)
        read = asyncio.create_task(disk.read(0, 512))
        await held.begun()
        stream = server.streams.opened[0]
        opened = disk_pb2.SessionReply.FromString(stream.peer.messages[0])
        sent = requests_sent(server.streams)[-1]
        wrong = disk_pb2.SessionReply(
            identity=opened.identity, instance=opened.instance, attempt=1, ids=sent.ids, lengths=[5], payload=b"short"
        )
        stream.handler.message(memoryview(wrong.SerializeToString()))
        with pytest.raises(Corrupt, match="answered with 5"):
            await read
        held.let_go()

        assert bytes(512) == await disk.read(0, 512)
        assert 2 == len(server.streams.opened)


async def test_a_server_that_drains_answers_first() -> None:
    """A draining server answers what is in flight, then ends its sessions; the client finds the next server."""
    held = HeldDisk()
    held.held = {WRITE}
    async with server_of(held) as server:
        disk = await remote(server)
        write = asyncio.create_task(disk.write(0, b"abc"))
        await held.begun()
        server.sessions.drain()
        held.let_go()
        await write
        async with server_of(held) as following:
            server.streams.serve = following.streams.serve

            assert b"abc" == await disk.read(0, 3)


async def test_writes_that_cross_with_the_end_of_a_draining_server_are_sent_again() -> None:
    """What came after a draining server had answered all was not begun, and goes to its successor without an error."""
    held = HeldDisk()
    async with server_of(held) as server, server_of(held) as following:
        disk = await remote(server)
        server.sessions.drain()
        server.streams.serve = following.streams.serve
        await disk.write(0, b"abc")

        assert b"abc" == await disk.read(0, 3)
        assert [1, 2] == [requests_sent(server.streams, at)[0].attempt for at in range(2)]
        assert [[WRITE], [READ]] == [[request.operation for request in batch] for batch in held.batches]


async def test_a_draining_server_begins_nothing_more() -> None:
    """A request that comes while an older one is still in flight is left to the successor, so the stop has an end."""
    held = HeldDisk()
    held.held = {WRITE}
    async with server_of(held) as server, server_of(held) as following:
        disk = await remote(server)
        first = asyncio.create_task(disk.write(0, b"first"))
        await held.begun()
        server.sessions.drain()
        server.streams.serve = following.streams.serve
        second = asyncio.create_task(disk.write(512, b"second"))
        await until(lambda: len(requests_sent(server.streams)) == 3)
        assert 1 == len(held.batches)

        held.held = set()
        held.let_go()
        await first
        await second

        assert b"second" == await disk.read(512, 6)
        sent = [[len(message.ids) for message in requests_sent(server.streams, at)] for at in range(2)]
        assert [[0, 1, 1], [0, 1, 1]] == sent


async def test_what_the_server_lacks_is_not_asked_for() -> None:
    """A disk with no extents and no fast zeroes is served without asking for them."""

    class Minimal(MemoryDisk):
        def _describe(self) -> DiskInfo:
            return replace(super()._describe(), trim=False, zero=False, fast_zero=False, extents=False, cache=False)

    async with server_of(Minimal(SIZE)) as server:
        disk = await remote(server)
        await disk.trim(0, 512)
        await disk.cache(0, 512)
        assert [Extent(0, 512)] == await disk.extents(0, 512)
        with pytest.raises(Unsupported):
            await disk.zero(0, 512, fast=True)
        await disk.zero(0, 512)

        assert [WRITE] == [word for message in requests_sent(server.streams) for word in message.operations]


async def test_closing_fails_what_waits() -> None:
    """Nothing is left hanging by a disk that is closed, and later requests fail at once."""
    held = HeldDisk()
    held.held = {READ}
    async with server_of(held) as server:
        disk = await remote(server)
        read = asyncio.create_task(disk.read(0, 512))
        await held.begun()
        await disk.close()
        with pytest.raises(Unavailable, match="closed"):
            await read
        held.let_go()
        with pytest.raises(DiskError):
            await disk.read(0, 512)


@pytest.mark.parametrize("limits", [Limits(data=1 << 16), Limits(data=1 << 20), Limits(message=1 << 14)])
async def test_a_replay_keeps_to_small_bounds(limits: Limits) -> None:
    """As many messages as it takes; a write of just the bound is sent, too."""
    disk_there = Forgetful()
    async with server_of(disk_there, limits) as server:
        disk = await remote(server)
        content = bytes(range(256)) * (1 << 13)
        await disk.write(0, content)
        await disk_there.lose((0, len(content)))
        async with asyncio.timeout(20):
            assert content == await disk.read(0, len(content))


async def test_a_description_right_behind_the_opening_is_taken() -> None:
    """Both may come in one read of the socket."""
    async with server_of() as server:
        open_session = server.streams.serve
        assert open_session is not None

        def serve(stream: MessageStream, metadata: Mapping[str, str]) -> MessageHandler:
            send = stream.send

            def send_two(parts: Sequence[Buffer]) -> None:
                send(parts)
                opened = disk_pb2.SessionReply.FromString(b"".join(parts))
                if opened.HasField("opened"):
                    opened.opened.description.size *= 2
                    news = disk_pb2.SessionReply(
                        identity=opened.identity,
                        instance=opened.instance,
                        attempt=opened.attempt,
                        description=opened.opened.description,
                    )
                    send([news.SerializeToString()])

            stream.send = send_two  # type: ignore[method-assign]
            return open_session(stream, metadata)

        server.streams.serve = serve
        disk = await remote(server)
        await until(lambda: disk.info().size == 2 * SIZE)
        assert bytes(512) == await disk.read(0, 512)


async def test_one_full_store_holds_up_only_what_overlaps() -> None:
    """While a write waits for space and its repetition for it, other changes go on: a trim may make the space."""
    held = HeldDisk()
    held.held = {WRITE}
    async with server_of(held) as server:
        disk = await RemoteDisk.open(server.streams, "", terms=Terms(patient=True))
        writes = [asyncio.create_task(disk.write(0, b"abc")) for _ in range(2)]
        await held.begun()
        await disk.trim(4096, 4096)
        held.let_go()
        await asyncio.gather(*writes)
        await disk.close()
