"""Flow control in both directions (RFC 9113, sections 5.2 and 6.9)."""

from __future__ import annotations

import pytest
from tests.unit.http2 import wire
from tests.unit.http2.wire import REQUEST, connected, feed, messages, move

from g2disk.http2 import errors, frames, settings
from g2disk.http2.connection import Http2Connection
from g2disk.http2.errors import Http2Error
from g2disk.http2.events import Drained, StreamReset
from g2disk.units import KIB, MIB


def sent_bytes(connection: Http2Connection, stream: int) -> int:
    """Bytes of DATA that it now sends on a stream."""
    found = wire.sent_frames(connection)
    return sum(len(payload) for kind, _, number, payload in found if kind == frames.DATA and number == stream)


def window_updates(connection: Http2Connection) -> list[tuple[int, int]]:
    """The WINDOW_UPDATEs that it now sends: stream, increment."""
    found = wire.sent_frames(connection)
    return [(number, frames.NUMBER.unpack(raw)[0]) for kind, _, number, raw in found if kind == frames.WINDOW_UPDATE]


def test_what_the_window_does_not_allow_waits_and_leaves_by_itself() -> None:
    """The rest of a message is queued, counted, sent as the peer allows it, and its end is reported."""
    client = wire.foreign_server()
    stream = client.open_stream(REQUEST)
    client.send_message(stream, [bytes(100_000)])
    client.send_end(stream)

    assert 65535 == sent_bytes(client, stream)
    assert 100_005 - 65535 == client.unsent(stream)
    assert [] == feed(client, frames.window_update(stream, 100_000))
    assert 0 == sent_bytes(client, stream)
    assert [] == feed(client, frames.window_update(0, 100))
    assert 100 == sent_bytes(client, stream)
    assert [Drained(stream)] == feed(client, frames.window_update(0, 100_000))
    assert 0 == client.unsent(stream)
    last = wire.sent_frames(client)[-1]
    assert (frames.DATA, frames.END_STREAM, stream, b"") == last


def test_frames_are_no_larger_than_the_peer_takes() -> None:
    """MAX_FRAME_SIZE, 16 KiB unless the peer says more, bounds each frame."""
    client = wire.foreign_server()
    stream = client.open_stream(REQUEST)
    client.data_to_send()
    client.send_message(stream, [bytes(40 * KIB)])
    assert [16 * KIB, 16 * KIB, 8 * KIB + 5] == [len(payload) for _, _, _, payload in wire.sent_frames(client)]

    feed(client, frames.settings([(settings.MAX_FRAME_SIZE, 20 * KIB), (settings.INITIAL_WINDOW_SIZE, MIB)]))
    client.data_to_send()
    feed(client, frames.window_update(0, MIB))
    client.send_message(stream, [bytes(10), bytes(20 * KIB - 15)])
    assert [20 * KIB] == [len(payload) for _, _, _, payload in wire.sent_frames(client)]


def test_a_smaller_initial_window_makes_windows_negative() -> None:
    """A stream that has sent more than the new window waits until the peer has allowed the difference."""
    client = wire.foreign_server()
    stream = client.open_stream(REQUEST)
    client.send_message(stream, [bytes(1000)])
    client.data_to_send()
    feed(client, frames.settings([(settings.INITIAL_WINDOW_SIZE, 100)]))
    client.send_message(stream, [bytes(95)])
    assert 0 == sent_bytes(client, stream)

    feed(client, frames.window_update(stream, 905))
    assert 0 == sent_bytes(client, stream)
    feed(client, frames.window_update(stream, 10))
    assert 10 == sent_bytes(client, stream)
    assert Drained(stream) in feed(client, frames.settings([(settings.INITIAL_WINDOW_SIZE, 65535)]))
    assert 90 == sent_bytes(client, stream)


def test_streams_share_the_connections_window() -> None:
    """When it opens, every stream that waits sends, not only the first."""
    client = wire.foreign_server([(settings.INITIAL_WINDOW_SIZE, MIB)])
    streams = [client.open_stream(REQUEST) for _ in range(3)]
    for stream in streams:
        client.send_message(stream, [bytes(100_000)])
    client.data_to_send()
    feed(client, frames.window_update(0, 48 * KIB))
    found = [number for kind, _, number, _ in wire.sent_frames(client) if kind == frames.DATA]

    assert set(streams) == set(found)


def test_windows_are_given_back_late() -> None:
    """Small messages cost no WINDOW_UPDATE; half a window is given back at once."""
    server = wire.foreign_client()
    feed(server, wire.request())
    piece = wire.data(1, wire.message(bytes(MIB - 5)))
    for _ in range(7):
        assert [MIB - 5] == [len(data) for data in messages(feed(server, piece))]
        assert [] == window_updates(server)
    feed(server, piece)
    assert [(1, 8 * MIB)] == window_updates(server)


def test_the_connections_window_is_given_back_too() -> None:
    """Whatever the streams, half of the connection's window is given back at once."""
    server = wire.foreign_client()
    increments: list[tuple[int, int]] = []
    for stream in range(1, 67, 2):
        feed(server, wire.request(stream) + wire.data(stream, wire.message(bytes(MIB)), frames.END_STREAM))
        increments += window_updates(server)

    assert [(0, 32 * (MIB + 5))] == increments


