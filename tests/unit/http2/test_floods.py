"""Peers that make work without end are told to calm down."""

from __future__ import annotations

import pytest
from tests.unit.http2 import wire
from tests.unit.http2.wire import RESPONSE, TRAILERS, feed

from g2disk.http2 import errors, frames, settings
from g2disk.http2.errors import Http2Error
from g2disk.http2.events import HeadersReceived
from g2disk.http2.sender import MOST_ANSWERS
from g2disk.http2.settings import MOST_STREAMS
from g2disk.http2.streams import MOST_TROUBLE

PING = frames.frame(frames.PING, 0, 0, bytes(8))


@pytest.mark.parametrize("raw", [PING, frames.settings(()), frames.settings([(settings.INITIAL_WINDOW_SIZE, 1)])])
def test_answers_that_are_not_taken_end_the_connection(raw: bytes) -> None:
    """Answers are bounded while nobody sends them, and not otherwise."""
    server = wire.foreign_client()
    for _ in range(3):
        feed(server, raw * MOST_ANSWERS)
        server.data_to_send()
    feed(server, raw * MOST_ANSWERS)

    with pytest.raises(Http2Error) as caught:
        feed(server, raw)
    assert errors.ENHANCE_YOUR_CALM == caught.value.code


def test_streams_that_are_reset_as_fast_as_they_are_opened_end_the_connection() -> None:
    """CVE-2023-44487: the limit on open streams does not count them."""
    server = wire.foreign_client()
    for stream in range(1, 2 * MOST_TROUBLE, 2):
        feed(server, wire.request(stream) + frames.reset(stream, errors.CANCEL))
    stream += 2

    with pytest.raises(Http2Error) as caught:
        feed(server, wire.request(stream) + frames.reset(stream, errors.CANCEL))
    assert errors.ENHANCE_YOUR_CALM == caught.value.code


def test_streams_that_break_rules_without_end_end_the_connection() -> None:
    """CVE-2025-8671: a peer can also make us do the resetting."""
    server = wire.foreign_client()
    for stream in range(1, 2 * MOST_TROUBLE, 2):
        feed(server, wire.request(stream) + frames.window_update(stream, 0))
    stream += 2

    with pytest.raises(Http2Error) as caught:
        feed(server, wire.request(stream) + frames.window_update(stream, 0))
    assert errors.ENHANCE_YOUR_CALM == caught.value.code


def test_malformed_requests_without_end_end_the_connection() -> None:
    """They cost as much as others."""
    server = wire.foreign_client()
    for stream in range(1, 2 * MOST_TROUBLE, 2):
        feed(server, wire.request(stream, headers=TRAILERS))
    stream += 2

    with pytest.raises(Http2Error) as caught:
        feed(server, wire.request(stream, headers=TRAILERS))
    assert errors.ENHANCE_YOUR_CALM == caught.value.code


def test_calls_that_are_cancelled_now_and_then_are_fine() -> None:
    """As many as are answered, without end; and any number after the answer has begun."""
    server = wire.foreign_client()
    for stream in range(1, 8 * MOST_TROUBLE, 4):
        feed(server, wire.request(stream) + frames.reset(stream, errors.CANCEL))
        feed(server, wire.request(stream + 2, frames.END_HEADERS | frames.END_STREAM))
        server.send_end(stream + 2, [*RESPONSE, *TRAILERS])
        server.data_to_send()
    for watch in range(stream + 4, stream + 4 * MOST_TROUBLE, 2):
        feed(server, wire.request(watch))
        server.send_headers(watch, RESPONSE)
        feed(server, frames.reset(watch, errors.CANCEL))
        server.data_to_send()

    assert 0 == server.open_streams


def test_streams_beyond_the_limit_are_refused() -> None:
    """Each with REFUSED_STREAM, which promises that nothing was done; those that are open go on."""
    server = wire.foreign_client()
    for number in range(MOST_STREAMS):
        assert isinstance(feed(server, wire.request(2 * number + 1))[0], HeadersReceived)
    server.data_to_send()
    late = 2 * MOST_STREAMS + 1

    assert [] == feed(server, wire.request(late) + wire.data(late, wire.message(b"x")))
    assert frames.reset(late, errors.REFUSED_STREAM) == wire.sent(server)
    server.reset(1, errors.CANCEL)
    assert 1 == len(feed(server, wire.request(late + 2)))
