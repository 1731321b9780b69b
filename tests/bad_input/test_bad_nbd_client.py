"""NBD clients that are broken or hostile: each is answered or dropped by itself, and nobody else notices."""

from __future__ import annotations

import contextlib
import errno
import logging
import random
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from g2disk.disk import Buffer, Disk
from g2disk.errors import Invalid
from g2disk.request import CACHE, EXTENTS, FLUSH, READ, TRIM, WRITE, ZERO
from g2disk.stores.memory import MemoryStore
from tests.support.loops import on_every_loop
from tests.support.nbd_in_process import ENTER, FORMS, ask_at_once, blocking, client, serving
from tests.support.nbd_replies import DISC, PAYLOAD_LEN
from tests.support.nbd_wire import INFO, LIST, PATIENCE, WireClient, info_data, option, read_option_reply, request
from tests.support.processes import wait_until
from tests.support.session import HeldDisk

MIB = 1 << 20
SIZE = 1 << 24


def say(address: Path, said: bytes, *, listen: bool = True) -> None:
    """Say that on a connection of its own, and with `listen` hear all that is answered until the server closes."""
    with socket.socket(socket.AF_UNIX) as wire, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        wire.settimeout(PATIENCE)
        wire.connect(str(address))
        wire.sendall(said)
        while listen and wire.recv(1 << 16):
            pass


@contextlib.asynccontextmanager
async def attacked(directory: Path, disk: Disk | None = None) -> AsyncIterator[tuple[Path, WireClient]]:
    """A server's socket, and a decent client that must be as well afterwards as before."""
    with contextlib.ExitStack() as stack:
        async with serving(directory, disk or HeldDisk(SIZE)) as (_, address):
            wire = await client(stack, address)
            assert 0 == (await blocking(lambda: wire.call(WRITE, SIZE - 512, data=b"decent" * 10))).error
            yield address, wire
            assert b"decent" == (await blocking(lambda: wire.call(READ, SIZE - 512, 6))).data


@pytest.mark.parametrize(
    "after", [b"", struct.pack(">I", 3), ENTER], ids=["at once", "after its flags", "in transmission"]
)
@on_every_loop
async def test_garbage_ends_its_connection_with_a_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, after: bytes
) -> None:
    """Bytes that are no NBD: the client is dropped, the log says why, once for each."""
    noise = random.Random(3)
    async with attacked(tmp_path) as (address, _):
        caplog.set_level(logging.WARNING)
        for _ in range(20):
            garbage = b"\xff" + noise.randbytes(noise.randrange(100, 3000))

            await blocking(lambda said=after + garbage: say(address, said))  # type: ignore[misc]
        assert 20 == sum("is dropped" in record.message for record in caplog.records)
        assert not any(record.exc_info for record in caplog.records)


@on_every_loop
async def test_an_option_before_garbage_is_answered(tmp_path: Path) -> None:
    """A question, and behind it what is no option: the answer may still come, and the connection ends."""
    async with attacked(tmp_path) as (address, _):
        with await blocking(lambda: WireClient(address)) as wire:
            await blocking(lambda: wire.send(option(INFO, info_data("")) + b"x" * 64))

            def rest() -> None:
                with contextlib.suppress(EOFError, ConnectionResetError):
                    while True:
                        read_option_reply(wire.read)

            await blocking(rest)


@on_every_loop
async def test_nothing_is_read_behind_a_goodbye(tmp_path: Path) -> None:
    """The whole handshake, a goodbye and 900 kB of anything in one piece: the connection ends, and the server lives."""
    async with attacked(tmp_path) as (address, _):
        await blocking(lambda: say(address, ENTER + request(DISC, 0, 0, 0) + bytes(900_000)))


@pytest.mark.parametrize("form", FORMS)
@on_every_loop
async def test_half_a_write_changes_nothing(tmp_path: Path, form: str) -> None:
    """A client that goes away in the middle of its data: what it sent of it is not written."""
    async with attacked(tmp_path) as (address, decent):
        with contextlib.ExitStack() as stack:
            wire = await client(stack, address, form)
            flags = PAYLOAD_LEN if form == "extended" else 0
            half = request(WRITE, 7, 0, MIB, flags, b"x" * 1000, extended=form == "extended")
            await blocking(lambda: wire.send(half))
        assert bytes(1000) == (await blocking(lambda: decent.call(READ, 0, 1000))).data


@pytest.mark.parametrize("form", FORMS)
@on_every_loop
async def test_a_write_that_is_too_large_is_refused_and_skipped(tmp_path: Path, form: str) -> None:
    """65 MiB in one write: EINVAL, nothing written, and the connection goes on in step."""
    async with attacked(tmp_path) as (address, _):
        with contextlib.ExitStack() as stack:
            wire = await client(stack, address, form)
            assert errno.EINVAL == (await blocking(lambda: wire.call(WRITE, 0, data=b"x" * (65 * MIB)))).error
            assert bytes(512) == (await blocking(lambda: wire.call(READ, 0, 512))).data


@pytest.mark.parametrize("form", FORMS)
@on_every_loop
async def test_requests_that_cannot_be_are_refused_alone(tmp_path: Path, form: str) -> None:
    """Beyond the end, too long, of no kind, with flags of none: an error each, and the connection goes on."""
    huge = (1 << 64) - 512 if form == "extended" else (1 << 32) - 512
    async with attacked(tmp_path) as (address, _):
        with contextlib.ExitStack() as stack:
            wire = await client(stack, address, form)
            cases = [
                ((READ, SIZE, 1), errno.EINVAL),
                ((READ, 0, huge), errno.EINVAL),
                ((READ, (1 << 64) - 1, 512), errno.EINVAL),
                ((TRIM, 512, huge), errno.EINVAL),
                ((CACHE, SIZE - 1, 2), errno.EINVAL),
                ((ZERO, SIZE - 1, 2), errno.ENOSPC),
                ((WRITE, SIZE - 1, 2, 0, b"no"), errno.ENOSPC),
                ((READ, 0, 512, 1 << 9), errno.EINVAL),
                ((TRIM, 0, 512, 1 << 4), errno.EINVAL),
                ((77, 0, 512), errno.EINVAL),
                ((EXTENTS, 0, 0), errno.EINVAL),
            ]
            for asked, expected in cases:
                reply = await blocking(lambda asked=asked: wire.call(*asked))  # type: ignore[misc]
                assert expected == reply.error, asked
            assert 0 == (await blocking(lambda: wire.call(READ, 0, 512))).error


