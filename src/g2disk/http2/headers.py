"""Header blocks: compression (RFC 7541) and what makes a block malformed (RFC 9113, sections 8.1 to 8.3)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from functools import lru_cache

from hpack import Decoder
from hpack.exceptions import HPACKError, OversizedHeaderListError

from g2disk.http2.errors import COMPRESSION_ERROR, ENHANCE_YOUR_CALM, Http2Error
from g2disk.http2.events import Headers
from g2disk.http2.settings import MOST_HEADERS
from g2disk.units import KIB

MOST_BLOCK = 64 * KIB
"""Bytes of a header block, compressed or not, beyond which the connection ends: four times what we announce, so that
a list that is only somewhat too large costs its stream alone."""

_REMEMBERED = 16
_USUAL_LENGTH = 128
"""Bytes of a value that may come again; longer ones are not worth their memory."""
_STATUS = re.compile(r"[1-5][0-9]{2}")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]+")
_NOT_IN_VALUES = re.compile(r"[\0\r\n]")
_OF_CONNECTIONS = frozenset({"connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"})
_INDEXED = {  # RFC 7541, appendix A
    (":method", "POST"): b"\x83",
    (":path", "/"): b"\x84",
    (":scheme", "http"): b"\x86",
    (":status", "200"): b"\x88",
}


class Kind(Enum):
    """What a block can be, and the pseudo-headers that it then has: allowed and required."""

    REQUEST = (frozenset({":method", ":scheme", ":path", ":authority"}), frozenset({":method", ":scheme", ":path"}))
    RESPONSE = (frozenset({":status"}), frozenset({":status"}))
    TRAILERS = (frozenset[str](), frozenset[str]())


class HeaderEncoder:
    """Encodes without the dynamic table: a few bytes more a call, and nothing to search or to keep in step."""

    def __init__(self) -> None:
        self._said_no_table = False

    def table_size_changed(self) -> None:
        """The peer set HEADER_TABLE_SIZE: the next block says again that the table is empty (RFC 7541, section 4.2)."""
        self._said_no_table = False

    def encode(self, headers: Sequence[tuple[str, str]]) -> bytes:
        """One block."""
        fields = [
            _encode_usual_field(name, value) if len(value) <= _USUAL_LENGTH else _encode_field(name, value)
            for name, value in headers
        ]
        if not self._said_no_table:
            self._said_no_table = True
            fields.insert(0, b"\x20")
        return b"".join(fields)


class HeaderDecoder:
    """Decodes what any peer may send."""

    def __init__(self) -> None:
        self._decoder = Decoder(MOST_BLOCK)
        self._known: dict[tuple[Kind, bytes], Headers] = {}

    def decode(self, block: bytes, kind: Kind) -> tuple[Headers, str]:
        """The headers, and what is wrong with them: "" if nothing is.

        Raises `Http2Error` if the compression cannot go on.
        """
        known = self._known.get((kind, block))
        if known is not None:
            return known.copy(), ""
        pure = self._table_is_empty()
        headers = self._decompress(block)
        problem = _problem(headers, kind)
        # Without a dynamic table before and after it, a block always means the same.
        if not problem and pure and self._table_is_empty():
            if len(self._known) == _REMEMBERED:
                self._known.clear()
            self._known[kind, block] = headers.copy()
        return headers, problem

    def _table_is_empty(self) -> bool:
        return self._decoder.header_table_size == 0

    def _decompress(self, block: bytes) -> Headers:
        try:
            fields = self._decoder.decode(block, raw=True)
        except OversizedHeaderListError:
            raise Http2Error(ENHANCE_YOUR_CALM, f"a header list of more than {MOST_BLOCK} bytes") from None
        except HPACKError as error:
            raise Http2Error(COMPRESSION_ERROR, f"a header block cannot be decoded: {error}") from error
        return [(_text(name), _text(value)) for name, value in fields]


def _text(data: str | bytes) -> str:
    return data if isinstance(data, str) else data.decode("utf-8", "replace")


def _encode_field(name: str, value: str) -> bytes:
    """A field from the static table, or a literal that stays out of the dynamic one (RFC 7541, section 6.2.2)."""
    return _INDEXED.get((name, value)) or b"\x00" + _encode_string(name) + _encode_string(value)


_encode_usual_field = lru_cache(1024)(_encode_field)


def _encode_string(text: str) -> bytes:
    """Section 5.2, without Huffman coding; the length is an integer of section 5.1 with a prefix of 7 bits."""
    data = text.encode()
    if len(data) < 127:
        return bytes((len(data),)) + data
    length, rest = bytearray(b"\x7f"), len(data) - 127
    while rest >= 128:
        length.append(rest & 127 | 128)
        rest >>= 7
    return bytes(length) + bytes((rest,)) + data


def _problem(headers: Headers, kind: Kind) -> str:
    """What makes these headers malformed; "" if nothing does."""
    size = sum(len(name) + len(value) + 32 for name, value in headers)
    if size > MOST_HEADERS:
        return f"a header list of {size} bytes; {MOST_HEADERS} are taken"
    pseudo = [name for name, _ in headers if name.startswith(":")]
    allowed, required = kind.value
    if len(set(pseudo)) != len(pseudo) or not required <= set(pseudo) <= allowed:
        return f"the pseudo-headers {' '.join(pseudo) or '(none)'}"
    if any(not name.startswith(":") for name, _ in headers[: len(pseudo)]):
        return "a pseudo-header after other headers"
    return next((wrong for name, value in headers if (wrong := _field_problem(name, value))), "")


def _field_problem(name: str, value: str) -> str:
    if _NOT_IN_VALUES.search(value):
        return f"a control character in the header {name!r}"
    if name.startswith(":"):
        good = _STATUS.fullmatch(value) if name == ":status" else value or name == ":authority"
        return "" if good else f"{name} is {value!r}"
    if not _NAME.fullmatch(name):
        return f"the header name {name!r}"
    if name in _OF_CONNECTIONS or (name == "te" and value != "trailers"):
        return f"the header {name!r}, which HTTP/2 does not have"
    return ""
