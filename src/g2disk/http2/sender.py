"""`Sender`, what is to be sent and what flow control lets through of it (RFC 9113, sections 5.2 and 6.9)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from g2disk.http2 import frames
from g2disk.http2.errors import ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, Http2Error
from g2disk.http2.events import Buffer
from g2disk.http2.headers import HeaderEncoder
from g2disk.http2.settings import DEFAULT_WINDOW, SMALLEST_FRAME_LIMIT
from g2disk.http2.stream import Outgoing, Stream

MOST_ANSWERS: Final = 256
"""Acknowledgements and the like that wait to be sent, beyond which the connection ends: a peer that does not read makes
no more of them (CVE-2019-9512, CVE-2019-9515)."""

_PREFIX_LENGTH = frames.PREFIX.size


class Sender:
    """Everything that leaves, in the order in which it leaves."""

    def __init__(self) -> None:
        self.window = DEFAULT_WINDOW
        """Bytes of DATA that the connection may send."""
        self.initial_window = DEFAULT_WINDOW
        self.most = SMALLEST_FRAME_LIMIT
        """Bytes of the largest frame that the peer takes."""
        self.encoder = HeaderEncoder()
        self._out: list[Buffer] = []
        self._answers = 0
        self._waiting: dict[int, Stream] = {}

    def take(self) -> list[Buffer]:
        """What to send now."""
        out, self._out, self._answers = self._out, [], 0
        return out

    def put(self, frame: bytes) -> None:
        """Send a frame that needs no window."""
        self._out.append(frame)

    def answer(self, frame: bytes) -> None:
        """Send a frame that the peer made us send.  Raises `Http2Error` when too many of them wait."""
        self._answers += 1
        if self._answers > MOST_ANSWERS:
            raise Http2Error(ENHANCE_YOUR_CALM, f"more than {MOST_ANSWERS} frames to answer at once")
        self._out.append(frame)

    def headers(self, number: int, headers: Sequence[tuple[str, str]], ended: bool) -> None:
        """Send a header block."""
        self._out.append(frames.header_block(number, self.encoder.encode(headers), ended, self.most))

    def message(self, stream: Stream, parts: Sequence[Buffer]) -> None:
        """Send a message, or as much of it as the windows allow."""
        size = _PREFIX_LENGTH
        for part in parts:
            size += len(part)
        if size <= self.most and size <= self.window and size <= stream.send_window and not stream.queue:
            self.window -= size
            stream.send_window -= size
            out = self._out
            out.append(frames.MESSAGE_HEADER.pack(size << 8, 0, stream.number, 0, size - _PREFIX_LENGTH))
            out.extend(parts)
            return
        views = [memoryview(frames.PREFIX.pack(0, size - _PREFIX_LENGTH)), *(memoryview(part) for part in parts)]
        stream.queue.append(Outgoing(views, size))
        stream.unsent += size
        self._waiting[stream.number] = stream
        while self._send_frame(stream):
            pass

    def forget(self, stream: Stream) -> None:
        """The stream is over."""
        self._waiting.pop(stream.number, None)

    def window_update(self, increment: int) -> None:
        """The peer allows more on the connection.  Raises `Http2Error` when it allows too much."""
        self.window = _wider(self.window, increment)

    def set_initial_window(self, size: int, streams: Sequence[Stream]) -> None:
        """The peer changed the windows of all streams, also of those that are open (section 6.9.2)."""
        change = size - self.initial_window
        self.initial_window = size
        for stream in streams:
            stream.send_window = _wider(stream.send_window, change)

    def send_waiting(self) -> list[Stream]:
        """Send what the windows allow, a frame of each stream in turn; the streams for which that was all."""
        turns = deque(self._waiting.values())
        drained = []
        while turns and self.window > 0:
            stream = turns.popleft()
            if self._send_frame(stream):
                turns.append(stream)
            elif not stream.queue:
                drained.append(stream)
        return drained

    def _send_frame(self, stream: Stream) -> bool:
        """Send a DATA frame from the queue if the windows allow any; whether there may be another one to send."""
        size = min(stream.queue[0].left, self.window, stream.send_window, self.most)
        if size <= 0:
            return False
        self._out.append(frames.HEADER.pack(size << 8, 0, stream.number))
        self._out.extend(_cut(stream.queue[0], size))
        self.window -= size
        stream.send_window -= size
        stream.unsent -= size
        # Last in line again, so that streams share the connection's window.
        del self._waiting[stream.number]
        if not stream.queue[0].left:
            stream.queue.popleft()
        if stream.queue:
            self._waiting[stream.number] = stream
        return bool(stream.queue)


def _cut(message: Outgoing, size: int) -> list[memoryview]:
    """The next `size` bytes of a message, as views."""
    message.left -= size
    cut = []
    while size:
        part = message.parts.popleft()
        if len(part) > size:
            message.parts.appendleft(part[size:])
            part = part[:size]
        if part:
            cut.append(part)
        size -= len(part)
    return cut


def _wider(window: int, increment: int) -> int:
    if window + increment > frames.LARGEST_WINDOW:
        raise Http2Error(FLOW_CONTROL_ERROR, f"a window of {window + increment} bytes; 2^31-1 is the most")
    return window + increment
