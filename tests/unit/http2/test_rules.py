"""What a peer must not send, and what is done about it: one test a rule (RFC 9113)."""

from __future__ import annotations

import pytest
from tests.unit.http2 import wire
from tests.unit.http2.wire import REQUEST, RESPONSE, TRAILERS, feed, messages

from g2disk.errors import Corrupt
from g2disk.http2 import errors, frames, settings
from g2disk.http2.connection import Http2Connection
from g2disk.http2.errors import Http2Error
from g2disk.http2.events import HeadersReceived, MessageReceived, StreamEnded, StreamReset

CLOSED = frames.END_HEADERS | frames.END_STREAM


def ends_connection(connection: Http2Connection, raw: bytes) -> int:
    """The code with which `raw` ends the connection; GOAWAY says the same."""
    connection.data_to_send()
    with pytest.raises(Http2Error) as caught:
        feed(connection, raw)
    kind, _, number, payload = wire.sent_frames(connection)[-1]
    assert (frames.GOAWAY, 0) == (kind, number)
    assert caught.value.code == frames.GOING.unpack_from(payload)[1]
    assert str(caught.value).encode() == payload[8:]
    return caught.value.code


def ends_stream(connection: Http2Connection, raw: bytes) -> int:
    """The code with which `raw` ends its stream; RST_STREAM says the same, and the connection goes on."""
    connection.data_to_send()
    resets = [event for event in feed(connection, raw) if isinstance(event, StreamReset)]
    told = [payload for kind, _, _, payload in wire.sent_frames(connection) if kind == frames.RST_STREAM]
    assert [event.code for event in resets] == [frames.NUMBER.unpack(payload)[0] for payload in told]
    assert 1 == len(resets)
    feed(connection, frames.frame(frames.PING, 0, 0, bytes(8)))
    return resets[0].code


def test_a_broken_peer_is_corrupt() -> None:
    """The error is of a kind that every adapter knows."""
    assert issubclass(Http2Error, Corrupt)


@pytest.mark.parametrize("raw", [b"GET / HTTP/1.1\r\n", b"PRI * HTTP/1.1\r\n", b"\x16\x03\x01", b"\0"])
def test_a_client_begins_with_the_preface(raw: bytes) -> None:
    """Anything else is told at its first wrong byte (section 3.4)."""
    assert errors.PROTOCOL_ERROR == ends_connection(Http2Connection(client=False), raw)


def test_the_preface_may_come_byte_by_byte() -> None:
    """Like everything."""
    server = Http2Connection(client=False)
    for byte in frames.PREFACE:
        assert [] == feed(server, bytes([byte]))
    assert 1 == len(feed(server, frames.settings(())))


@pytest.mark.parametrize(
    "raw", [frames.frame(frames.PING, 0, 0, bytes(8)), wire.request(), frames.frame(frames.SETTINGS, frames.ACK, 0)]
)
def test_the_first_frame_is_settings(raw: bytes) -> None:
    """From either side (section 3.4)."""
    assert errors.PROTOCOL_ERROR == ends_connection(Http2Connection(client=False), frames.PREFACE + raw)
    assert errors.PROTOCOL_ERROR == ends_connection(Http2Connection(client=True), raw)


@pytest.mark.parametrize(
    "raw",
    [
        frames.frame(frames.PING, 0, 0, bytes(7)),
        frames.frame(frames.RST_STREAM, 0, 1, bytes(5)),
        frames.frame(frames.WINDOW_UPDATE, 0, 1, bytes(3)),
        frames.frame(frames.PRIORITY, 0, 1, bytes(4)),
        frames.frame(frames.SETTINGS, 0, 0, bytes(5)),
        frames.frame(frames.SETTINGS, frames.ACK, 0, bytes(6)),
        frames.frame(frames.GOAWAY, 0, 0, bytes(7)),
    ],
)
def test_a_frame_of_a_wrong_length_ends_the_connection(raw: bytes) -> None:
    """FRAME_SIZE_ERROR (section 4.2)."""
    server = wire.foreign_client()
    feed(server, wire.request())

    assert errors.FRAME_SIZE_ERROR == ends_connection(server, raw)


