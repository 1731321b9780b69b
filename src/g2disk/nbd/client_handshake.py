"""The client's side of the handshake, newstyle (NBD protocol, "Handshake"): enters one export, with simple replies.

    handshake = ClientHandshake("disk")
    negotiated = handshake.receive(data)         # None: nothing to do until more was received
    send(handshake.data_to_send())               # after every call, also after one that raised

What the server refuses raises an error whose kind says what to do; the connection has to end then.  That is all that
the kernel's NBD client needs: it knows neither structured replies nor extended headers.
"""

from __future__ import annotations

import struct
from collections.abc import Generator
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

from g2disk.errors import Denied, DiskError, Invalid, NotFound, Unavailable, Unsupported
from g2disk.nbd import constants as nbd
from g2disk.nbd.errors import NbdProtocolError

MAXIMUM_REPLY_DATA: Final = 64 << 10
"""Bytes of data of one reply; a name, a description or a message has at most 4096."""
MAXIMUM_REPLIES: Final = 1000
"""Replies to one option; GO has at most four."""

_GREETING = struct.Struct(">QQ")
_FLAGS = struct.Struct(">H")
_CLIENT_FLAGS = struct.Struct(">I")
_OPTION = struct.Struct(">QII")
_REPLY = struct.Struct(">QIII")
_EXPORT_NAME = struct.Struct(">QH")
_INFO_TYPE = struct.Struct(">H")
_INFO_EXPORT = struct.Struct(">HQH")
_INFO_BLOCK_SIZE = struct.Struct(">HIII")
_OLDSTYLE = 0x00420281861253

KIND_OF_REFUSAL: Final[dict[int, type[DiskError]]] = {
    nbd.REP_ERR_UNSUP: Unsupported,
    nbd.REP_ERR_POLICY: Denied,
    nbd.REP_ERR_INVALID: Invalid,
    nbd.REP_ERR_PLATFORM: Unsupported,
    nbd.REP_ERR_TLS_REQD: Denied,
    nbd.REP_ERR_UNKNOWN: NotFound,
    nbd.REP_ERR_SHUTDOWN: Unavailable,
    nbd.REP_ERR_BLOCK_SIZE_REQD: Unsupported,
    nbd.REP_ERR_TOO_BIG: Invalid,
    nbd.REP_ERR_EXT_HEADER_REQD: Unsupported,
}
"""The one table from error replies to kinds; other errors are `Unavailable`."""

_Result = TypeVar("_Result")
_Steps: TypeAlias = Generator[None, None, _Result]
"""Is resumed when more was received."""


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What the server said of the export; transmission follows."""

    size: int
    """Bytes."""
    flags: int
    """Transmission flags, FLAG_…"""
    minimum_block: int = nbd.DEFAULT_MINIMUM_BLOCK
    """Bytes, as the other two; the protocol's defaults where the server said nothing."""
    preferred_block: int = nbd.DEFAULT_PREFERRED_BLOCK
    maximum_payload: int = nbd.DEFAULT_MAXIMUM_PAYLOAD


