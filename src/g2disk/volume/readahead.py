"""`Readahead`, which finds out who reads in sequence, and how far to read ahead of them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

_STREAMS = 16
"""Sequential readers that are told apart."""
_FIRST = 512 << 10
"""Bytes that are read ahead of one who has just begun."""


@dataclass(slots=True)
class _Stream:
    """One reader."""

    ahead: int
    """The first block that was not asked for ahead yet."""
    window: int
    """Blocks to be ahead of it."""


class Readahead:
    """Counts in blocks; knows neither the disk nor its end."""

    def __init__(self, block_size: int, most: int) -> None:
        self._first = max(_FIRST // block_size, 1)
        self._most = most // block_size
        self._streams: OrderedDict[int, _Stream] = OrderedDict()
        """By the block that each would read next."""

    def seen(self, first: int, count: int) -> tuple[int, int] | None:
        """Take note of a read; the range (first block, count) to be brought in now, or None."""
        if not self._most:
            return None
        end = first + count
        stream = self._streams.pop(first, None)
        if stream is None:
            self._streams[end] = _Stream(end, 0)
            if len(self._streams) > _STREAMS:
                self._streams.popitem(last=False)
            return None
        self._streams[end] = stream
        stream.ahead = max(stream.ahead, end)
        if stream.ahead - end > stream.window // 2:
            return None
        stream.window = min(max(stream.window * 2, self._first), self._most)
        begin, stream.ahead = stream.ahead, end + stream.window
        return (begin, stream.ahead - begin) if stream.ahead > begin else None
