"""The frame of what is stored as JSON: a checksum, a format number, then the fields.

    {"crc32c":"0123abcd","format":1,...}

The checksum is the CRC-32C of everything behind the comma that follows it, as 8 lower-case hexadecimal digits.
Source: docs/formats/manifest.md.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from g2disk.errors import Corrupt, Unsupported
from g2disk.volume.format.checksum import Buffer, crc32c

FORMAT = 1
"""Of all documents."""
_FRONT = len('{"crc32c":"01234567",')

T = TypeVar("T", bound=msgspec.Struct)


class _Head(msgspec.Struct):
    format: int


def encode_document(fields: msgspec.Struct) -> bytes:
    """The document that holds `fields`."""
    rest = b'"format":%d,' % FORMAT + msgspec.json.encode(fields)[1:]
    return b'{"crc32c":"%08x",' % crc32c(rest) + rest


def decode_document(data: Buffer, kind: type[T], what: str) -> T:
    """The fields that the document holds; `what` names it in errors.

    Raises `Corrupt` where it is not as it was written, `Unsupported` where its format is a newer one.
    """
    whole = bytes(data)
    rest = whole[_FRONT:]
    if not rest or whole[:_FRONT] != b'{"crc32c":"%08x",' % crc32c(rest):
        raise Corrupt(f"{what}: the checksum does not fit: run g2disk fsck")
    try:
        head = msgspec.json.decode(b"{" + rest, type=_Head)
        if head.format != FORMAT:
            raise Unsupported(f"{what}: has format {head.format}, this g2disk knows {FORMAT}: use a newer one")
        return msgspec.json.decode(b"{" + rest[len(b'"format":%d,' % FORMAT) :], type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Corrupt(f"{what}: {error}: run g2disk fsck") from error