class ClientHandshake:
    """One connection's handshake, for the export of that name (empty: the server's default)."""

    def __init__(self, export: str) -> None:
        self._name = export.encode()
        if len(self._name) > nbd.MAXIMUM_STRING:
            raise Invalid(f"an export's name has at most {nbd.MAXIMUM_STRING} bytes; this one has {len(self._name)}")
        self._export = export
        self._received = bytearray()
        self._to_send = bytearray()
        self._over = False
        self._asked_by_name = False
        self._steps = self._negotiate()
        next(self._steps)

    def receive(self, data: bytes | bytearray | memoryview) -> Negotiated | None:
        """Take what the server sent; the export when it is entered, else None.

        Raises the error that a refusal stands for, and `NbdProtocolError` where the stream is no NBD, or has bytes
        behind the handshake: a server says nothing more until it is asked.
        """
        assert not self._over
        self._received += data
        try:
            next(self._steps)
        except StopIteration as stop:
            self._over = True
            if self._received:
                raise NbdProtocolError(
                    f"{len(self._received)} bytes behind the handshake; the server is broken"
                ) from None
            negotiated: Negotiated = stop.value
            return negotiated
        except DiskError:
            self._over = True
            raise
        return None

    def receive_eof(self) -> DiskError:
        """The server closed the connection: the error that stands for it.  EXPORT_NAME can be refused no other way."""
        kind = NotFound if self._asked_by_name else Unavailable
        return kind(f"the NBD server closed the connection instead of serving the export {self._export!r}; see its log")

    def data_to_send(self) -> bytes:
        """What is to be sent to the server; each byte is given once."""
        data = bytes(self._to_send)
        self._to_send.clear()
        return data

    def _negotiate(self) -> _Steps[Negotiated]:
        """The whole of it, in the protocol's order."""
        magic, style = _GREETING.unpack((yield from self._take(_GREETING.size)))
        if magic != nbd.NBDMAGIC:
            raise NbdProtocolError("who listens there does not speak NBD; see that the address is an NBD server's")
        if style == _OLDSTYLE:
            raise Unsupported("the server speaks the oldstyle handshake, given up in 2013; use a newer server")
        if style != nbd.IHAVEOPT:
            raise NbdProtocolError(f"{style:#018x} where IHAVEOPT must be; the server does not speak NBD")
        (flags,) = _FLAGS.unpack((yield from self._take(_FLAGS.size)))
        fixed = bool(flags & nbd.FLAG_FIXED_NEWSTYLE)
        no_zeroes = bool(flags & nbd.FLAG_NO_ZEROES)
        self._to_send += _CLIENT_FLAGS.pack(fixed * nbd.FLAG_C_FIXED_NEWSTYLE | no_zeroes * nbd.FLAG_C_NO_ZEROES)
        if fixed:
            entered = yield from self._go()
            if entered is not None:
                return entered
        return (yield from self._export_name(no_zeroes))

    def _go(self) -> _Steps[Negotiated | None]:
        """OPT_GO with the item BLOCK_SIZE; None where the server does not know it."""
        wanted = struct.pack(">HH", 1, nbd.INFO_BLOCK_SIZE)
        self._option(nbd.OPT_GO, len(self._name).to_bytes(4, "big") + self._name + wanted)
        told: dict[int, bytes] = {}
        for _ in range(MAXIMUM_REPLIES):
            kind, data = yield from self._reply(nbd.OPT_GO)
            if kind == nbd.REP_ACK:
                return _negotiated(told)
            if kind == nbd.REP_ERR_UNSUP:
                return None
            if kind & nbd.REP_ERROR:
                self._option(nbd.OPT_ABORT)
                raise self._refusal(kind, data)
            if kind == nbd.REP_INFO and len(data) >= _INFO_TYPE.size:
                told[_INFO_TYPE.unpack_from(data)[0]] = data
        raise NbdProtocolError(f"{MAXIMUM_REPLIES} replies to GO, and no end of them; the server is broken")

    def _export_name(self, no_zeroes: bool) -> _Steps[Negotiated]:
        """OPT_EXPORT_NAME, whose answer has a form of its own."""
        self._option(nbd.OPT_EXPORT_NAME, self._name)
        self._asked_by_name = True
        size, flags = _EXPORT_NAME.unpack((yield from self._take(_EXPORT_NAME.size)))
        if not no_zeroes:
            yield from self._take(nbd.EXPORT_NAME_ZEROES)
        return Negotiated(size, flags)

    def _option(self, option: int, data: bytes = b"") -> None:
        self._to_send += _OPTION.pack(nbd.IHAVEOPT, option, len(data)) + data

    def _reply(self, option: int) -> _Steps[tuple[int, bytes]]:
        """The next reply to an option: its type and its data."""
        magic, answered, kind, length = _REPLY.unpack((yield from self._take(_REPLY.size)))
        if magic != nbd.OPTION_REPLY_MAGIC or answered != option:
            raise NbdProtocolError(f"no reply to {nbd.OPTION_NAMES[option]} where one must be; the server is broken")
        if length > MAXIMUM_REPLY_DATA:
            raise NbdProtocolError(f"a reply with {length} bytes of data; {MAXIMUM_REPLY_DATA} is the most")
        return kind, (yield from self._take(length))

    def _refusal(self, kind: int, data: bytes) -> DiskError:
        """The error for an error reply, with the server's own words."""
        said = " ".join(data[: nbd.MAXIMUM_STRING].decode(errors="replace").split())
        because = f": {said}" if said else ""
        name = nbd.REPLY_NAMES.get(kind, f"{kind:#x}")
        error = KIND_OF_REFUSAL.get(kind, Unavailable)
        return error(f"the NBD server refused the export {self._export!r} ({name}){because}")

    def _take(self, count: int) -> _Steps[bytes]:
        """The next `count` bytes of the server."""
        while len(self._received) < count:
            yield None
        taken = bytes(self._received[:count])
        del self._received[:count]
        return taken


def _negotiated(told: dict[int, bytes]) -> Negotiated:
    """What the replies to GO say together ("Option reply types", INFO)."""
    export = told.get(nbd.INFO_EXPORT, b"")
    blocks = told.get(nbd.INFO_BLOCK_SIZE)
    if len(export) != _INFO_EXPORT.size:
        raise NbdProtocolError("GO was acknowledged without the export's size; the server is broken")
    _, size, flags = _INFO_EXPORT.unpack(export)
    if blocks is None:
        return Negotiated(size, flags)
    if len(blocks) != _INFO_BLOCK_SIZE.size:
        raise NbdProtocolError(f"block sizes of {len(blocks)} bytes; the server is broken")
    return Negotiated(size, flags, *_INFO_BLOCK_SIZE.unpack(blocks)[1:])
