"""NBD from the client's side, written from the protocol document alone and sharing nothing with g2disk.

`option`, `request` and their like make what a client sends; what a server answers is read by `read_option_reply` and
`Replies`, which raise `WireError` where the server breaks a rule of the document.  `WireClient` is both on a socket:
small, blocking, and able to speak every form of the protocol, extended headers among them.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.nbd_replies import (
    BLOCK_STATUS,
    DISC,
    PAYLOAD_LEN,
    WRITE,
    Asked,
    Bytes,
    Read,
    Replies,
    Reply,
    demand,
)

EXPORT_NAME, ABORT, LIST, _, STARTTLS, INFO, GO, STRUCTURED_REPLY, LIST_META, SET_META, EXTENDED_HEADERS = range(1, 12)
ACK, SERVER, REP_INFO, META_CONTEXT = range(1, 5)
(UNSUP, POLICY, INVALID, PLATFORM, TLS_REQD, UNKNOWN, SHUTDOWN, BLOCK_SIZE_REQD, TOO_BIG, EXT_HEADER_REQD) = range(
    0x80000001, 0x8000000B
)
INFO_EXPORT, INFO_NAME, INFO_DESCRIPTION, INFO_BLOCK_SIZE = range(4)
ALLOCATION = "base:allocation"
PATIENCE = 30.0


def string(text: str | bytes) -> bytes:
    """A string with its length before it."""
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack(">I", len(raw)) + raw


def option(number: int, data: bytes = b"", length: int | None = None) -> bytes:
    """An option; `length` is for one that lies about its data."""
    return b"IHAVEOPT" + struct.pack(">II", number, len(data) if length is None else length) + data


def info_data(name: str | bytes, items: Sequence[int] = ()) -> bytes:
    """The data of INFO and GO."""
    return string(name) + struct.pack(f">H{len(items)}H", len(items), *items)


def meta_data(name: str | bytes, queries: Sequence[str | bytes] = ()) -> bytes:
    """The data of LIST_META_CONTEXT and SET_META_CONTEXT."""
    return string(name) + struct.pack(">I", len(queries)) + b"".join(string(query) for query in queries)


@dataclass(frozen=True)
class OptionReply:
    """One reply to an option."""

    option: int
    kind: int
    data: bytes = b""

    @property
    def final(self) -> bool:
        """Nothing follows for this option."""
        return self.kind == ACK or bool(self.kind >> 31)


def read_option_reply(read: Read) -> OptionReply:
    """The next reply to an option."""
    magic, number, kind, length = struct.unpack(">QIII", read(20))
    demand(magic == 0x3E889045565A9, f"option reply magic {magic:#x}")
    data = read(length)
    if kind >> 31:
        demand(len(data) <= 4096, "an error message of more than 4096 bytes")
        data.decode()
    return OptionReply(number, kind, data)


def option_replies(data: bytes) -> list[OptionReply]:
    """All of them; nothing may be left over."""
    read, replies = Bytes(data), []
    while read.left:
        replies.append(read_option_reply(read))
    return replies


def request(
    command: int, cookie: int, offset: int, length: int, flags: int = 0, data: bytes = b"", *, extended: bool = False
) -> bytes:
    """A request with its payload; `length` and `flags` are taken as they are."""
    if extended:
        return struct.pack(">IHHQQQ", 0x21E41C71, flags, command, cookie, offset, length) + data
    return struct.pack(">IHHQQI", 0x25609513, flags, command, cookie, offset, length) + data


class Refused(Exception):
    """The server answered an option with an error."""

    def __init__(self, reply: OptionReply) -> None:
        super().__init__(f"option {reply.option}: {reply.kind:#x} {reply.data.decode()}")
        self.kind = reply.kind


class WireClient:
    """A connection; first `options`, `negotiate` or both, then requests.  Use it as a context manager."""

    def __init__(self, address: Path | tuple[str, int], *, no_zeroes: bool = True, fixed: bool = True) -> None:
        family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE)
        try:
            self.socket.connect(address if isinstance(address, tuple) else str(address))
            greeting = struct.unpack(">8s8sH", self.read(18))
            demand(greeting == (b"NBDMAGIC", b"IHAVEOPT", 3), f"greeting {greeting}")
            self.send(struct.pack(">I", fixed | no_zeroes << 1))
        except BaseException:
            self.socket.close()
            raise
        self._no_zeroes = no_zeroes
        self.size = self.flags = 0
        self.name = self.description = ""
        self.block_sizes: tuple[int, ...] = ()
        self.contexts: dict[str, int] = {}
        self.structured = self.extended = False
        self._cookie = 0
        self._replies = Replies(self.read)

    def __enter__(self) -> WireClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Raw bytes."""
        self.socket.sendall(data)

    def read(self, count: int) -> bytes:
        """Raw bytes, exactly that many."""
        parts = bytearray()
        while len(parts) < count:
            received = self.socket.recv(min(count - len(parts), 1 << 20))
            if not received:
                raise EOFError(f"the server closed {count - len(parts)} bytes early")
            parts += received
        return bytes(parts)

    def closed(self) -> bool:
        """Wait until the server closes the connection; False if it sends something instead."""
        with contextlib.suppress(ConnectionResetError):
            return not self.socket.recv(1)
        return True

    def options(self, number: int, data: bytes = b"") -> list[OptionReply]:
        """Send an option; its replies, without the final one.  Raises `Refused`."""
        self.send(option(number, data))
        replies: list[OptionReply] = []
        while not replies or not replies[-1].final:
            replies.append(read_option_reply(self.read))
            demand(replies[-1].option == number, "a reply to another option")
        last = replies.pop()
        if last.kind != ACK:
            raise Refused(last)
        demand(not last.data, "an ACK with data")
        return replies

    def exports(self) -> list[tuple[str, str]]:
        """Names and descriptions."""
        listed = []
        for reply in self.options(LIST):
            (length,) = struct.unpack_from(">I", reply.data)
            demand(reply.kind == SERVER and length <= len(reply.data) - 4, "a REP_SERVER")
            listed.append((reply.data[4 : 4 + length].decode(), reply.data[4 + length :].decode()))
        return listed

    def negotiate(
        self,
        export: str = "",
        *,
        structured: bool = True,
        extended: bool = False,
        contexts: Sequence[str] = (ALLOCATION,),
        use_go: bool = True,
    ) -> WireClient:
        """Enter transmission; contexts are only asked for where replies are chunks.  Raises `Refused`."""
        if structured:
            self.options(STRUCTURED_REPLY)
        if extended:
            self.options(EXTENDED_HEADERS)
        self.structured, self.extended = structured or extended, extended
        if self.structured and contexts:
            self.set_contexts(export, contexts)
        if use_go:
            self._take_info(self.options(GO, info_data(export, (1, 2, 3))))
        else:
            self.send(option(EXPORT_NAME, export.encode()))
            self.size, self.flags = struct.unpack(">QH", self.read(10))
            demand(self._no_zeroes or self.read(124) == bytes(124), "zeroes behind EXPORT_NAME")
        demand(bool(self.flags & 1), "FLAG_HAS_FLAGS")
        demand(bool(self.flags & 1 << 7) <= self.structured, "SEND_DF without chunks")
        demand(bool(self.flags & 1 << 12) <= extended, "BLOCK_STATUS_PAYLOAD without extended headers")
        self._replies = Replies(self.read, structured=self.structured, extended=extended)
        return self

    def set_contexts(self, export: str, queries: Sequence[str]) -> None:
        """Select metadata contexts."""
        self.contexts = {}
        for reply in self.options(SET_META, meta_data(export, queries)):
            self.contexts[reply.data[4:].decode()] = struct.unpack_from(">I", reply.data)[0]
        demand(len(set(self.contexts.values())) == len(self.contexts), "contexts with one id")

    def _take_info(self, replies: list[OptionReply]) -> None:
        items = {struct.unpack_from(">H", reply.data)[0]: reply.data[2:] for reply in replies}
        demand(len(items) == len(replies), "an item of information twice")
        demand(INFO_EXPORT in items, "GO without INFO_EXPORT")
        self.size, self.flags = struct.unpack(">QH", items[INFO_EXPORT])
        self.name = items.get(INFO_NAME, b"").decode()
        self.description = items.get(INFO_DESCRIPTION, b"").decode()
        if INFO_BLOCK_SIZE in items:
            self.block_sizes = struct.unpack(">III", items[INFO_BLOCK_SIZE])

    def ask(self, command: int, offset: int = 0, length: int = 0, flags: int = 0, data: bytes = b"") -> int:
        """Send a request; its cookie.  With data, `length` is theirs; PAYLOAD_LEN is set where it belongs."""
        self._cookie += 1
        length = len(data) if data or command == WRITE else length
        if self.extended and (data or command == WRITE):
            flags |= PAYLOAD_LEN
        effect = struct.unpack_from(">Q", data)[0] if data and command == BLOCK_STATUS else length
        self._replies.asked[self._cookie] = Asked(command, offset, effect, flags)
        self.send(request(command, self._cookie, offset, length, flags, data, extended=self.extended))
        return self._cookie

    def next(self) -> Reply:
        """The next complete reply, to whichever request."""
        return self._replies.next()

    def call(self, command: int, offset: int = 0, length: int = 0, flags: int = 0, data: bytes = b"") -> Reply:
        """Send a request and wait for its reply; nothing else may be on its way."""
        cookie = self.ask(command, offset, length, flags, data)
        reply = self.next()
        demand(reply.cookie == cookie, "a reply with another cookie")
        return reply

    def disconnect(self) -> bool:
        """Say goodbye, and wait; whether the server closed the connection without another word."""
        self.send(request(DISC, 0, 0, 0, extended=self.extended))
        return self.closed()
