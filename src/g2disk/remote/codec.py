"""The two messages that carry data, encoded and decoded by hand in protobuf's wire format.

Pure.  The generated classes copy the data several times and take milliseconds for a mebibyte; here the data is joined
to a small header once, and decoding gives a view into the received message.  The bytes on the wire are the same, which
the tests hold against the generated classes in both directions.  Source: protobuf's "Encoding" page.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from g2disk.errors import Corrupt

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_EMPTY = memoryview(b"")


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """g2disk.v1.WriteRequest."""

    disk: str
    identity: str
    offset: int
    fua: bool
    data: bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class ReferenceWrite:
    """g2disk.WriteRequest of the reference protocol."""

    offset: int
    data: bytes | bytearray | memoryview


def encode_read_reply(data: bytes | bytearray | memoryview) -> bytes:
    """g2disk.v1.ReadReply, and the reference protocol's ReadResponse: both hold the data as field 1."""
    if not data:
        return b""
    return b"".join((b"\x0a", _varint(len(data)), data))


def decode_read_reply(message: bytes | bytearray | memoryview) -> memoryview:
    """The data of a ReadReply or a ReadResponse, a view into `message`.  Raises `Corrupt`."""
    data = _EMPTY
    for number, value in _fields(memoryview(message)):
        if number == 1:
            data = _as_bytes(value)
    return data


def encode_write_request(request: WriteRequest) -> bytes:
    """g2disk.v1.WriteRequest; fields that have their default value are left out, as protobuf does."""
    parts: list[bytes | bytearray | memoryview] = []
    for tag, text in ((b"\x0a", request.disk), (b"\x12", request.identity)):
        if text:
            raw = text.encode()
            parts += (tag, _varint(len(raw)), raw)
    if request.offset:
        parts += (b"\x18", _varint(request.offset))
    if request.fua:
        parts.append(b"\x28\x01")
    if request.data:
        parts += (b"\x7a", _varint(len(request.data)), request.data)
    return b"".join(parts)


def decode_write_request(message: bytes | bytearray | memoryview) -> WriteRequest:
    """The request, its data a view into `message`.  Raises `Corrupt`."""
    disk = identity = ""
    offset = fua = 0
    data = _EMPTY
    for number, value in _fields(memoryview(message)):
        if number == 1:
            disk = _as_text(value)
        elif number == 2:
            identity = _as_text(value)
        elif number == 3:
            offset = _as_number(value)
        elif number == 5:
            fua = _as_number(value)
        elif number == 15:
            data = _as_bytes(value)
    return WriteRequest(disk, identity, offset, fua != 0, data)


def encode_reference_write(request: ReferenceWrite) -> bytes:
    """g2disk.WriteRequest of the reference protocol."""
    parts: list[bytes | bytearray | memoryview] = []
    if request.offset:
        parts += (b"\x08", _varint(request.offset))
    if request.data:
        parts += (b"\x12", _varint(len(request.data)), request.data)
    return b"".join(parts)


def decode_reference_write(message: bytes | bytearray | memoryview) -> ReferenceWrite:
    """The request, its data a view into `message`.  Raises `Corrupt`."""
    offset, data = 0, _EMPTY
    for number, value in _fields(memoryview(message)):
        if number == 1:
            offset = _as_number(value)
        elif number == 2:
            data = _as_bytes(value)
    return ReferenceWrite(offset, data)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Every field as (number, value): numbers as int, length-delimited ones as views."""
    position, end = 0, len(message)
    while position < end:
        tag, position = _read_varint(message, position)
        kind = tag & 7
        if not 1 <= tag >> 3 < 1 << 29:
            raise Corrupt(
                f"field number {tag >> 3} in a protobuf message; the sender is not speaking g2disk's protocol"
            )
        value: int | memoryview
        if kind == _VARINT:
            value, position = _read_varint(message, position)
        elif kind in (_BYTES, _FIXED64, _FIXED32):
            if kind == _BYTES:
                length, position = _read_varint(message, position)
            else:
                length = 8 if kind == _FIXED64 else 4
            if length > end - position:
                raise Corrupt("a protobuf message ends inside a field; the sender is broken, or the connection is")
            value = message[position : position + length]
            position += length
            if kind != _BYTES:  # no field of ours: one to skip
                continue
        else:
            raise Corrupt(f"wire type {kind} in a protobuf message; the sender is not speaking g2disk's protocol")
        yield tag >> 3, value


def _read_varint(message: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            raise Corrupt("a protobuf message ends inside a number; the sender is broken, or the connection is")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, position
    raise Corrupt("a number of more than ten bytes in a protobuf message; the sender is not speaking g2disk's protocol")


def _as_number(value: int | memoryview) -> int:
    if isinstance(value, int):
        return value
    raise Corrupt("bytes where a protobuf message must hold a number; the sender is not speaking g2disk's protocol")


def _as_bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, memoryview):
        return value
    raise Corrupt("a number where a protobuf message must hold bytes; the sender is not speaking g2disk's protocol")


def _as_text(value: int | memoryview) -> str:
    try:
        return str(_as_bytes(value), "utf-8")
    except UnicodeDecodeError as error:
        raise Corrupt("text in a protobuf message is not UTF-8; the sender is broken") from error
