"""`ReceiveWindow`, flow control of what the peer sends (RFC 9113, section 5.2)."""

from __future__ import annotations


class ReceiveWindow:
    """What the peer may still send, of a window of `size` bytes.  Bytes are given back late, half a window at once."""

    __slots__ = ("_half", "_returned", "left")

    def __init__(self, size: int) -> None:
        self._half = size // 2
        self._returned = 0
        self.left = size
        """Bytes that the peer may send; negative when it sent more than it was allowed."""

    def give_back(self, count: int) -> int:
        """`count` received bytes are dealt with; the increment to tell the peer now, mostly 0."""
        self._returned += count
        if self._returned < self._half:
            return 0
        increment, self._returned = self._returned, 0
        self.left += increment
        return increment
