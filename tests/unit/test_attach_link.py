"""Answering the kernel on a socket of ours, without a kernel: what it does is done by the test."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest
from tests.support.session import until

from g2disk.attach.link import Pair, Transmission
from g2disk.clock import SystemClock
from g2disk.disk import Disk
from g2disk.disk.layers import Checked
from g2disk.nbd.export import export_of

READ, WRITE, DISCONNECT = 0, 1, 2


class Slow(Disk):
    """Reads at once; writes when it is told to."""

    size = 1 << 20

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.written = 0

    async def read(self, offset: int, length: int) -> bytes:
        return bytes([offset % 251]) * length

    async def write(self, offset: int, data: object, fua: bool = False) -> None:
        await self.go.wait()
        self.written += 1


def transmission(disk: Disk) -> Transmission:
    checked = Checked(disk)
    return Transmission(checked, export_of("a", checked.info()), SystemClock(), insists=True)


def request(command: int, cookie: int, offset: int = 0, length: int = 0) -> bytes:
    """NBD protocol, "Request message"."""
    return struct.pack(">IHHQQI", 0x25609513, 0, command, cookie, offset, length)


async def receive(end: socket.socket, length: int) -> bytes:
    data = b""
    async with asyncio.timeout(10):
        while len(data) < length:
            data += await asyncio.get_running_loop().sock_recv(end, length - len(data))
    return data


async def connected(answering: Transmission) -> tuple[socket.socket, asyncio.Event]:
    """The kernel's end of a socket, and the event of its loss."""
    pair = Pair()
    kernel = pair.kernels.dup()
    kernel.setblocking(False)
    assert pair.hand_over()
    return kernel, (await answering.answer_on(pair.ours)).settled


async def test_requests_are_answered_without_a_handshake() -> None:
    """With simple replies, from the first byte on."""
    kernel, _ = await connected(transmission(Slow()))
    with kernel:
        await asyncio.get_running_loop().sock_sendall(kernel, request(READ, 7, 512, 1024))

        assert struct.pack(">IIQ", 0x67446698, 0, 7) + bytes([512 % 251]) * 1024 == await receive(kernel, 16 + 1024)


async def test_a_lost_socket_is_settled_when_what_came_on_it_is_done() -> None:
    """Not before: a request of a dead socket must not run beside its repetition on the next one."""
    disk = Slow()
    kernel, settled = await connected(transmission(disk))
    with kernel:
        await asyncio.get_running_loop().sock_sendall(kernel, request(WRITE, 1, 0, 512) + bytes(512))
        await asyncio.get_running_loop().sock_sendall(kernel, request(READ, 2, 0, 512))
        await receive(kernel, 16 + 512)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await settled.wait()
    disk.go.set()
    async with asyncio.timeout(10):
        await settled.wait()

    assert 1 == disk.written


async def test_what_was_done_for_a_lost_socket_is_not_done_again() -> None:
    """The kernel sends it once more on the next socket, with the count in its handle one higher, and is answered."""
    disk = Slow()
    answering = transmission(disk)
    kernel, settled = await connected(answering)
    loop = asyncio.get_running_loop()
    with kernel:
        for cookie in (1, 2):
            await loop.sock_sendall(kernel, request(WRITE, cookie, 512 * cookie, 512) + bytes(512))
        await loop.sock_sendall(kernel, request(READ, 3, 0, 512))
        await receive(kernel, 16 + 512)
    await until(lambda: all(connection._deaf for connection in answering._links))
    disk.go.set()
    async with asyncio.timeout(10):
        await settled.wait()
    kernel, _ = await connected(answering)
    with kernel:
        await loop.sock_sendall(kernel, request(WRITE, 1 << 32 | 1, 512, 512) + bytes(512))
        assert struct.pack(">IIQ", 0x67446698, 0, 1 << 32 | 1) == await receive(kernel, 16)
        assert 2 == disk.written
        # Another one that merely has the same tag is done.
        await loop.sock_sendall(kernel, request(WRITE, 1 << 32 | 2, 1024, 512) + b"x" * 512)
        assert struct.pack(">IIQ", 0x67446698, 0, 1 << 32 | 2) == await receive(kernel, 16)
        assert 3 == disk.written


async def test_an_ending_daemon_sends_the_kernel_no_error() -> None:
    """An error is final; the kernel asks the next daemon instead."""
    disk = Slow()
    answering = transmission(disk)
    kernel, _ = await connected(answering)
    with kernel:
        await asyncio.get_running_loop().sock_sendall(kernel, request(WRITE, 1, 0, 512) + bytes(512))
        await asyncio.get_running_loop().sock_sendall(kernel, request(READ, 2, 0, 512))
        await receive(kernel, 16 + 512)
        await answering.cut()
        disk.go.set()
        assert b"" == await asyncio.get_running_loop().sock_recv(kernel, 16)
        await answering.end()


async def test_a_disconnect_settles_the_socket() -> None:
    """The kernel says so before it goes."""
    kernel, settled = await connected(transmission(Slow()))
    with kernel:
        await asyncio.get_running_loop().sock_sendall(kernel, request(DISCONNECT, 0))
        async with asyncio.timeout(10):
            await settled.wait()


async def test_a_socket_that_the_kernel_does_not_take_is_noticed() -> None:
    """It lets go of it without a word."""
    pair = Pair()

    assert not pair.hand_over()
    pair.close()


async def test_what_is_under_way_is_answered_when_no_more_is_taken() -> None:
    """`drain` says whether all was; what hangs is given up by `end`."""
    disk = Slow()
    answering = transmission(disk)
    kernel, settled = await connected(answering)
    with kernel:
        await asyncio.get_running_loop().sock_sendall(kernel, request(WRITE, 1, 0, 512) + bytes(512))
        await asyncio.get_running_loop().sock_sendall(kernel, request(READ, 2, 0, 512))
        await receive(kernel, 16 + 512)

        assert not await answering.drain(0.05)
        await answering.end()
        async with asyncio.timeout(10):
            await settled.wait()
    assert 0 == disk.written
    assert await answering.drain(1)
