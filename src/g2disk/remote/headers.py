"""The headers and trailers of a gRPC call: made, and understood.  Pure.

Source: gRPC's "gRPC over HTTP2" and "HTTP to gRPC status code mapping".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote, unquote

from g2disk.errors import Invalid
from g2disk.remote.status import StatusCode
from g2disk.remote.stream import Status

Headers = Sequence[tuple[str, str]]
"""Names in lower case, and values."""

CONTENT_TYPE = "application/grpc"

_UNRESERVED = "".join(chr(byte) for byte in range(0x20, 0x7F) if byte != ord("%"))
"""What stands for itself in grpc-message; all else is percent-encoded UTF-8."""

_TIMEOUT = re.compile(r"([0-9]{1,8})([HMSmun])")
_SECONDS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}

_STATUS_OF_HTTP = {
    400: StatusCode.INTERNAL,
    401: StatusCode.UNAUTHENTICATED,
    403: StatusCode.PERMISSION_DENIED,
    404: StatusCode.UNIMPLEMENTED,
    429: StatusCode.UNAVAILABLE,
    502: StatusCode.UNAVAILABLE,
    503: StatusCode.UNAVAILABLE,
    504: StatusCode.UNAVAILABLE,
}


def request_headers(path: str, authority: str, metadata: Headers = (), timeout: float | None = None) -> Headers:
    """What begins a call of `path`; `timeout` in seconds."""
    headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", authority),
        ("te", "trailers"),
        ("content-type", CONTENT_TYPE),
        ("user-agent", "g2disk"),
        *metadata,
    ]
    if timeout is not None:
        headers.append(("grpc-timeout", format_timeout(timeout)))
    return headers


def response_headers() -> Headers:
    """What begins an answer."""
    return [(":status", "200"), ("content-type", CONTENT_TYPE)]


def trailers(status: Status) -> Headers:
    """What ends an answer."""
    said = [("grpc-status", str(int(status.code)))]
    if status.message:
        said.append(("grpc-message", quote(status.message, safe=_UNRESERVED)))
    return [*said, *status.trailers.items()]


def read_trailers(headers: Headers) -> Status:
    """What a server said at the end; `UNKNOWN` where it said nothing that can be understood."""
    said = dict(headers)
    code = said.get("grpc-status", "")
    if not (code.isascii() and code.isdecimal() and len(code) < 10):
        return Status(StatusCode.UNKNOWN, "the server ended the call without a status that can be understood")
    return Status(int(code), unquote(said.get("grpc-message", "")), metadata_of(headers))


def check_response(headers: Headers) -> Status | None:
    """Why this is no answer of a gRPC server, or None when it is one."""
    said = dict(headers)
    number = said.get(":status", "")
    if number != "200":
        code = _STATUS_OF_HTTP.get(int(number), StatusCode.UNKNOWN) if number.isdecimal() else StatusCode.UNKNOWN
        return Status(code, f"it answered with HTTP status {number or 'none'}")
    kind = said.get("content-type", "")
    if not _is_grpc(kind):
        return Status(StatusCode.UNKNOWN, f"it answered with content of the type {kind!r}, not {CONTENT_TYPE}")
    return None


def check_request(headers: Headers) -> Headers | None:
    """The headers that refuse what is no gRPC call, or None when it is one."""
    said = dict(headers)
    if said.get(":method") != "POST":
        return [(":status", "405"), ("allow", "POST")]
    if not _is_grpc(said.get("content-type", "")):
        return [(":status", "415")]
    return None


def metadata_of(headers: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """What belongs to the application: no pseudo-headers, nothing of gRPC's own, and no binary values."""
    return {
        name: value
        for name, value in headers
        if not name.startswith((":", "grpc-")) and not name.endswith("-bin") and name not in ("te", "content-type")
    }


def format_timeout(seconds: float) -> str:
    """`seconds` as the value of grpc-timeout, which has at most eight digits."""
    milliseconds = max(1, round(seconds * 1000))
    return f"{milliseconds}m" if milliseconds < 10**8 else f"{min(milliseconds // 1000, 10**8 - 1)}S"


def parse_timeout(text: str) -> float:
    """Seconds; raises `Invalid`."""
    match = _TIMEOUT.fullmatch(text)
    if match is None:
        raise Invalid(f"{text!r} is no grpc-timeout; write up to eight digits and a unit, such as 500m")
    return int(match[1]) * _SECONDS[match[2]]


def _is_grpc(content_type: str) -> bool:
    return content_type == CONTENT_TYPE or content_type.startswith((f"{CONTENT_TYPE}+", f"{CONTENT_TYPE};"))