@pytest.mark.parametrize("kind", [frames.SETTINGS, frames.PING, frames.GOAWAY])
def test_frames_of_the_connection_belong_on_stream_0(kind: int) -> None:
    """Sections 6.5, 6.7, 6.8."""
    raw = frames.frame(kind, 0, 1, bytes(8 if kind != frames.SETTINGS else 6))

    assert errors.PROTOCOL_ERROR == ends_connection(wire.foreign_client(), raw)


@pytest.mark.parametrize(
    "raw",
    [
        wire.data(0, b"x"),
        wire.request(0),
        wire.request(0, flags=0),
        frames.reset(0, 0),
        frames.frame(frames.PRIORITY, 0, 0, bytes(5)),
        frames.frame(frames.CONTINUATION, 0, 0, b""),
    ],
)
def test_frames_of_streams_do_not_belong_on_stream_0(raw: bytes) -> None:
    """Sections 6.1 to 6.4 and 6.10."""
    assert errors.PROTOCOL_ERROR == ends_connection(wire.foreign_client(), raw)


@pytest.mark.parametrize(
    "raw",
    [
        wire.data(1, b"x"),
        frames.reset(1, 0),
        frames.window_update(1, 1),
        frames.window_update(2, 1),
        wire.request(2),
        frames.frame(frames.CONTINUATION, frames.END_HEADERS, 1, b""),
    ],
)
def test_frames_of_streams_that_were_not_opened_end_the_connection(raw: bytes) -> None:
    """Only HEADERS opens a stream, and a client's are odd (section 5.1)."""
    assert errors.PROTOCOL_ERROR == ends_connection(wire.foreign_client(), raw)


def test_a_server_opens_no_streams() -> None:
    """Neither by HEADERS nor by PUSH_PROMISE, which is switched off (section 8.4)."""
    promise = frames.frame(frames.PUSH_PROMISE, frames.END_HEADERS, 1, bytes(4))
    for raw in (wire.request(2, headers=RESPONSE), wire.request(1, headers=RESPONSE), promise):
        assert errors.PROTOCOL_ERROR == ends_connection(wire.foreign_server(), raw)


def test_stream_numbers_grow() -> None:
    """One that was passed over cannot be used any more (section 5.1.1)."""
    server = wire.foreign_client()
    feed(server, wire.request(5))

    assert errors.STREAM_CLOSED == ends_connection(server, wire.request(3))


@pytest.mark.parametrize("raw", [wire.data(1, b"x"), wire.request(1)])
def test_nothing_comes_on_a_stream_that_both_sides_ended(raw: bytes) -> None:
    """DATA and HEADERS end the connection (section 5.1: closed)."""
    server = wire.foreign_client()
    feed(server, wire.request(1, CLOSED))
    server.send_end(1, [*RESPONSE, *TRAILERS])

    assert errors.STREAM_CLOSED == ends_connection(server, raw)


def test_late_control_frames_of_a_stream_that_is_over_are_ignored() -> None:
    """They may have been on their way (section 5.1: closed)."""
    server = wire.foreign_client()
    feed(server, wire.request(1, CLOSED))
    server.send_end(1, [*RESPONSE, *TRAILERS])

    late = frames.window_update(1, 5) + frames.window_update(1, 0) + frames.reset(1, 0)
    assert [] == feed(server, late + frames.frame(frames.PRIORITY, 0, 1, bytes(5)))


def test_late_frames_of_a_stream_that_we_reset_are_dropped() -> None:
    """DATA counts against the connection's window, and headers keep the compression in step."""
    server = wire.foreign_client()
    feed(server, wire.request())
    server.reset(1, errors.CANCEL)
    server.data_to_send()
    increments = 0
    for _ in range(40):
        assert [] == feed(server, wire.data(1, bytes(1 << 20)))
        increments += len(wire.sent_frames(server))
    assert 1 == increments

    assert [] == feed(server, wire.request(1, CLOSED, TRAILERS))
    assert isinstance(feed(server, wire.request(3))[0], HeadersReceived)


@pytest.mark.parametrize("raw", [wire.data(1, b"x"), wire.request(1, CLOSED, TRAILERS)])
def test_nothing_comes_on_a_stream_that_the_peer_ended(raw: bytes) -> None:
    """While it is open for the answer, that costs the stream (section 5.1: half-closed)."""
    server = wire.foreign_client()
    feed(server, wire.request(1, CLOSED))

    assert errors.STREAM_CLOSED == ends_stream(server, raw)


