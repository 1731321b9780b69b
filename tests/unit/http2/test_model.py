"""Any calls between our client and our server, over any splits, windows and frame sizes."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.http2 import wire
from tests.unit.http2.wire import REQUEST, RESPONSE, TRAILERS

from g2disk.http2 import frames
from g2disk.http2 import settings as http2_settings
from g2disk.http2.connection import Http2Connection
from g2disk.http2.events import Drained, Event, HeadersReceived, MessageReceived, StreamEnded, StreamReset

SEEDS = st.integers(0, (1 << 32) - 1)


@dataclass
class Side:
    """What one side sent, and what the other received of it."""

    connection: Http2Connection
    sent: dict[int, list[bytes]] = field(default_factory=dict)
    received: dict[int, list[bytes]] = field(default_factory=dict)
    ended: list[int] = field(default_factory=list)
    waiting: set[int] = field(default_factory=set)

    def send(self, stream: int, body: bytes, cuts: random.Random) -> None:
        """One message, in parts cut at random."""
        places = sorted(cuts.randrange(len(body) + 1) for _ in range(cuts.randrange(3)))
        parts = [body[start:end] for start, end in zip([0, *places], [*places, len(body)], strict=True)]
        self.connection.send_message(stream, parts)
        self.sent[stream].append(body)
        if self.connection.unsent(stream):
            self.waiting.add(stream)

    def note(self, events: list[Event]) -> None:
        """Keep what was received, and check what was drained."""
        for event in events:
            if isinstance(event, MessageReceived):
                self.received[event.stream].append(bytes(event.data))
            elif isinstance(event, StreamEnded):
                self.ended.append(event.stream)
            elif isinstance(event, HeadersReceived):
                self.received.setdefault(event.stream, [])
            elif isinstance(event, Drained):
                assert event.stream in self.waiting
                self.waiting.remove(event.stream)
            assert not isinstance(event, StreamReset)


class Talk:
    """A client and a server, and random choices of one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        client, server = wire.connected()
        self.client, self.server = Side(client), Side(server)
        self.largest = self.random.choice([1, 300, 70_000, 3_000_000])
        for side in (self.client, self.server):
            self.narrow(side)

    def narrow(self, side: Side) -> None:
        """Have a side's peer say other settings, as if it were another library."""
        window, frame = self.random.choice([0, 1, 1000, 65535, 1 << 24]), self.random.choice([16384, 40_000, 1 << 20])
        values = [(http2_settings.INITIAL_WINDOW_SIZE, window), (http2_settings.MAX_FRAME_SIZE, frame)]
        side.note(wire.feed(side.connection, frames.settings(values)))

    def split(self, length: int) -> int:
        """How much arrives now."""
        return min(
            length, self.random.choice([1, 5, 9, 14, 1000, 70_000, 1 << 20, length]) if length < 5000 else length
        )

    def carry(self) -> None:
        """Let each side receive what the other sends."""
        self.server.note(wire.move(self.client.connection, self.server.connection, self.split))
        self.client.note(wire.move(self.server.connection, self.client.connection, self.split))

    def open(self) -> None:
        """Begin a call, with an answer that begins at once."""
        stream = self.client.connection.open_stream(REQUEST)
        self.client.sent[stream], self.server.sent[stream] = [], []
        self.carry()
        self.server.connection.send_headers(stream, RESPONSE)

    def step(self, streams: list[int]) -> None:
        """Something happens on one of the streams, or to a window."""
        side = self.random.choice([self.client, self.server])
        stream = self.random.choice(streams)
        act = self.random.randrange(10)
        if act < 6:
            side.send(stream, self.random.randbytes(self.random.randrange(self.largest + 1)), self.random)
        elif act == 6:
            side.connection.pause(stream)
        elif act == 7:
            side.connection.resume(stream)
        elif act == 8:
            self.narrow(side)
        else:
            self.carry()

    def open_windows(self, streams: list[int]) -> None:
        """Allow everything, until nothing waits."""
        for side in (self.client, self.server):
            values = [(http2_settings.INITIAL_WINDOW_SIZE, 1 << 26)]
            side.note(wire.feed(side.connection, frames.settings(values)))
            for stream in streams:
                side.connection.resume(stream)
        for _ in range(20):
            self.carry()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(SEEDS)
def test_what_was_sent_arrives_in_order(seed: int) -> None:
    """Every message of every stream arrives once, whole, in order; then the ends do; then nothing is left."""
    talk = Talk(seed)
    for _ in range(talk.random.randrange(1, 4)):
        talk.open()
    streams = sorted(talk.client.sent)
    for _ in range(talk.random.randrange(1, 25)):
        talk.step(streams)
    for stream in streams:
        talk.client.connection.send_end(stream)
    talk.open_windows(streams)

    assert talk.client.sent == talk.server.received
    assert streams == sorted(talk.server.ended)
    for stream in streams:
        talk.server.connection.send_end(stream, TRAILERS)
    talk.open_windows(streams)
    assert talk.server.sent == talk.client.received
    assert streams == sorted(talk.client.ended)
    assert (0, 0) == (talk.client.connection.open_streams, talk.server.connection.open_streams)
    assert (set(), set()) == (talk.client.waiting, talk.server.waiting)