def test_a_message_larger_than_the_window_goes_through() -> None:
    """The window is refilled while the message is put together."""
    client, server = connected()
    stream = client.open_stream(REQUEST)
    body = bytes(range(256)) * (36 * MIB // 256)
    client.send_message(stream, [body])
    received = []
    for _ in range(8):
        received += messages(move(client, server))
        move(server, client)

    assert [body] == received


def test_a_paused_stream_gives_nothing_back_until_it_goes_on() -> None:
    """While it is paused the peer can send what its window holds and no more, then everything."""
    client, server = connected()
    stream = client.open_stream(REQUEST)
    move(client, server)
    server.pause(stream)
    count = 0
    for _ in range(20):
        client.send_message(stream, [bytes(MIB)])
        count += len(messages(move(client, server)))
        assert b"" == wire.sent(server)
    assert 15 == count

    server.resume(stream)
    assert [Drained(stream)] == [event for event in move(server, client) if isinstance(event, Drained)]
    assert 5 == len(messages(move(client, server)))


def test_what_a_paused_stream_withholds_is_given_back_when_it_is_over() -> None:
    """The connection's window does not shrink by streams that were paused and reset."""
    server = wire.foreign_client()
    increments: list[tuple[int, int]] = []
    for stream in range(1, 14, 2):
        feed(server, wire.request(stream))
        server.pause(stream)
        feed(server, wire.data(stream, wire.message(bytes(15 * MIB))))
        assert [] == window_updates(server)
        server.reset(stream, errors.CANCEL)
        increments += window_updates(server)

    assert [(0, 45 * MIB + 15), (0, 45 * MIB + 15)] == increments


@pytest.mark.parametrize("padding", [0, 200])
def test_more_than_the_streams_window_resets_the_stream(padding: int) -> None:
    """A stream whose window is overrun is reset with FLOW_CONTROL_ERROR; padding counts."""
    server = wire.foreign_client()
    feed(server, wire.request())
    server.pause(1)
    padded = bytes([padding]) + wire.message(bytes(20 * MIB))[: 16 * MIB - 1001] + bytes(padding)
    feed(server, wire.data(1, padded, frames.PADDED))
    events = feed(server, wire.data(1, bytes(1001 - padding)))

    assert [errors.FLOW_CONTROL_ERROR] == [event.code for event in events if isinstance(event, StreamReset)]
    assert 0 == server.open_streams


def test_more_than_the_connections_window_ends_the_connection() -> None:
    """Four paused streams hold all of it; a byte more is a FLOW_CONTROL_ERROR."""
    server = wire.foreign_client()
    for stream in (1, 3, 5, 7):
        feed(server, wire.request(stream))
        server.pause(stream)
        feed(server, wire.data(stream, wire.message(bytes(20 * MIB))[: 16 * MIB - 1]))
        feed(server, wire.data(stream, bytes(1)))
    feed(server, wire.request(9))

    with pytest.raises(Http2Error) as caught:
        feed(server, wire.data(9, bytes(1)))
    assert errors.FLOW_CONTROL_ERROR == caught.value.code


def test_a_window_update_of_nothing_is_an_error() -> None:
    """Of a stream, it resets the stream; of the connection, it ends the connection (section 6.9)."""
    client = wire.foreign_server()
    stream = client.open_stream(REQUEST)
    events = feed(client, frames.window_update(stream, 0))
    assert [errors.PROTOCOL_ERROR] == [event.code for event in events if isinstance(event, StreamReset)]

    with pytest.raises(Http2Error) as caught:
        feed(client, frames.window_update(0, 0))
    assert errors.PROTOCOL_ERROR == caught.value.code


def test_windows_beyond_2_to_the_31_are_an_error() -> None:
    """A stream's resets the stream, the connection's ends the connection (section 6.9.1)."""
    client = wire.foreign_server()
    stream = client.open_stream(REQUEST)
    exactly = frames.LARGEST_WINDOW - 65535
    assert [] == feed(client, frames.window_update(stream, exactly))
    events = feed(client, frames.window_update(stream, 1))
    assert [errors.FLOW_CONTROL_ERROR] == [event.code for event in events if isinstance(event, StreamReset)]

    assert [] == feed(client, frames.window_update(0, exactly))
    with pytest.raises(Http2Error) as caught:
        feed(client, frames.window_update(0, 1))
    assert errors.FLOW_CONTROL_ERROR == caught.value.code


def test_an_initial_window_that_makes_a_window_too_large_ends_the_connection() -> None:
    """Section 6.9.2: the change concerns every stream, so the connection ends."""
    client = wire.foreign_server()
    stream = client.open_stream(REQUEST)
    feed(client, frames.window_update(stream, frames.LARGEST_WINDOW - 65535))

    with pytest.raises(Http2Error) as caught:
        feed(client, frames.settings([(settings.INITIAL_WINDOW_SIZE, 65536)]))
    assert errors.FLOW_CONTROL_ERROR == caught.value.code