@pytest.mark.parametrize(
    "raw",
    [
        wire.request(3),
        wire.data(1, b""),
        frames.frame(frames.PING, 0, 0, bytes(8)),
        frames.frame(frames.CONTINUATION, frames.END_HEADERS, 3, b""),
        frames.frame(0x77, 0, 0, b""),
    ],
)
def test_nothing_comes_between_headers_and_their_continuation(raw: bytes) -> None:
    """Not even an unknown frame (section 6.10)."""
    assert errors.PROTOCOL_ERROR == ends_connection(wire.foreign_client(), wire.request(1, flags=0) + raw)


def test_headers_may_be_continued() -> None:
    """A block is whatever HEADERS and its CONTINUATIONs hold together, cut anywhere."""
    server = wire.foreign_client()
    block = wire.block(REQUEST)
    raw = frames.frame(frames.HEADERS, frames.END_STREAM, 1, block[:1])
    raw += frames.frame(frames.CONTINUATION, 0, 1, block[1:20]) + frames.frame(frames.CONTINUATION, 0, 1, b"")
    raw += frames.frame(frames.CONTINUATION, frames.END_HEADERS, 1, block[20:])

    assert [HeadersReceived(1, REQUEST, True), StreamEnded(1)] == feed(server, raw)


@pytest.mark.parametrize("size", [0, 1, 16 << 10])
def test_header_blocks_are_bounded(size: int) -> None:
    """CONTINUATION without end is ended (CVE-2024-27316), also when each holds nothing."""
    raw = wire.request(1, flags=0) + 8000 * frames.frame(frames.CONTINUATION, 0, 1, bytes(size))

    assert errors.ENHANCE_YOUR_CALM == ends_connection(wire.foreign_client(), raw)


def test_header_blocks_are_bounded_one_by_one() -> None:
    """However many blocks are continued, each of them may be as long as one may be."""
    server = wire.foreign_client()
    block = wire.block([*REQUEST, ("a", "x" * 14_000)])
    for stream in range(1, 21, 2):
        raw = frames.frame(frames.HEADERS, 0, stream, block[:7000])
        raw += frames.frame(frames.CONTINUATION, frames.END_HEADERS, stream, block[7000:])

        assert 1 == len(feed(server, raw))


@pytest.mark.parametrize("kind", [frames.HEADERS, frames.SETTINGS, frames.GOAWAY])
def test_frames_that_must_be_small_are_refused_by_their_header(kind: int) -> None:
    """No memory is taken for a HEADERS frame of 16 MiB."""
    raw = frames.HEADER.pack((1 << 24) - 1 << 8 | kind, 0, 1 if kind == frames.HEADERS else 0)

    assert errors.ENHANCE_YOUR_CALM == ends_connection(wire.foreign_client(), raw)


def test_padding_is_dropped() -> None:
    """Of DATA and of HEADERS, with a priority before it (sections 6.1 and 6.2)."""
    server = wire.foreign_client()
    flags = frames.END_HEADERS | frames.PADDED | frames.PRIORITISED
    padded = b"\x03" + bytes(5) + wire.block(REQUEST) + bytes(3)
    events = feed(server, frames.frame(frames.HEADERS, flags, 1, padded))
    assert [HeadersReceived(1, REQUEST, False)] == events

    raw = b"\x05" + wire.message(b"hello") + bytes(5)
    assert [b"hello"] == messages(feed(server, wire.data(1, raw, frames.PADDED)))


def test_a_block_may_begin_behind_the_frame_that_has_the_priority() -> None:
    """HEADERS may hold nothing but a priority (section 6.2)."""
    server = wire.foreign_client()
    raw = frames.frame(frames.HEADERS, frames.PRIORITISED, 1, bytes(5))
    raw += frames.frame(frames.CONTINUATION, frames.END_HEADERS, 1, wire.block(REQUEST))

    assert [HeadersReceived(1, REQUEST, False)] == feed(server, raw)


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x05abcd"])
def test_more_padding_than_the_frame_holds_ends_the_connection(payload: bytes) -> None:
    """Section 6.1."""
    server = wire.foreign_client()
    feed(server, wire.request())

    assert errors.PROTOCOL_ERROR == ends_connection(server, wire.data(1, payload, frames.PADDED))


