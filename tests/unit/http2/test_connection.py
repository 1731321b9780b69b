"""Calls between our client and our server, in memory."""

from __future__ import annotations

import tracemalloc

import pytest
from tests.unit.http2 import wire
from tests.unit.http2.wire import REQUEST, RESPONSE, TRAILERS, connected, feed, messages, move

from g2disk.errors import Unavailable
from g2disk.http2 import errors, frames, settings
from g2disk.http2.connection import Http2Connection
from g2disk.http2.events import (
    Buffer,
    GoAwayReceived,
    HeadersReceived,
    Pong,
    SettingsReceived,
    StreamEnded,
    StreamReset,
)
from g2disk.units import KIB, MIB


def test_a_call_goes_there_and_back() -> None:
    """Headers, messages and ends reach the other side, and then no stream is left."""
    client, server = connected()
    stream = client.open_stream(REQUEST)
    client.send_message(stream, [b"hello ", memoryview(b"world")])
    client.send_end(stream)

    there = move(client, server)
    assert [HeadersReceived(1, REQUEST, False), StreamEnded(1)] == [there[0], there[2]]
    assert [b"hello world"] == messages(there)

    server.send_headers(stream, RESPONSE)
    server.send_message(stream, [b"answer"])
    server.send_end(stream, TRAILERS)
    back = move(server, client)
    assert [HeadersReceived(1, RESPONSE, False), HeadersReceived(1, TRAILERS, True), StreamEnded(1)] == [
        back[0],
        *back[2:],
    ]
    assert [b"answer"] == messages(back)
    assert (b"", b"") == (wire.sent(client), wire.sent(server))
    assert (0, 0) == (client.open_streams, server.open_streams)


def test_an_answer_may_be_trailers_only() -> None:
    """Headers that end the stream are a whole answer, also to a client that has not sent all."""
    client, server = connected()
    stream = client.open_stream(REQUEST)
    move(client, server)
    server.send_headers(stream, [*RESPONSE, *TRAILERS], end=True)

    assert [HeadersReceived(1, [*RESPONSE, *TRAILERS], True), StreamEnded(1)] == move(server, client)
    client.send_message(stream, [b"too late"])
    assert b"" == wire.sent(client)[13:]  # the RST_STREAM with which it gives the stream up
    assert (0, 0) == (client.open_streams, server.open_streams)


def test_messages_are_passed_through() -> None:
    """The buffers of a message are sent as they are, behind one header for the frame and the message."""
    client, _ = connected()
    stream = client.open_stream(REQUEST)
    client.data_to_send()
    parts: list[Buffer] = [b"abc", memoryview(bytearray(100_000))]
    client.send_message(stream, parts)

    header, *rest = client.data_to_send()
    assert 14 == len(header)
    assert all(sent is given for sent, given in zip(rest, parts, strict=True))


def test_a_whole_message_is_a_view_of_what_was_received() -> None:
    """A message in one frame is not copied: two that came together share their memory."""
    client, server = connected()
    stream = client.open_stream(REQUEST)
    for _ in range(2):
        client.send_message(stream, [bytes(1000)])
    first, second = [event.data for event in move(client, server)[1:] if hasattr(event, "data")]

    assert isinstance(first, memoryview)
    assert first.obj is second.obj


def test_a_reset_ends_both_directions() -> None:
    """The other side hears of a reset with its code, and nothing is sent on the stream any more."""
    client, server = connected()
    stream = client.open_stream(REQUEST)
    move(client, server)
    client.reset(stream, errors.CANCEL)

    assert [StreamReset(1, errors.CANCEL, "the peer reset the stream: CANCEL")] == move(client, server)
    server.send_headers(stream, RESPONSE)
    server.send_message(stream, [b"x"])
    server.send_end(stream, TRAILERS)
    server.pause(stream)
    server.resume(stream)
    server.reset(stream, errors.CANCEL)
    assert (b"", 0) == (wire.sent(server), server.unsent(stream))


def test_messages_after_the_end_are_not_sent() -> None:
    """What is sent after `send_end` is dropped, like a second end."""
    client, _ = connected()
    stream = client.open_stream(REQUEST)
    client.send_end(stream)
    client.data_to_send()
    client.send_message(stream, [b"x"])
    client.send_end(stream)

    assert b"" == wire.sent(client)


def test_a_server_that_answers_early_tells_the_client_to_stop() -> None:
    """Trailers before the client's end are followed by RST_STREAM with NO_ERROR (RFC 9113, section 8.1)."""
    server = wire.foreign_client()
    feed(server, wire.request())
    server.send_end(1, [*RESPONSE, *TRAILERS])

    kinds = [(kind, flags) for kind, flags, _, _ in wire.sent_frames(server)]
    assert [(frames.HEADERS, frames.END_STREAM | frames.END_HEADERS), (frames.RST_STREAM, 0)] == kinds


def test_the_end_of_the_connection_resets_every_stream() -> None:
    """Each stream that was open is reported, and none can be opened."""
    client, _ = connected()
    streams = [client.open_stream(REQUEST) for _ in range(3)]

    assert [StreamReset(stream, errors.CANCEL, "the connection was closed") for stream in streams] == client.eof()
    assert not client.can_open
    assert [] == client.eof()


def test_a_ping_is_answered() -> None:
    """A ping of ours gives a Pong, and one of the peer's is answered with its payload."""
    client, server = connected()
    client.ping()
    assert [] == move(client, server)
    assert [Pong()] == move(server, client)

    server = wire.foreign_client()
    feed(server, frames.frame(frames.PING, 0, 0, b"12345678"))
    assert [(frames.PING, frames.ACK, 0, b"12345678")] == wire.sent_frames(server)


