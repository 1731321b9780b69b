"""The kernel's nbd family of generic netlink: connecting, changing and disconnecting nbd devices.

Messages and numbers are those of linux/netlink.h, linux/genetlink.h and linux/nbd-netlink.h.  Why there is no library
in between: docs/decisions/netlink.md.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from g2disk.errors import Busy, DiskError, Internal, Unavailable, Unsupported, from_os_error

Result = TypeVar("Result")

_NETLINK_GENERIC, _SOL_NETLINK, _ADD_MEMBERSHIP = 16, 270, 1
_HEADER = struct.Struct("=IHHII")
"""struct nlmsghdr, in the machine's byte order: length, type, flags, sequence number, port."""
_COMMAND = struct.Struct("=BBH")
"""struct genlmsghdr: command, version, reserved."""
_ATTRIBUTE = struct.Struct("=HH")
"""struct nlattr: length, type."""
_TYPE_BITS = 0x3FFF
"""NLA_TYPE_MASK: the rest of an attribute's type are flags."""

_REQUEST, _ACKNOWLEDGE = 1, 4
_ERROR = 2
"""NLMSG_ERROR, which also acknowledges, with the number 0."""

_CONTROLLER, _GET_FAMILY, _FAMILY_ID, _FAMILY_NAME, _GROUPS, _GROUP_ID = 0x10, 3, 1, 2, 7, 2