@pytest.mark.parametrize("form", FORMS)
@on_every_loop
async def test_requests_of_no_bytes_are_answered(tmp_path: Path, form: str) -> None:
    """A length of 0 is unspecified: here it succeeds with nothing, and the connection goes on in step."""
    async with attacked(tmp_path) as (address, _):
        with contextlib.ExitStack() as stack:
            wire = await client(stack, address, form)
            for command in (READ, WRITE, TRIM, ZERO, CACHE, FLUSH):
                reply = await blocking(lambda command=command: wire.call(command, 512, 0))  # type: ignore[misc]
                assert (0, b"") == (reply.error, reply.data)
            assert bytes(512) == (await blocking(lambda: wire.call(READ, 0, 512))).data


@on_every_loop
async def test_lists_that_nobody_reads_cost_little(tmp_path: Path) -> None:
    """20,000 times LIST from a client that reads no answer: the server makes a few, and serves others."""

    class Counted(MemoryStore):
        lists = 0

        async def list(self):  # type: ignore[no-untyped-def]
            self.lists += 1
            return await super().list()

    store = Counted()
    for number in range(1000):
        await store.create(f"{number:0128}", 512)
    async with serving(tmp_path, store) as (_, address):
        with contextlib.ExitStack() as stack:
            greedy = stack.enter_context(await blocking(lambda: WireClient(address)))
            await blocking(lambda: greedy.send(option(LIST) * 20_000))
            decent = stack.enter_context(await blocking(lambda: WireClient(address)))
            made = -1
            while made + 1 != store.lists:  # the greedy one's answers still go to its socket
                made = store.lists
                assert 1000 == len(await blocking(decent.exports))
                assert store.lists < 1000
            assert store.lists < 300

            for _ in range(2000):
                await blocking(lambda: read_option_reply(greedy.read))
    assert store.lists > made


@on_every_loop
async def test_a_client_that_goes_away_takes_no_request_along(tmp_path: Path) -> None:
    """Writes that the disk has when their client breaks off are carried to their end."""
    disk = HeldDisk(SIZE)
    async with attacked(tmp_path, disk) as (address, decent):
        with contextlib.ExitStack() as stack:
            wire = await client(stack, address)
            disk.held = {WRITE}
            await blocking(lambda: wire.ask(WRITE, 0, data=b"begun"))
            await disk.begun()
        assert 0 == (await blocking(lambda: decent.call(READ, 0, 512))).error
        disk.let_go()
        assert b"begun" == (await blocking(lambda: decent.call(READ, 0, 5))).data


@on_every_loop
async def test_a_client_that_stops_sending_still_hears_its_answers(tmp_path: Path) -> None:
    """A socket that is shut down for sending: what was asked before is answered, then the server closes too."""
    disk = HeldDisk(SIZE)
    async with attacked(tmp_path, disk) as (address, _):
        with contextlib.ExitStack() as stack:
            wire = await client(stack, address)
            disk.held = {READ}
            cookies = await ask_at_once(wire, [(READ, 0, 512)] * 3)
            wire.socket.shutdown(1)
            await disk.begun(3)
            disk.let_go()

            assert cookies == [(await blocking(wire.next)).cookie for _ in cookies]
            assert await blocking(wire.closed)


class Unspeakable(Disk):
    """Its errors cannot be said in UTF-8, or in a few words."""

    size = SIZE

    async def read(self, offset: int, length: int) -> Buffer:
        if offset:
            raise Invalid("a name \udcff \0 of bytes")
        raise Invalid("ä" * 70_000)

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        raise ZeroDivisionError


@pytest.mark.parametrize("form", FORMS)
@on_every_loop
async def test_errors_that_cannot_be_said_are_said_as_they_can(tmp_path: Path, form: str) -> None:
    """Surrogates, 140 kB of text and a bug in the disk: an error reply each, within the protocol's bounds."""
    with contextlib.ExitStack() as stack:
        async with serving(tmp_path, Unspeakable()) as (_, address):
            wire = await client(stack, address, form)
            for offset in (0, 512):
                assert errno.EINVAL == (await blocking(lambda at=offset: wire.call(READ, at, 512))).error  # type: ignore[misc]
            assert errno.EIO == (await blocking(lambda: wire.call(WRITE, 0, data=b"x"))).error


@on_every_loop
async def test_clients_come_and_go(tmp_path: Path) -> None:
    """200 clients that leave at every point of the conversation leave nothing behind."""
    disk = HeldDisk(SIZE)
    with contextlib.ExitStack() as stack:
        async with serving(tmp_path, disk) as (server, address):
            said = ENTER + request(READ, 1, 0, 512) + request(WRITE, 2, 0, 512, data=bytes(512))
            for length in range(0, len(said), 3):
                await blocking(lambda length=length: say(address, said[:length], listen=False))  # type: ignore[misc]
            await blocking(lambda: wait_until("they are gone", lambda: not server._connections))
            wire = await client(stack, address)
            assert 0 == (await blocking(lambda: wire.call(FLUSH))).error