def test_settings_are_acknowledged_and_reported() -> None:
    """Every SETTINGS frame is acknowledged; the acknowledgement is not."""
    client = Http2Connection(client=True)
    client.data_to_send()

    assert [SettingsReceived()] == feed(client, frames.settings(()))
    assert [(frames.SETTINGS, frames.ACK, 0, b"")] == wire.sent_frames(client)
    assert [] == feed(client, frames.frame(frames.SETTINGS, frames.ACK, 0))
    assert b"" == wire.sent(client)


def test_what_we_announce() -> None:
    """The settings and windows that a peer is told of, exactly."""
    server = Http2Connection(client=False)
    sent_settings, window = wire.sent_frames(server)
    values = dict(frames.SETTING.iter_unpack(sent_settings[3]))

    assert {3: 1024, 4: 16 << 20, 5: (16 << 20) - 1, 6: 16 << 10} == values
    assert frames.window_update(0, (64 << 20) - 65535)[9:] == window[3]

    raw = wire.sent(Http2Connection(client=True))
    assert raw.startswith(frames.PREFACE)
    client_settings = wire.parsed(raw.removeprefix(frames.PREFACE))[0]
    assert 0 == dict(frames.SETTING.iter_unpack(client_settings[3]))[settings.ENABLE_PUSH]


def test_the_client_keeps_to_the_streams_that_the_server_allows() -> None:
    """Beyond MAX_CONCURRENT_STREAMS no stream can be opened until one is over."""
    client = wire.foreign_server([(settings.MAX_CONCURRENT_STREAMS, 1)])
    stream = client.open_stream(REQUEST)

    assert not client.can_open
    with pytest.raises(Unavailable):
        client.open_stream(REQUEST)
    client.reset(stream, errors.CANCEL)
    assert 3 == client.open_stream(REQUEST)


def test_going_away_lets_streams_in_progress_end() -> None:
    """A server that goes away finishes the streams it has, also those that were on their way, and opens no others."""
    client, server = connected()
    first = client.open_stream(REQUEST)
    move(client, server)
    server.go_away()
    on_the_way = client.open_stream(REQUEST)
    assert HeadersReceived(on_the_way, REQUEST, False) in move(client, server)

    assert [GoAwayReceived(frames.LARGEST_STREAM, 0, "")] == move(server, client)
    assert not client.can_open
    move(client, server)
    assert [GoAwayReceived(on_the_way, 0, "")] == move(server, client)
    for stream in (first, on_the_way):
        server.send_end(stream, [*RESPONSE, *TRAILERS])
    assert 2 == sum(isinstance(event, StreamEnded) for event in move(server, client))
    assert (0, 0) == (client.open_streams, server.open_streams)

    assert [] == feed(server, wire.request(5) + wire.data(5, wire.message(b"x")))


def test_streams_that_a_leaving_server_did_not_begin_are_refused() -> None:
    """Those above the last stream of GOAWAY are reset as refused, so that they can be repeated."""
    client = wire.foreign_server()
    streams = [client.open_stream(REQUEST) for _ in range(3)]
    events = feed(client, frames.go_away(streams[0], errors.ENHANCE_YOUR_CALM, "too many"))

    assert GoAwayReceived(1, errors.ENHANCE_YOUR_CALM, "too many") == events[0]
    refused = [(event.stream, event.code) for event in events[1:] if isinstance(event, StreamReset)]
    assert [(3, errors.REFUSED_STREAM), (5, errors.REFUSED_STREAM)] == refused
    assert 1 == client.open_streams


def test_a_client_can_go_away() -> None:
    """Its streams go on, and it opens no others."""
    client, server = connected()
    stream = client.open_stream(REQUEST)
    client.go_away()
    client.send_message(stream, [b"still here"])

    assert [b"still here"] == messages(move(client, server))
    assert not client.can_open


def test_an_idle_connection_needs_little_memory() -> None:
    """Less than 8 KiB each, after calls: what it received to is shared by all that have nothing half received."""
    tracemalloc.start()
    try:
        kept = []
        for _ in range(200):
            server = wire.foreign_client()
            feed(server, wire.request() + wire.data(1, wire.message(bytes(5000)), frames.END_STREAM))
            server.send_end(1, [*RESPONSE, *TRAILERS])
            server.data_to_send()
            kept.append(server)
        each = tracemalloc.get_traced_memory()[0] / len(kept)
    finally:
        tracemalloc.stop()

    assert each < 8 * KIB


def test_the_memory_of_a_large_frame_is_given_back() -> None:
    """When its message is dropped, less than 5 MiB stay, however large it was."""
    server = wire.foreign_client()
    large = wire.request() + wire.data(1, wire.message(bytes(15 * MIB)))
    tracemalloc.start()
    try:
        assert 2 == len(feed(server, large))
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert kept < 5 * MIB


def test_connections_that_share_memory_do_not_mix_what_they_receive() -> None:
    """Two that receive in turns, each in the middle of a message, get their own."""
    pairs = [wire.connected() for _ in range(6)]
    bodies = [bytes([number]) * 9000 for number in range(6)]
    halves = []
    for (client, _), body in zip(pairs, bodies, strict=True):
        client.send_message(client.open_stream(REQUEST), [body])
        raw = wire.sent(client)
        halves.append((raw[:5000], raw[5000:]))
    for (_, server), (first, _) in zip(pairs, halves, strict=True):
        feed(server, first)

    assert bodies == [messages(feed(server, rest))[0] for (_, server), (_, rest) in zip(pairs, halves, strict=True)]