_CONNECT, _DISCONNECT, _RECONFIGURE, _LINK_DEAD = 1, 2, 3, 4
_INDEX, _SIZE, _BLOCK_SIZE, _TIMEOUT, _SERVER_FLAGS, _SOCKETS, _DEAD_TIMEOUT, _BACKEND = 1, 2, 3, 4, 5, 7, 8, 10
_SOCKET, _DESCRIPTOR = 1, 1


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the kernel is told of a device when it is connected."""

    backend: str
    """Names this attachment; the kernel changes the device only for who knows it."""
    size: int
    """Bytes."""
    block_size: int
    """Bytes; a power of two from 512 to the size of a page."""
    flags: int
    """NBD transmission flags."""
    timeout: int
    """Seconds that a request may go unanswered before the kernel gives up its socket and sends it again."""
    dead_timeout: int
    """Seconds that requests wait for a new socket before they fail."""


class NbdFamily:
    """A netlink socket to the nbd driver.  Calls block, as long as the driver takes; see `in_thread`."""

    def __init__(self) -> None:
        """Raises `Unsupported` where the module is not loaded."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_GENERIC)
        self._sequence = 0
        try:
            self._socket.bind((0, 0))
            found = dict(self._ask(_CONTROLLER, _GET_FAMILY, [(_FAMILY_NAME, b"nbd\0")]))
        except OSError as error:
            self._socket.close()
            if error.errno == errno.ENOENT:
                raise Unsupported("this kernel has no nbd; load the module, with modprobe nbd") from error
            raise from_os_error(error, "asking the kernel for nbd") from error
        self._family: int = struct.unpack("=H", found[_FAMILY_ID][:2])[0]
        self._groups = [dict(_attributes(group)) for _, group in _attributes(found.get(_GROUPS, b""))]

    def __enter__(self) -> NbdFamily:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    def connect(self, index: int | None, sockets: Sequence[int], wanted: Configuration) -> int:
        """Connect the device of that number, or a free one; returns its number.

        The kernel begins with requests on these stream sockets, which are given by their file descriptors.  Raises
        `Busy` where the device is connected already or looked at by somebody.
        """
        attributes = [] if index is None else [(_INDEX, _u32(index))]
        attributes += [
            (_SIZE, _u64(wanted.size)),
            (_BLOCK_SIZE, _u64(wanted.block_size)),
            (_SERVER_FLAGS, _u64(wanted.flags)),
            (_TIMEOUT, _u64(wanted.timeout)),
            (_DEAD_TIMEOUT, _u64(wanted.dead_timeout)),
            (_BACKEND, wanted.backend.encode() + b"\0"),
            (_SOCKETS, _sockets(sockets)),
        ]
        try:
            answer = dict(self._ask(self._family, _CONNECT, attributes))
        except OSError as error:
            raise _failure(error, "connecting an nbd device") from error
        return int(struct.unpack("=I", answer[_INDEX])[0])

    def reconfigure(
        self,
        index: int,
        backend: str,
        *,
        sockets: Sequence[int] = (),
        size: int | None = None,
        timeout: int | None = None,
        dead_timeout: int | None = None,
    ) -> None:
        """Change a connected device.

        Each socket takes the place of one that the kernel gave up.  Where there is none, the kernel lets go of the
        socket and says nothing: its other end then reads an end of file.  Raises `Unavailable` where the device is not
        connected as `backend`.
        """
        attributes = [(_INDEX, _u32(index)), (_BACKEND, backend.encode() + b"\0")]
        if size is not None:
            attributes.append((_SIZE, _u64(size)))
        if timeout is not None:
            attributes.append((_TIMEOUT, _u64(timeout)))
        if dead_timeout is not None:
            attributes.append((_DEAD_TIMEOUT, _u64(dead_timeout)))
        if sockets:
            attributes.append((_SOCKETS, _sockets(sockets)))
        try:
            self._ask(self._family, _RECONFIGURE, attributes)
        except OSError as error:
            if error.errno == errno.EINVAL:
                raise Unavailable(
                    f"/dev/nbd{index} is no longer connected as it was; detach it with --force, and attach again"
                ) from error
            raise _failure(error, f"changing /dev/nbd{index}") from error

    def disconnect(self, index: int) -> None:
        """Disconnect the device; every request that is not answered fails.  Nothing where it is not connected."""
        try:
            self._ask(self._family, _DISCONNECT, [(_INDEX, _u32(index))])
        except OSError as error:
            raise _failure(error, f"disconnecting /dev/nbd{index}") from error

    def fileno(self) -> int:
        """The socket's file descriptor; after `watch`, it becomes readable when there are `dead_links`."""
        return self._socket.fileno()

    def watch(self) -> None:
        """Hear from now on when the kernel gives up a socket of a device; there is no other use of the object then."""
        for group in self._groups:
            number = struct.unpack("=I", group[_GROUP_ID])[0]
            self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, number)
        self._socket.setblocking(False)

    def dead_links(self) -> list[int]:
        """The numbers of the devices of which the kernel gave up a socket, once for each, since the last call."""
        found = []
        try:
            while True:
                for command, attributes in self._messages(self._socket.recv(1 << 16)):
                    if command == _LINK_DEAD:
                        found.append(int(struct.unpack("=I", dict(attributes)[_INDEX])[0]))
        except BlockingIOError:
            return found

    def _ask(self, family: int, command: int, attributes: Iterable[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
        """The attributes of the answer.  Raises OSError with what the kernel refused it with."""
        self._sequence += 1
        body = _COMMAND.pack(command, 1, 0) + b"".join(_attribute(number, value) for number, value in attributes)
        header = _HEADER.pack(_HEADER.size + len(body), family, _REQUEST | _ACKNOWLEDGE, self._sequence, 0)
        self._socket.send(header + body)
        answer: list[tuple[int, bytes]] = []
        while True:
            for kind, sequence, content in _split(self._socket.recv(1 << 16)):
                if sequence != self._sequence:
                    continue
                if kind == _ERROR:
                    number = -struct.unpack_from("=i", content)[0]
                    if number:
                        raise OSError(number, os.strerror(number))
                    return answer
                answer += _attributes(content[_COMMAND.size :])

    def _messages(self, data: bytes) -> Iterator[tuple[int, list[tuple[int, bytes]]]]:
        """(command, attributes) of what the driver told all who listen."""
        for kind, _, content in _split(data):
            if kind == self._family:
                yield content[0], list(_attributes(content[_COMMAND.size :]))


async def in_thread(call: Callable[[], Result], seconds: float, what: str) -> Result:
    """Run a call that may hang in the kernel, without hanging with it.  Raises `Unavailable` after `seconds`; the
    thread is left to its fate then, and keeps nothing from ending.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[Result] = loop.create_future()

    def set_outcome(result: Result | None, error: BaseException | None) -> None:
        if outcome.done():
            return
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(result)  # type: ignore[arg-type]  # what the call returned

    def work() -> None:
        result: Result | None = None
        failure: BaseException | None = None
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001  raised where it is waited for
            failure = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(set_outcome, result, failure)

    threading.Thread(target=work, daemon=True, name=what).start()
    try:
        async with asyncio.timeout(seconds):
            return await outcome
    except TimeoutError:
        raise Unavailable(f"the kernel did not end {what} within {seconds:g} s; see `dmesg`") from None


async def ask_kernel(call: Callable[[NbdFamily], Result], seconds: float, what: str) -> Result:
    """Have the nbd driver do something that takes at most `seconds`.  Raises what `call` raises, and `Unavailable`."""

    def ask() -> Result:
        with NbdFamily() as family:
            return call(family)

    return await in_thread(ask, seconds, what)


def _failure(error: OSError, doing: str) -> DiskError:
    if error.errno == errno.EBUSY:
        return Busy("the nbd device is connected already or in use; take another one, or leave it out for a free one")
    if error.errno == errno.EINVAL:
        return Internal(f"{doing}: the kernel found the request invalid; see `dmesg`")
    return from_os_error(error, doing)


def _u32(number: int) -> bytes:
    return struct.pack("=I", number)


def _u64(number: int) -> bytes:
    return struct.pack("=Q", number)


def _attribute(number: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), number) + value + bytes(-len(value) % 4)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    start = 0
    while start + _ATTRIBUTE.size <= len(data):
        length, number = _ATTRIBUTE.unpack_from(data, start)
        if length < _ATTRIBUTE.size:
            return
        yield number & _TYPE_BITS, data[start + _ATTRIBUTE.size : start + length]
        start += (length + 3) & ~3


def _sockets(sockets: Sequence[int]) -> bytes:
    items = [_attribute(_SOCKET, _attribute(_DESCRIPTOR, _u32(each))) for each in sockets]
    return b"".join(items)


def _split(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(type, sequence number, content) of each message in a datagram."""
    start = 0
    while start + _HEADER.size <= len(data):
        length, kind, _, sequence, _ = _HEADER.unpack_from(data, start)
        if length < _HEADER.size:
            return
        yield kind, sequence, data[start + _HEADER.size : start + length]
        start += (length + 3) & ~3
