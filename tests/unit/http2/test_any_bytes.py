"""Bytes that no sane peer sends: nothing but Http2Error is raised, and nothing grows without bound."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.http2 import wire
from tests.unit.http2.wire import REQUEST, RESPONSE, TRAILERS

from g2disk.http2 import frames
from g2disk.http2.connection import Http2Connection
from g2disk.http2.errors import Http2Error
from g2disk.http2.events import Event, HeadersReceived, MessageReceived

ENDED = frames.END_HEADERS | frames.END_STREAM


def conversation(client: bool, choices: random.Random) -> list[bytes]:
    """Frames that a peer may send, in an order that makes sense."""
    headers = REQUEST if client else RESPONSE
    found = [frames.PREFACE + frames.settings([(4, 70_000), (5, 20_000)]) if client else frames.settings([])]
    for stream in (1, 3, 5):
        found += [
            wire.request(stream, headers=headers),
            wire.data(stream, wire.message(choices.randbytes(choices.randrange(50)))),
            wire.data(stream, wire.message(bytes(30))[:20]) + wire.data(stream, bytes(15)),
            wire.data(stream, b"\x02" + wire.message(b"") + bytes(2), frames.PADDED),
            frames.window_update(choices.choice([0, stream]), choices.randrange(1, 100_000)),
            frames.frame(frames.PING, choices.randrange(2), 0, bytes(8)),
            frames.frame(frames.PRIORITY, 0, stream, bytes(5)),
            choices.choice([wire.request(stream, ENDED, TRAILERS), wire.data(stream, b"", 1), frames.reset(stream, 8)]),
        ]
    return [
        *found,
        frames.settings([(choices.choice([1, 3, 4, 6, 8]), choices.randrange(1 << 16))]),
        frames.go_away(3, 0, "bye"),
    ]


def mutated(raw: bytes, choices: random.Random) -> bytes:
    """The same with a few bytes changed, cut out or put in."""
    bent = bytearray(raw)
    for _ in range(choices.randrange(4)):
        place = choices.randrange(len(bent))
        act = choices.randrange(4)
        if act == 0:
            bent[place] ^= 1 << choices.randrange(8)
        elif act == 1:
            bent[place] = choices.choice([0, 1, 0x7F, 0x80, 0xFF])
        elif act == 2:
            del bent[place : place + choices.randrange(1, 12)]
        else:
            bent[place:place] = choices.randbytes(choices.randrange(1, 12))
    return bytes(bent) or b"\0"


def survive(client: bool, raw: bytes, choices: random.Random) -> list[Event] | None:
    """What a connection says of these bytes while it answers calls; None if it ended."""
    connection = Http2Connection(client=not client)
    if not client:
        for _ in range(3):
            connection.open_stream(REQUEST)
    connection.data_to_send()
    events: list[Event] = []
    pieces = choices.choice([1, 7, 100, len(raw)])
    try:
        for start in range(0, len(raw), pieces):
            came = wire.feed(connection, raw[start : start + pieces])
            events += came
            for event in came:
                if isinstance(event, HeadersReceived) and client:
                    connection.send_headers(event.stream, RESPONSE)
                if isinstance(event, MessageReceived):
                    connection.send_message(event.stream, [event.data])
                    connection.send_end(event.stream, TRAILERS)
            connection.data_to_send()
    except Http2Error:
        assert wire.sent_frames(connection)[-1][0] == frames.GOAWAY
        connection.eof()
        assert 0 == connection.open_streams
        return None
    connection.eof()
    return events


@pytest.mark.parametrize("client", [True, False])
def test_mutated_conversations_raise_nothing_else(client: bool) -> None:
    """Two thousand conversations with frames reordered, doubled, dropped and bent; some survive, some do not."""
    choices = random.Random(20_240_229 + client)
    outcomes = []
    for _ in range(2000):
        found = conversation(client, choices)
        for _ in range(choices.randrange(3)):
            place = choices.randrange(1, len(found))
            found.insert(choices.randrange(1, len(found)), choices.choice([found[place], found.pop(place)]))
        raw = b"".join(found)
        outcomes.append(survive(client, mutated(raw, choices) if choices.randrange(3) else raw, choices) is None)

    assert 100 < sum(outcomes) < 1900


@settings(max_examples=300, deadline=None)
@given(st.booleans(), st.binary(max_size=400), st.integers(0, 1000))
def test_any_bytes_raise_nothing_else(client: bool, raw: bytes, seed: int) -> None:
    """Bytes after a good beginning."""
    begun = (frames.PREFACE if client else b"") + frames.settings([])
    survive(client, begun + raw, random.Random(seed))


@pytest.mark.parametrize("client", [True, False])
def test_how_bytes_are_split_makes_no_difference(client: bool) -> None:
    """The same events, whole and byte by byte."""
    for seed in range(30):
        raw = b"".join(conversation(client, random.Random(seed)))
        outcomes = []
        for size in (len(raw), 1, 13):
            connection = Http2Connection(client=not client)
            if not client:
                for _ in range(3):
                    connection.open_stream(REQUEST)
            events = [
                event
                for start in range(0, len(raw), size)
                for event in wire.feed(connection, raw[start : start + size])
            ]
            outcomes.append(
                [(event.stream, bytes(event.data)) if isinstance(event, MessageReceived) else event for event in events]
            )

        assert outcomes[0] == outcomes[1] == outcomes[2]