def test_headers_too_short_for_their_priority_end_the_connection() -> None:
    """Section 6.2."""
    raw = frames.frame(frames.HEADERS, frames.END_HEADERS | frames.PRIORITISED, 1, bytes(4))

    assert errors.PROTOCOL_ERROR == ends_connection(wire.foreign_client(), raw)


def test_priorities_and_unknown_frames_are_ignored() -> None:
    """Also on streams that nobody opened, and large ones (sections 4.1 and 6.3)."""
    server = wire.foreign_client()
    raw = frames.frame(frames.PRIORITY, 0, 7, bytes(5)) + frames.frame(0xEE, 0xFF, 9, bytes(300_000))

    assert [] == feed(server, raw)
    assert b"" == wire.sent(server)
    assert 1 == len(feed(server, wire.request()))


def test_the_reserved_bit_of_a_stream_is_ignored() -> None:
    """Section 4.1."""
    server = wire.foreign_client()
    raw = wire.request() + frames.HEADER.pack(6 << 8, 0, 1 | 1 << 31) + wire.message(b"x")

    assert [b"x"] == messages(feed(server, raw))


@pytest.mark.parametrize(
    ("setting", "value", "code"),
    [
        (settings.ENABLE_PUSH, 2, errors.PROTOCOL_ERROR),
        (settings.INITIAL_WINDOW_SIZE, 1 << 31, errors.FLOW_CONTROL_ERROR),
        (settings.MAX_FRAME_SIZE, (16 << 10) - 1, errors.PROTOCOL_ERROR),
        (settings.MAX_FRAME_SIZE, 1 << 24, errors.PROTOCOL_ERROR),
    ],
)
def test_settings_that_are_not_allowed_end_the_connection(setting: int, value: int, code: int) -> None:
    """Section 6.5.2."""
    assert code == ends_connection(wire.foreign_client(), frames.settings([(setting, value)]))


def test_a_server_may_not_enable_push() -> None:
    """Section 6.5.2; a client may."""
    raw = frames.settings([(settings.ENABLE_PUSH, 1)])

    assert errors.PROTOCOL_ERROR == ends_connection(wire.foreign_server(), raw)
    assert 1 == len(feed(wire.foreign_client(), raw))


def test_unknown_settings_are_ignored() -> None:
    """Section 6.5.2."""
    assert 1 == len(feed(wire.foreign_client(), frames.settings([(0x99, 5)])))


def test_data_before_the_response_resets_the_stream() -> None:
    """A response begins with headers (section 8.1)."""
    client = wire.foreign_server()
    client.open_stream(REQUEST)

    assert errors.PROTOCOL_ERROR == ends_stream(client, wire.data(1, wire.message(b"x")))


def test_headers_between_messages_reset_the_stream() -> None:
    """What follows the headers are trailers, and they end the stream (section 8.1)."""
    client = wire.foreign_server()
    client.open_stream(REQUEST)
    raw = wire.request(1, headers=RESPONSE) + wire.request(1, headers=TRAILERS)

    assert errors.PROTOCOL_ERROR == ends_stream(client, raw)


def test_informational_responses_are_passed_over() -> None:
    """They mean nothing to gRPC; the response follows (RFC 9110, section 15.2)."""
    client = wire.foreign_server()
    client.open_stream(REQUEST)
    raw = wire.request(1, headers=[(":status", "103")]) + wire.request(1, headers=RESPONSE)
    raw += wire.data(1, wire.message(b"x")) + wire.request(1, CLOSED, TRAILERS)

    events = feed(client, raw)
    assert [HeadersReceived, MessageReceived, HeadersReceived, StreamEnded] == [type(event) for event in events]


def test_nothing_is_said_after_the_connection_broke() -> None:
    """What still comes is dropped, and every stream is reported as reset with the reason."""
    server = wire.foreign_client()
    feed(server, wire.request())
    ends_connection(server, wire.data(5, b""))

    assert [] == feed(server, wire.request(7))
    assert [StreamReset(1, errors.CANCEL, "a frame on stream 5, which was not opened")] == server.eof()
