"""How gRPC messages are cut from DATA."""

from __future__ import annotations

import pytest
from tests.unit.http2 import wire
from tests.unit.http2.wire import RESPONSE, TRAILERS, feed, messages

from g2disk.http2 import errors, frames
from g2disk.http2.events import MessageReceived, MessageRefused, StreamEnded, StreamReset
from g2disk.http2.messages import LARGEST_MESSAGE, MOST_AT_ONCE
from g2disk.units import KIB, MIB


def test_several_messages_may_come_in_one_frame() -> None:
    """Also empty ones, and the beginning of another."""
    server = wire.foreign_client()
    feed(server, wire.request())
    joined = b"".join(map(wire.message, [b"one", b"", b"three", b"four"]))

    assert [b"one", b"", b"three"] == messages(feed(server, wire.data(1, joined[:-3])))
    assert [b"four"] == messages(feed(server, wire.data(1, joined[-3:])))


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_a_message_may_come_in_frames_of_any_size(size: int) -> None:
    """Its prefix too may be spread over frames."""
    server = wire.foreign_client()
    feed(server, wire.request())
    raw = wire.message(b"hello") + wire.message(b"") + wire.message(b"world")
    pieces = b"".join(wire.data(1, raw[start : start + size]) for start in range(0, len(raw), size))

    assert [b"hello", b"", b"world"] == messages(feed(server, pieces))


def test_a_large_message_in_small_frames_is_put_together() -> None:
    """As gRPC's own libraries send it."""
    server = wire.foreign_client()
    feed(server, wire.request())
    body = bytes(range(256)) * (4 * KIB) * 2
    raw = wire.message(body)
    received = []
    for start in range(0, len(raw), 16 * KIB):
        received += messages(feed(server, wire.data(1, raw[start : start + 16 * KIB])))

    assert [body] == received


def test_empty_frames_say_nothing() -> None:
    """DATA without bytes is no message."""
    server = wire.foreign_client()
    feed(server, wire.request())

    assert [] == feed(server, wire.data(1, b""))
    assert [StreamEnded(1)] == feed(server, wire.data(1, b"", frames.END_STREAM))


@pytest.mark.parametrize("whole", [True, False])
def test_a_compressed_message_is_refused_on_its_stream_alone(whole: bool) -> None:
    """The server answers UNIMPLEMENTED, hears no more of the stream, and goes on with others."""
    server = wire.foreign_client()
    feed(server, wire.request(1) + wire.request(3))
    raw = wire.message(b"x" * 100, flag=1)
    events = feed(server, wire.data(1, raw if whole else raw[:50]) + wire.data(1, wire.message(b"more")))

    assert [(1, 12)] == [(event.stream, event.status) for event in events if isinstance(event, MessageRefused)]
    assert 1 == len(events)
    server.send_end(1, [*RESPONSE, ("grpc-status", "12")])
    assert [b"fine"] == messages(feed(server, wire.data(1, b"late") + wire.data(3, wire.message(b"fine"))))


def test_an_unknown_flag_is_refused() -> None:
    """Only 0 and 1 mean something."""
    server = wire.foreign_client()
    events = feed(server, wire.request() + wire.data(1, wire.message(b"x", flag=2)))

    assert [13] == [event.status for event in events if isinstance(event, MessageRefused)]


def test_a_message_over_the_limit_is_refused_before_it_comes() -> None:
    """Its prefix is enough, and what follows of it is dropped without stopping the stream."""
    server = wire.foreign_client()
    feed(server, wire.request())
    events = feed(server, wire.data(1, frames.PREFIX.pack(0, LARGEST_MESSAGE + 1)))
    refused = [event for event in events if isinstance(event, MessageRefused)]

    assert [8] == [event.status for event in refused]
    assert "send smaller pieces" in refused[0].reason
    for _ in range(40):
        assert [] == feed(server, wire.data(1, bytes(MIB)))
    assert [StreamEnded(1)] == feed(server, wire.data(1, b"", frames.END_STREAM))


def test_a_stream_can_have_a_limit_of_its_own() -> None:
    """One byte more is refused, whether it comes whole or not."""
    server = wire.foreign_client()
    feed(server, wire.request(1) + wire.request(3))
    for stream in (1, 3):
        server.limit(stream, 10)

    assert [b"x" * 10] == messages(feed(server, wire.data(1, wire.message(b"x" * 10))))
    for stream, size in ((1, 16), (3, 8)):
        events = feed(server, wire.data(stream, wire.message(b"x" * 11)[:size]))
        assert [8] == [event.status for event in events if isinstance(event, MessageRefused)]


def test_messages_that_have_begun_are_bounded_together() -> None:
    """256 MiB of one connection; what ends or is reset makes room again."""
    server = wire.foreign_client()
    body = wire.message(bytes(15 * MIB))[: 9 * MIB]
    streams = list(range(1, 2 * 17, 2))
    for stream in streams[:17]:
        feed(server, wire.request(stream) + wire.data(stream, body))
    late = streams[-1] + 2
    events = feed(server, wire.request(late) + wire.data(late, body))
    assert [8] == [event.status for event in events if isinstance(event, MessageRefused)]

    server.reset(streams[0], errors.CANCEL)
    again = late + 2
    assert [] == [
        event
        for event in feed(server, wire.request(again) + wire.data(again, body))
        if isinstance(event, MessageRefused)
    ]
    rest = wire.data(again, bytes(6 * MIB + 5))
    assert [15 * MIB] == [len(event.data) for event in feed(server, rest) if isinstance(event, MessageReceived)]


def test_messages_by_the_million_are_refused() -> None:
    """A frame may hold 16 MiB, but not of empty messages."""
    server = wire.foreign_client()
    feed(server, wire.request(1) + wire.request(3))
    assert MOST_AT_ONCE == len(feed(server, wire.data(1, wire.message(b"") * MOST_AT_ONCE)))
    last = feed(server, wire.data(3, wire.message(b"") * (MOST_AT_ONCE + 1)))[-1]

    assert isinstance(last, MessageRefused)
    assert 8 == last.status


def test_a_stream_that_ends_inside_a_message_is_reset() -> None:
    """Half a message, or half a prefix, is none."""
    server = wire.foreign_client()
    for stream, raw in ((1, wire.message(b"hello")[:7]), (3, b"\0\0")):
        events = feed(server, wire.request(stream) + wire.data(stream, raw, frames.END_STREAM))

        assert [errors.PROTOCOL_ERROR] == [event.code for event in events if isinstance(event, StreamReset)]
        assert StreamEnded(stream) not in events


def test_views_stay_good_while_more_comes() -> None:
    """A message that is held keeps its bytes, whatever is received afterwards."""
    server = wire.foreign_client()
    feed(server, wire.request())
    held = []
    for number in range(200):
        body = bytes([number]) * 5000
        held += [
            event.data for event in feed(server, wire.data(1, wire.message(body))) if isinstance(event, MessageReceived)
        ]

    assert [bytes([number]) * 5000 for number in range(200)] == [bytes(view) for view in held]


def test_trailers_of_a_request_end_it() -> None:
    """A client may send trailers, though gRPC's do not."""
    server = wire.foreign_client()
    events = feed(server, wire.request() + wire.request(1, frames.END_HEADERS | frames.END_STREAM, TRAILERS))

    assert StreamEnded(1) == events[-1]
