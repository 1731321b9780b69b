"""`Http2Error`, for a peer that breaks HTTP/2, and the protocol's error codes (RFC 9113, section 7)."""

from __future__ import annotations

from typing import Final

from g2disk.errors import Corrupt

NO_ERROR: Final = 0x0
PROTOCOL_ERROR: Final = 0x1
INTERNAL_ERROR: Final = 0x2
FLOW_CONTROL_ERROR: Final = 0x3
SETTINGS_TIMEOUT: Final = 0x4
STREAM_CLOSED: Final = 0x5
FRAME_SIZE_ERROR: Final = 0x6
REFUSED_STREAM: Final = 0x7
CANCEL: Final = 0x8
COMPRESSION_ERROR: Final = 0x9
CONNECT_ERROR: Final = 0xA
ENHANCE_YOUR_CALM: Final = 0xB
INADEQUATE_SECURITY: Final = 0xC
HTTP_1_1_REQUIRED: Final = 0xD

_NAMES = {value: name for name, value in dict(globals()).items() if isinstance(value, int) and name.isupper()}


def name_of(code: int) -> str:
    """The name of an error code, or its number."""
    return _NAMES.get(code, f"error code {code}")


class Http2Error(Corrupt):
    """The peer broke the protocol, and the connection cannot go on: send what is queued, and close it."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        """The error code that the peer is told."""
