"""Header blocks: compression, limits, and malformed ones."""

from __future__ import annotations

import pytest
from hpack import Decoder, Encoder
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.http2 import wire
from tests.unit.http2.wire import REQUEST, RESPONSE, TRAILERS, feed

from g2disk.http2 import errors, frames, settings
from g2disk.http2.connection import Http2Connection
from g2disk.http2.errors import Http2Error
from g2disk.http2.events import HeadersReceived, StreamReset
from g2disk.http2.headers import HeaderDecoder, HeaderEncoder, Kind

NAMES = st.from_regex(r"[a-z0-9_.-]{1,30}", fullmatch=True).filter(lambda name: name not in {"te", "connection"})
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=300)


def frame_of(raw_block: bytes, stream: int = 1) -> bytes:
    """A HEADERS frame of a block that is made elsewhere."""
    return frames.frame(frames.HEADERS, frames.END_HEADERS, stream, raw_block)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=20))
def test_blocks_decode_to_what_was_encoded(headers: list[tuple[str, str]]) -> None:
    """By another library and by our own decoder, twice in a row."""
    encoder, decoder, library = HeaderEncoder(), HeaderDecoder(), Decoder()
    for _ in range(2):
        raw = encoder.encode([*REQUEST, *headers])
        decoded = [(str(name), str(value)) for name, value in library.decode(raw)]

        assert [*REQUEST, *headers] == decoded
        assert ([*REQUEST, *headers], "") == decoder.decode(raw, Kind.REQUEST)


@given(st.lists(st.lists(st.tuples(NAMES, VALUES), max_size=5), max_size=5))
def test_blocks_of_peers_with_a_dynamic_table_are_decoded(blocks: list[list[tuple[str, str]]]) -> None:
    """Blocks that build on each other, as other libraries make them, with Huffman coding."""
    encoder, decoder = Encoder(), HeaderDecoder()
    for headers in blocks:
        raw = encoder.encode([*RESPONSE, *headers])

        assert ([*RESPONSE, *headers], "") == decoder.decode(raw, Kind.RESPONSE)


def test_a_block_is_not_remembered_while_the_table_may_change_its_meaning() -> None:
    """The same bytes are other headers after the dynamic table has changed."""
    encoder, decoder = Encoder(), HeaderDecoder()
    first = encoder.encode([("a", "1")])
    same = encoder.encode([("a", "1")])
    assert [("a", "1")] == decoder.decode(first, Kind.TRAILERS)[0]
    assert [("a", "1")] == decoder.decode(same, Kind.TRAILERS)[0]
    decoder.decode(encoder.encode([("b", "2")]), Kind.TRAILERS)

    assert [("b", "2")] == decoder.decode(same, Kind.TRAILERS)[0]


def test_headers_that_are_handed_out_can_be_changed() -> None:
    """The next block of the same bytes is not disturbed by it."""
    server = wire.foreign_client()
    raw = wire.block(REQUEST)
    for stream in (1, 3, 5):
        event = feed(server, frame_of(raw, stream))[0]
        assert isinstance(event, HeadersReceived)
        assert REQUEST == event.headers
        event.headers.clear()


def test_large_headers_are_continued() -> None:
    """What one frame does not hold goes on in others, for us and for the peer."""
    client, server = wire.connected()
    feed(client, frames.settings([(settings.MAX_FRAME_SIZE, 16 << 10)]))
    headers = [*REQUEST, *((f"key-{number}", "v" * 7000) for number in range(5))]
    client.open_stream(headers)
    client.data_to_send()
    stream = client.open_stream(headers)
    raw = wire.sent(client)

    assert [frames.HEADERS, frames.CONTINUATION, frames.CONTINUATION] == [frame[0] for frame in wire.parsed(raw)]
    refused = feed(server, raw)  # well formed, and more than the server takes
    assert ([], 0) == (refused, server.open_streams)
    assert frames.reset(stream, errors.PROTOCOL_ERROR) == wire.sent(server)


@pytest.mark.parametrize("size", [1, 9, 10, 11, 20, 21])
def test_the_last_frame_of_a_block_says_so(size: int) -> None:
    """END_HEADERS stands on one frame, the last, also where the block fills its frames exactly."""
    found = wire.parsed(frames.header_block(7, bytes(range(size)), ended=True, most=10))

    assert bytes(range(size)) == b"".join(payload for _, _, _, payload in found)
    assert [frames.END_HEADERS] == [
        flags & frames.END_HEADERS for _, flags, _, _ in found if flags & frames.END_HEADERS
    ]
    assert frames.END_HEADERS & found[-1][1]


