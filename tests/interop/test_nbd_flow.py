"""Order and amount: which replies wait for which, how much one client may have under way, and how a server stops."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from g2disk.request import EXTENTS, FLUSH, READ, TRIM, WRITE
from g2disk.servers.nbd.connection import Connection
from tests.support.loops import on_every_loop
from tests.support.nbd_in_process import FORMS, GatedReads, ask_at_once, blocking, client, serving
from tests.support.nbd_replies import DISC
from tests.support.nbd_wire import GO, SHUTDOWN, Refused, WireClient, info_data, request
from tests.support.processes import wait_until
from tests.support.session import HeldDisk, remote, server_of, until

MIB = 1 << 20


@on_every_loop
async def test_a_slow_flush_holds_up_nothing(tmp_path: Path) -> None:
    """While a flush waits, reads and writes of its own connection and of another are answered."""
    disk = HeldDisk()
    async with serving(tmp_path, disk) as (_, socket):
        with contextlib.ExitStack() as stack:
            one, two = await client(stack, socket), await client(stack, socket)
            disk.held = {FLUSH}
            flush = one.ask(FLUSH)
            await disk.begun()
            for wire in (one, two):
                for _ in range(3):
                    asked = (wire.ask(WRITE, 512, data=b"x" * 512), wire.ask(READ, 512, 512))
                    assert asked == ((await blocking(wire.next)).cookie, (await blocking(wire.next)).cookie)

            disk.let_go()
            assert flush == (await blocking(one.next)).cookie


@on_every_loop
async def test_replies_leave_as_requests_are_done(tmp_path: Path) -> None:
    """A disk of coroutines: a read that waits is overtaken by what came later."""
    disk = GatedReads(MIB)
    async with serving(tmp_path, disk) as (_, socket):
        with contextlib.ExitStack() as stack:
            wire = await client(stack, socket)
            read = wire.ask(READ, 0, 512)
            await disk.reading.wait()
            write = wire.ask(WRITE, 0, data=b"later" * 100)

            assert write == (await blocking(wire.next)).cookie
            disk.gate.set()
            reply = await blocking(wire.next)
            assert (read, 0) == (reply.cookie, reply.error)


@pytest.mark.parametrize(
    ("operation", "length", "sent", "most"), [(READ, MIB, 100, 64), (FLUSH, 0, 5000, 4096), (EXTENTS, MIB, 1500, 1024)]
)
@on_every_loop
async def test_a_disk_has_no_more_of_a_client_than_it_may(
    tmp_path: Path, operation: int, length: int, sent: int, most: int
) -> None:
    """What was sent at once goes to the disk up to the bounds; the rest follows when that is done."""
    disk = HeldDisk()
    async with serving(tmp_path, disk) as (_, socket):
        with contextlib.ExitStack() as stack:
            wire, other = await client(stack, socket), await client(stack, socket)
            disk.held = {operation}
            cookies = await ask_at_once(wire, [(operation, 0, length)] * sent)
            await disk.begun(most)
            assert 0 == (await blocking(lambda: other.call(WRITE, 0, data=b"x"))).error
            assert most == sum(len(batch) for batch in disk.batches if batch[0].operation == operation)

            disk.let_go()
            assert cookies == sorted([(await blocking(wire.next)).cookie for _ in cookies])


@on_every_loop
async def test_a_client_that_reads_nothing_costs_little(tmp_path: Path) -> None:
    """400 MiB asked for in 11 kB: the disk reads no more than may lie unsent, and goes on when the client reads."""
    disk = HeldDisk()
    async with serving(tmp_path, disk) as (_, socket):
        with contextlib.ExitStack() as stack:
            wire, other = await client(stack, socket), await client(stack, socket)
            await ask_at_once(wire, [(READ, 0, MIB)] * 400)
            for _ in range(20):
                assert 0 == (await blocking(lambda: other.call(READ, 0, 512))).error
            asked = sum(request.length for batch in disk.batches for request in batch)
            assert asked < 100 * MIB

            for _ in range(400):
                assert MIB == len((await blocking(wire.next)).data)


@on_every_loop
async def test_what_is_in_flight_is_answered_before_the_server_stops(tmp_path: Path) -> None:
    """A stop waits for a flush that runs; its client hears of it, then the connection ends."""
    disk = HeldDisk()
    async with serving(tmp_path, disk) as (server, socket):
        with contextlib.ExitStack() as stack:
            wire = await client(stack, socket)
            disk.held = {FLUSH}
            flush = wire.ask(FLUSH)
            await disk.begun()
            stop = asyncio.create_task(server.drain(30))
            await blocking(lambda: wait_until("the socket is gone", lambda: not socket.exists()))
            with pytest.raises((FileNotFoundError, ConnectionRefusedError)):
                await blocking(lambda: WireClient(socket))
            assert not stop.done()

            disk.let_go()
            assert flush == (await blocking(wire.next)).cookie
            assert await blocking(wire.closed)
            await stop


@on_every_loop
async def test_what_waits_behind_the_bounds_is_answered_too(tmp_path: Path) -> None:
    """A goodbye behind more requests than fit: all are answered, then the connection ends."""
    disk = HeldDisk()
    async with serving(tmp_path, disk) as (server, socket):
        with contextlib.ExitStack() as stack:
            wire = await client(stack, socket)
            disk.held = {READ}
            cookies = await ask_at_once(wire, [(READ, 0, MIB)] * 100, then=request(DISC, 0, 0, 0))
            await disk.begun(64)
            stop = asyncio.create_task(server.drain(30))
            disk.let_go()

            assert cookies == sorted([(await blocking(wire.next)).cookie for _ in cookies])
            assert await blocking(wire.closed)
            await stop


@on_every_loop
async def test_clients_that_do_nothing_hold_up_no_stop(tmp_path: Path) -> None:
    """Idle clients, silent ones in the handshake and half requests: a stop with all the time in the world is quick."""
    async with serving(tmp_path, HeldDisk()) as (server, socket):
        with contextlib.ExitStack() as stack:
            for form in FORMS:
                await client(stack, socket, form)
            half = await client(stack, socket)
            half.send(request(WRITE, 1, 0, MIB) + b"half of it")
            silent = stack.enter_context(await blocking(lambda: WireClient(socket)))
            talking = stack.enter_context(await blocking(lambda: WireClient(socket)))
            await blocking(lambda: talking.options(GO + 1))
            async with asyncio.timeout(10):
                await asyncio.gather(server.drain(3600), blocking(silent.closed))


@on_every_loop
async def test_who_shakes_hands_while_the_server_stops_is_told(tmp_path: Path) -> None:
    """An option is refused with ESHUTDOWN; no new client comes into transmission."""
    async with serving(tmp_path, HeldDisk()) as (server, socket):
        with contextlib.ExitStack() as stack:
            talking = stack.enter_context(await blocking(lambda: WireClient(socket)))
            await blocking(talking.exports)
            stop = asyncio.create_task(server.drain(30))
            with pytest.raises(Refused) as refused:
                await blocking(lambda: talking.options(GO, info_data("")))
            assert SHUTDOWN == refused.value.kind
            talking.socket.close()
            await stop


@on_every_loop
async def test_a_client_that_comes_as_the_server_stops_is_let_go(tmp_path: Path) -> None:
    """The stop finds a connection that the event loop has accepted, and not yet made."""
    gone: list[Connection] = []
    disk = HeldDisk()
    async with serving(tmp_path, disk) as (server, _):
        early = Connection(server._exports, lambda _: None, gone.append, server._poll)
        early.drain()
        loop = asyncio.get_running_loop()
        path = tmp_path / "early.sock"
        listener = await loop.create_unix_server(lambda: early, str(path))
        wire = await blocking(lambda: WireClient(path))
        with pytest.raises((Refused, EOFError)):
            await blocking(lambda: wire.options(GO, info_data("")))
        wire.socket.close()
        await blocking(lambda: wait_until("the connection is gone", lambda: bool(gone)))
        listener.close()
        assert gone == [early]


@on_every_loop
async def test_a_client_that_comes_behind_the_stop_is_let_go(tmp_path: Path) -> None:
    """The event loop may have accepted a client whose connection it makes when the stop is over."""
    async with serving(tmp_path, HeldDisk()) as (server, _):
        await server.drain(1)
        path = tmp_path / "late.sock"
        listener = await asyncio.get_running_loop().create_unix_server(server._connection, str(path))
        wire = await blocking(lambda: WireClient(path))
        with pytest.raises((Refused, EOFError)):
            await blocking(lambda: wire.options(GO, info_data("")))
        wire.socket.close()
        listener.close()


@on_every_loop
async def test_a_disk_that_is_stuck_holds_up_a_stop_for_the_grace_alone(tmp_path: Path) -> None:
    """When the time is over the clients are cut off, and what runs is cancelled."""
    disk = GatedReads(MIB)
    async with serving(tmp_path, disk) as (server, socket):
        with contextlib.ExitStack() as stack:
            wire = await client(stack, socket)
            wire.ask(READ, 0, 512)
            await disk.reading.wait()
            await server.drain(0.05)

            assert await blocking(wire.closed)


async def test_a_gateway_ends_while_its_server_is_away(tmp_path: Path) -> None:
    """A change that waits for the server cannot be cancelled; giving the disk up ends it."""
    async with server_of() as target:
        disk = await remote(target)
        async with serving(tmp_path, disk) as (server, socket):
            with contextlib.ExitStack() as stack:
                wire = await client(stack, socket)
                target.streams.serve = None
                target.streams.opened[-1].cut()
                wire.ask(TRIM, 0, 4096)
                await until(lambda: disk.state().in_flight > 0)
                async with asyncio.timeout(10):
                    await server.drain(0.1, disk.close)
