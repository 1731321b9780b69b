"""Replies of an NBD server, read and checked from the protocol document alone; shares nothing with g2disk."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

READ, WRITE, DISC, FLUSH, TRIM, CACHE, WRITE_ZEROES, BLOCK_STATUS = range(8)
FUA, NO_HOLE, DF, REQ_ONE, FAST_ZERO, PAYLOAD_LEN = (1 << bit for bit in range(6))

Read: TypeAlias = Callable[[int], bytes]
"""Exactly that many bytes from the server; raises `EOFError` when there are no more."""


class WireError(Exception):
    """The server broke a rule of the protocol."""


def demand(kept: bool, rule: str) -> None:
    """The server must keep the rule."""
    if not kept:
        raise WireError(rule)


class Bytes:
    """A `Read` from bytes that are there already."""

    def __init__(self, data: bytes) -> None:
        self._data, self._position = data, 0

    @property
    def left(self) -> int:
        """Bytes that were not read."""
        return len(self._data) - self._position

    def __call__(self, count: int) -> bytes:
        if count > self.left:
            raise EOFError(f"{self.left} bytes where {count} are due")
        self._position += count
        return self._data[self._position - count : self._position]


@dataclass
class Asked:
    """A request on its way."""

    command: int
    offset: int
    length: int
    flags: int = 0


@dataclass
class Reply:
    """A whole reply to one request."""

    cookie: int
    error: int = 0
    message: str = ""
    data: bytes = b""
    """Of a read that succeeded."""
    status: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    """Of block status: (length, state) of the extents, by the id of the context."""
    chunks: int = 0


@dataclass
class _Reading:
    """A reply of which chunks have come."""

    reply: Reply
    content: dict[int, bytes] = field(default_factory=dict)
    errors: int = 0


class Replies:
    """Replies, checked against what was asked."""

    def __init__(self, read: Read, *, structured: bool = False, extended: bool = False) -> None:
        self._read, self._structured, self._extended = read, structured, extended
        self.asked: dict[int, Asked] = {}
        """The requests that have no reply yet, by cookie; put them in when they are sent."""
        self._begun: dict[int, _Reading] = {}

    def next(self) -> Reply:
        """The next reply that is complete."""
        while True:
            (magic,) = struct.unpack(">I", self._read(4))
            if magic == 0x67446698:
                return self._simple()
            demand(magic == (0x6E8A278C if self._extended else 0x668E33EF), f"reply magic {magic:#x}")
            demand(self._structured or self._extended, "a chunk, and no chunks were negotiated")
            done = self._chunk()
            if done is not None:
                return done

    def _simple(self) -> Reply:
        demand(not self._extended, "a simple reply where extended headers were negotiated")
        error, cookie = struct.unpack(">IQ", self._read(12))
        asked = self._take(cookie)
        if self._structured:
            demand(asked.command != READ, "a simple reply to a read where structured replies were negotiated")
            demand(asked.command != BLOCK_STATUS or error != 0, "block status as a simple reply")
        data = self._read(asked.length) if asked.command == READ and not error else b""
        return Reply(cookie, error, data=data)

    def _take(self, cookie: int) -> Asked:
        demand(cookie in self.asked, f"a reply to {cookie}, which nobody asked")
        return self.asked.pop(cookie)

    def _chunk(self) -> Reply | None:
        if self._extended:
            flags, kind, cookie, offset, length = struct.unpack(">HHQQQ", self._read(28))
        else:
            flags, kind, cookie, length = struct.unpack(">HHQI", self._read(16))
        demand(cookie in self.asked, f"a chunk for {cookie}, which nobody asked")
        asked = self.asked[cookie]
        demand(not self._extended or offset == asked.offset, "a chunk with another offset than the request")
        demand(flags in (0, 1), f"reply flags {flags:#x}")
        payload = self._read(length)
        begun = self._begun.setdefault(cookie, _Reading(Reply(cookie)))
        begun.reply.chunks += 1
        if kind == 0:
            demand(flags == 1 and not payload, "a chunk of type NONE is last and empty")
        elif kind >> 15:
            _error(begun, kind, payload, asked)
        elif kind in (1, 2):
            _content(begun, kind, payload, asked)
        else:
            demand(kind == (6 if self._extended else 5), f"a chunk of type {kind}")
            _status(begun, payload, asked, wide=self._extended)
        if not flags:
            return None
        del self.asked[cookie], self._begun[cookie]
        return _finished(begun, asked)


def _error(begun: _Reading, kind: int, payload: bytes, asked: Asked) -> None:
    demand(kind in (0x8001, 0x8002), f"an error chunk of type {kind:#x}")
    demand(len(payload) >= (6 if kind == 0x8001 else 14), "an error chunk that is too short")
    error, length = struct.unpack_from(">IH", payload)
    demand(error != 0, "an error chunk without an error")
    demand(length <= 4096 and len(payload) == 6 + length + 8 * (kind == 0x8002), "an error chunk's length")
    if kind == 0x8002:
        (offset,) = struct.unpack(">Q", payload[-8:])
        demand(asked.offset <= offset < asked.offset + asked.length, "an error outside the request")
    begun.reply.error = begun.reply.error or error
    begun.reply.message = begun.reply.message or payload[6 : 6 + length].decode()
    begun.errors += 1
    demand(kind == 0x8002 or begun.errors == 1, "an error chunk beside another")


def _content(begun: _Reading, kind: int, payload: bytes, asked: Asked) -> None:
    demand(asked.command == READ, "content that nobody asked to read")
    if kind == 1:
        demand(len(payload) >= 9, "a chunk of data without data")
        (offset,), data = struct.unpack_from(">Q", payload), payload[8:]
    else:
        demand(len(payload) == 12, "a hole's length")
        offset, size = struct.unpack(">QI", payload)
        demand(size != 0, "an empty hole")
        data = bytes(size)
    end = offset + len(data)
    demand(asked.offset <= offset and end <= asked.offset + asked.length, "content outside the request")
    for other, held in begun.content.items():
        demand(end <= other or other + len(held) <= offset, "content that overlaps")
    begun.content[offset] = data
    demand(not asked.flags & DF or len(begun.content) == 1, "fragments of a read with the flag DF")


def _status(begun: _Reading, payload: bytes, asked: Asked, *, wide: bool) -> None:
    demand(asked.command == BLOCK_STATUS, "block status that nobody asked for")
    head, step = (8, 16) if wide else (4, 8)
    demand(len(payload) > head and (len(payload) - head) % step == 0, "the length of a block status")
    (context,) = struct.unpack_from(">I", payload)
    if wide:
        demand(struct.unpack_from(">I", payload, 4)[0] == (len(payload) - head) // step, "the count of extents")
    extents = [(length, state) for length, state in struct.iter_unpack(">QQ" if wide else ">II", payload[head:])]
    demand(all(length for length, _ in extents), "an extent of no length")
    demand(not any(state >> 32 for _, state in extents), "a state of base:allocation above 32 bits")
    demand(len(extents) <= 1 << 20, "more than 2^20 extents")
    demand(sum(length for length, _ in extents[:-1]) < asked.length, "extents behind the end of what was asked")
    if asked.flags & REQ_ONE:
        demand(len(extents) == 1 and extents[0][0] <= asked.length, "REQ_ONE wants one extent, within the request")
    demand(context not in begun.reply.status, "two chunks for one context")
    begun.reply.status[context] = extents


def _finished(begun: _Reading, asked: Asked) -> Reply:
    reply = begun.reply
    if not reply.error and asked.command == READ:
        reply.data = b"".join(begun.content[offset] for offset in sorted(begun.content))
        demand(len(reply.data) == asked.length, f"{len(reply.data)} bytes for a read of {asked.length}")
    demand(asked.command != BLOCK_STATUS or bool(reply.error or reply.status), "block status without a status")
    return reply