def test_a_changed_table_size_is_answered_in_the_next_block() -> None:
    """A peer that makes its table smaller is told that we keep to it (RFC 7541, section 4.2)."""
    client = wire.foreign_server()
    client.open_stream(REQUEST)
    client.data_to_send()
    feed(client, frames.settings([(settings.HEADER_TABLE_SIZE, 0)]))
    client.data_to_send()
    client.open_stream(REQUEST)
    first = wire.sent_frames(client)[0][3]
    client.open_stream(REQUEST)

    assert b"\x20" == first[:1]
    assert first[1:] == wire.sent_frames(client)[0][3]


@pytest.mark.parametrize("raw", [b"\x80", b"\xff\xff\xff\xff\xff\xff\xff", b"\x40\x05ab", b"\xc0", b"\x3f\xff\xff\x03"])
def test_broken_compression_ends_the_connection(raw: bytes) -> None:
    """COMPRESSION_ERROR (section 4.3)."""
    server = wire.foreign_client()

    with pytest.raises(Http2Error) as caught:
        feed(server, frame_of(raw))
    assert errors.COMPRESSION_ERROR == caught.value.code


def test_a_block_that_grows_without_bound_ends_the_connection() -> None:
    """An indexed field of a few thousand bytes, many times: a small block with much in it."""
    server = wire.foreign_client()
    encoder = Encoder()
    bomb = encoder.encode([("a", "v" * 3000)] * 1000, huffman=False)
    assert len(bomb) < 5000

    with pytest.raises(Http2Error) as caught:
        feed(server, frame_of(bomb))
    assert errors.ENHANCE_YOUR_CALM == caught.value.code


def refused_on_its_stream(connection: Http2Connection, raw: bytes) -> bool:
    """Whether `raw` resets stream 1 with PROTOCOL_ERROR, and nothing else."""
    connection.data_to_send()
    feed(connection, raw)
    return frames.reset(1, errors.PROTOCOL_ERROR) == wire.sent(connection) and not connection.open_streams


@pytest.mark.parametrize(
    "headers",
    [
        REQUEST[1:],
        [*REQUEST, (":path", "/")],
        [*REQUEST, (":status", "200")],
        [*REQUEST[:2], (":path", ""), *REQUEST[3:]],
        [*REQUEST[:2], ("a", "b"), *REQUEST[2:]],
        [*REQUEST, ("Upper", "case")],
        [*REQUEST, ("", "empty")],
        [*REQUEST, ("spa ce", "x")],
        [*REQUEST, ("connection", "close")],
        [*REQUEST, ("transfer-encoding", "chunked")],
        [*REQUEST[:-2], ("te", "gzip")],
        [*REQUEST, ("a", "b\nc")],
        [*REQUEST, ("a", "b\0")],
        [*REQUEST, ("a", "x" * (16 << 10))],
        RESPONSE,
    ],
)
def test_a_malformed_request_is_refused_on_its_stream(headers: list[tuple[str, str]]) -> None:
    """Sections 8.2 and 8.3; the stream is never reported."""
    assert refused_on_its_stream(wire.foreign_client(), wire.request(headers=headers))


@pytest.mark.parametrize("headers", [[], TRAILERS, [(":status", "20")], [(":status", "abc")], REQUEST])
def test_a_malformed_response_resets_its_stream(headers: list[tuple[str, str]]) -> None:
    """Section 8.3.2."""
    client = wire.foreign_server()
    client.open_stream(REQUEST)

    assert refused_on_its_stream(client, wire.request(headers=headers))


def test_trailers_have_no_pseudo_headers() -> None:
    """Section 8.1."""
    client = wire.foreign_server()
    client.open_stream(REQUEST)
    flags = frames.END_HEADERS | frames.END_STREAM
    raw = wire.request(1, headers=RESPONSE) + wire.request(1, flags, [*RESPONSE, *TRAILERS])

    assert refused_on_its_stream(client, raw)


def test_values_that_are_not_utf_8_are_taken() -> None:
    """Their bytes are replaced; nothing that means something to us has such values."""
    server = wire.foreign_client()
    raw = wire.block(REQUEST) + b"\x00\x01x\x02\xff\xfe"

    event = feed(server, frame_of(raw))[0]
    assert isinstance(event, HeadersReceived)
    assert ("x", "\ufffd\ufffd") == event.headers[-1]


def test_a_stream_that_is_reset_for_its_headers_is_reported_at_the_client() -> None:
    """The call fails, and says why."""
    client = wire.foreign_server()
    client.open_stream(REQUEST)
    event = feed(client, wire.request(headers=[("a", "b")]))[0]

    assert isinstance(event, StreamReset)
    assert "malformed headers" in event.reason
