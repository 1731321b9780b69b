"""The data of options, taken apart, and of replies, put together (NBD protocol, "Option types", "Option reply types").

Functions of bytes alone; `g2disk.nbd.handshake` knows what follows what.
"""

from __future__ import annotations

import struct
from typing import Final

from g2disk.errors import (
    Busy,
    Corrupt,
    Denied,
    DiskError,
    Exists,
    Fenced,
    Internal,
    Invalid,
    NotFound,
    OutOfRange,
    OutOfSpace,
    ReadOnly,
    Unavailable,
    Unsupported,
    kind_of_error,
)
from g2disk.nbd import constants as nbd
from g2disk.nbd.export import Export

_REPLY = struct.Struct(">QIII")
_UINT16 = struct.Struct(">H")
_UINT32 = struct.Struct(">I")
_INFO_EXPORT = struct.Struct(">HQH")
_INFO_BLOCK_SIZE = struct.Struct(">HIII")

OPTION_ERROR: Final[dict[type[DiskError], int]] = {
    Invalid: nbd.REP_ERR_INVALID,
    OutOfRange: nbd.REP_ERR_INVALID,
    OutOfSpace: nbd.REP_ERR_UNKNOWN,
    ReadOnly: nbd.REP_ERR_POLICY,
    Unsupported: nbd.REP_ERR_PLATFORM,
    NotFound: nbd.REP_ERR_UNKNOWN,
    Exists: nbd.REP_ERR_UNKNOWN,
    Busy: nbd.REP_ERR_UNKNOWN,
    Denied: nbd.REP_ERR_POLICY,
    Unavailable: nbd.REP_ERR_UNKNOWN,
    Fenced: nbd.REP_ERR_UNKNOWN,
    Corrupt: nbd.REP_ERR_UNKNOWN,
    Internal: nbd.REP_ERR_UNKNOWN,
}
"""The one table from kinds to replies.  The protocol has no better word for most than that the export "is not
available"; the message says why."""


class Refusal(Exception):
    """An option cannot be answered; the client hears of it and may go on.  Stays inside this package."""

    def __init__(self, reply: int, message: str) -> None:
        super().__init__(message)
        self.reply = reply
        """One of REP_ERR_…"""


def refusal_of(error: DiskError) -> Refusal:
    """The refusal that tells a client of `error`."""
    return Refusal(OPTION_ERROR[kind_of_error(error)], str(error))


class _Reader:
    """Takes fields off the front of an option's data; raises `Refusal` where they do not fit."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def take(self, count: int) -> bytes:
        end = self._position + count
        if end > len(self._data):
            raise Refusal(nbd.REP_ERR_INVALID, f"the option's data end after {len(self._data)} bytes; send all of it")
        taken = self._data[self._position : end]
        self._position = end
        return taken

    def uint16(self) -> int:
        value: int = _UINT16.unpack(self.take(2))[0]
        return value

    def uint32(self) -> int:
        value: int = _UINT32.unpack(self.take(4))[0]
        return value

    def string(self) -> str:
        """A string with its length before it."""
        return decode_string(self.take(self.uint32()))

    def end(self) -> None:
        left = len(self._data) - self._position
        if left:
            raise Refusal(nbd.REP_ERR_INVALID, f"{left} bytes behind the option's data; send none")


def decode_string(raw: bytes) -> str:
    """A string of the protocol ("Conventions"): UTF-8, no NUL, at most 4096 bytes.  Raises `Refusal`."""
    if len(raw) > nbd.MAXIMUM_STRING:
        raise Refusal(nbd.REP_ERR_INVALID, f"a string of {len(raw)} bytes; {nbd.MAXIMUM_STRING} is the most")
    if b"\0" in raw:
        raise Refusal(nbd.REP_ERR_INVALID, "a string with a NUL; strings are UTF-8 without it")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Refusal(nbd.REP_ERR_INVALID, "a string that is not UTF-8") from None


def encode_string(text: str) -> bytes:
    """`text` as the protocol allows it: what cannot be sent is replaced, what is too long cut off."""
    raw = text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace")
    if len(raw) <= nbd.MAXIMUM_STRING:
        return raw
    return raw[: nbd.MAXIMUM_STRING].decode(errors="ignore").encode()


def decode_info(data: bytes) -> tuple[str, set[int]]:
    """The export's name and the items wanted, of OPT_INFO and OPT_GO.  Raises `Refusal`."""
    reader = _Reader(data)
    name = reader.string()
    wanted = {reader.uint16() for _ in range(reader.uint16())}
    reader.end()
    return name, wanted


def decode_meta_context(data: bytes) -> tuple[str, list[str]]:
    """The export's name and the queries, of OPT_LIST_META_CONTEXT and OPT_SET_META_CONTEXT.  Raises `Refusal`."""
    reader = _Reader(data)
    name = reader.string()
    queries = [reader.string() for _ in range(reader.uint32())]
    reader.end()
    return name, queries


def encode_reply(option: int, reply: int, data: bytes = b"") -> bytes:
    """One reply to an option ("Fixed newstyle negotiation")."""
    return _REPLY.pack(nbd.OPTION_REPLY_MAGIC, option, reply, len(data)) + data


def encode_server(name: str, description: str) -> bytes:
    """The data of REP_SERVER."""
    raw = encode_string(name)
    return _UINT32.pack(len(raw)) + raw + encode_string(description)


def encode_meta_context(identifier: int, name: str) -> bytes:
    """The data of REP_META_CONTEXT."""
    return _UINT32.pack(identifier) + encode_string(name)


def encode_info(export: Export, item: int, flags: int) -> bytes:
    """The data of REP_INFO for one item; empty where there is nothing to tell."""
    if item == nbd.INFO_EXPORT:
        return _INFO_EXPORT.pack(item, export.size, flags)
    if item == nbd.INFO_NAME:
        return _UINT16.pack(item) + encode_string(export.name)
    if item == nbd.INFO_DESCRIPTION and export.description:
        return _UINT16.pack(item) + encode_string(export.description)
    if item == nbd.INFO_BLOCK_SIZE:
        return _INFO_BLOCK_SIZE.pack(item, export.minimum_block, export.preferred_block, export.maximum_payload)
    return b""
