"""Requests of the transmission phase, made by a client that knows the protocol document alone."""

from __future__ import annotations

import contextlib
import random
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import nbd_replies as wire
from tests.support.nbd_wire import request

from g2disk.errors import Invalid
from g2disk.nbd.errors import NbdProtocolError
from g2disk.nbd.transmission import RequestParser
from g2disk.request import Request

MOST = 5000
UINT64 = st.integers(0, (1 << 64) - 1)
BOTH = pytest.mark.parametrize("extended", [False, True])


def parser(*, structured: bool = True, extended: bool = False, base_allocation: bool = True) -> RequestParser:
    """A parser that takes writes of up to `MOST` bytes."""
    return RequestParser(
        structured=structured, extended=extended, base_allocation=base_allocation, maximum_payload=MOST
    )


def seen(requests: list[Request]) -> list[tuple[object, ...]]:
    """What a disk would see of them."""
    return [
        (r.operation, r.flags, r.offset, r.length, r.tag, None if r.data is None else bytes(r.data)) for r in requests
    ]


def one(made: bytes, **options: bool) -> tuple[list[Request], list[Request]]:
    """What a new parser makes of a request, which must leave it ready for another."""
    under_test = parser(**options)
    requests, refused = under_test.feed(made)
    after, none = under_test.feed(request(wire.READ, 99, 0, 512, extended=options.get("extended", False)))
    assert (seen(after), none) == ([(wire.READ, 0, 0, 512, 99, None)], [])
    return requests, refused


@dataclass(frozen=True)
class Sent:
    """A correct request."""

    command: int
    flags: int
    cookie: int
    offset: int
    length: int
    data: bytes | None

    def made(self, extended: bool) -> bytes:
        """As the client sends it."""
        flags = self.flags | (wire.PAYLOAD_LEN if extended and self.data is not None else 0)
        length = self.length if extended else self.length & 0xFFFFFFFF
        return request(self.command, self.cookie, self.offset, length, flags, self.data or b"", extended=extended)

    def expected(self, extended: bool) -> tuple[object, ...]:
        """As a disk sees it."""
        length = self.length if extended else self.length & 0xFFFFFFFF
        return (self.command, self.flags, self.offset, length, self.cookie, self.data)


FLAGS = {
    wire.READ: wire.FUA | wire.DF,
    wire.WRITE: wire.FUA,
    wire.FLUSH: wire.FUA,
    wire.TRIM: wire.FUA,
    wire.CACHE: wire.FUA,
    wire.WRITE_ZEROES: wire.FUA | wire.NO_HOLE | wire.FAST_ZERO,
    wire.BLOCK_STATUS: wire.FUA | wire.REQ_ONE,
}
"""What the document allows for each command; PAYLOAD_LEN apart."""


@st.composite
def correct(draw: st.DrawFn) -> Sent:
    """Any request that must be taken."""
    command = draw(st.sampled_from(sorted(FLAGS)))
    flags, cookie, offset = draw(st.integers(0, 63)) & FLAGS[command], draw(UINT64), draw(UINT64)
    if command == wire.WRITE:
        data = draw(st.binary(max_size=300))
        return Sent(command, flags, cookie, offset, len(data), data)
    if command == wire.FLUSH:
        return Sent(command, flags, cookie, 0, 0, None)
    return Sent(command, flags, cookie, offset, draw(st.integers(1, (1 << 64) - 1)) | 1, None)


@BOTH
@given(st.lists(correct(), max_size=12), st.data())
def test_correct_requests_come_out_as_they_were_sent(extended: bool, sent: list[Sent], data: st.DataObject) -> None:
    """In order and whole, however the stream is cut; the data of writes stay as they are when more is received."""
    stream = b"".join(each.made(extended) for each in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    under_test = parser(extended=extended)
    requests: list[Request] = []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        good, refused = under_test.feed(stream[begin:end])
        assert refused == []
        requests += good

    assert seen(requests) == [each.expected(extended) for each in sent]


@BOTH
def test_data_of_writes_stay_while_megabytes_are_received(extended: bool) -> None:
    """A view that somebody holds is never written over."""
    under_test = parser(extended=extended)
    rng = random.Random(1)
    sent, held = [], []
    for cookie in range(1000):
        data = rng.randbytes(rng.randrange(MOST))
        sent.append(data)
        held += under_test.feed(Sent(wire.WRITE, 0, cookie, 0, len(data), data).made(extended))[0]

    assert [bytes(each.data) for each in held] == sent


@BOTH
@pytest.mark.parametrize("piece", [1000, 1 << 18, 1 << 22])
def test_a_write_may_be_longer_than_what_is_received_at_once(piece: int, extended: bool) -> None:
    """Its data are one piece of memory however they come, and the requests around it are taken."""
    under_test = RequestParser(structured=True, extended=extended, base_allocation=True, maximum_payload=1 << 20)
    data = random.Random(2).randbytes(1 << 20)
    sent = [Sent(wire.READ, 0, 1, 5, 6, None), Sent(wire.WRITE, 0, 2, 7, len(data), data)] * 3
    stream = b"".join(each.made(extended) for each in sent)
    requests: list[Request] = []
    for position in range(0, len(stream), piece):
        requests += under_test.feed(stream[position : position + piece])[0]

    assert seen(requests) == [each.expected(extended) for each in sent]


@BOTH
@pytest.mark.parametrize("command", sorted(FLAGS))
@pytest.mark.parametrize("bit", range(16))
def test_flags_that_the_command_does_not_have_are_refused(command: int, bit: int, extended: bool) -> None:
    """EINVAL for each, with the request's cookie; what the document allows is taken."""
    flag = 1 << bit
    if extended and flag == wire.PAYLOAD_LEN:
        return
    data = b"data" if command == wire.WRITE else b""
    carried = wire.PAYLOAD_LEN if extended and data else 0
    requests, refused = one(request(command, 7, 0, 4, flag | carried, data, extended=extended), extended=extended)

    assert [each.tag for each in requests + refused] == [7]
    assert bool(requests) is bool(flag & FLAGS[command])
    assert all(isinstance(each.error, Invalid) for each in refused)


@BOTH
@pytest.mark.parametrize("command", [8, 9, 255, 65535])
def test_unknown_commands_are_refused(command: int, extended: bool) -> None:
    """EINVAL, and the next request is parsed; with extended headers, behind the payload."""
    made = request(command, 7, 0, 4, extended=extended)
    if extended:
        made += request(command, 7, 0, 4, wire.PAYLOAD_LEN, b"data", extended=True)
    requests, refused = one(made, extended=extended)

    assert requests == []
    assert [(each.tag, type(each.error)) for each in refused] == [(7, Invalid)] * (1 + extended)


@pytest.mark.parametrize("command", [wire.READ, wire.TRIM, wire.CACHE, wire.WRITE_ZEROES, wire.FLUSH])
@pytest.mark.parametrize("length", [1, 100, MOST, MOST + 1, 300_000])
def test_a_payload_that_nobody_expects_is_skipped_and_refused(command: int, length: int) -> None:
    """Only WRITE and BLOCK_STATUS take one, with extended headers."""
    made = request(command, 7, 0, length, wire.PAYLOAD_LEN, bytes(length), extended=True)
    requests, refused = one(made, extended=True)

    assert requests == []
    assert [(each.tag, type(each.error)) for each in refused] == [(7, Invalid)]


def test_df_needs_structured_replies() -> None:
    """The server did not set SEND_DF; the client must not set DF."""
    made = request(wire.READ, 7, 0, 4, wire.DF)

    assert [len(each) for each in one(made, structured=False)] == [0, 1]
    assert [len(each) for each in one(made)] == [1, 0]


@BOTH
def test_block_status_needs_a_context(extended: bool) -> None:
    """EINVAL for who selected none."""
    made = request(wire.BLOCK_STATUS, 7, 0, 4, extended=extended)

    assert [len(each) for each in one(made, extended=extended, base_allocation=False)] == [0, 1]


@pytest.mark.parametrize(
    ("payload", "good"),
    [
        ("0000000000001000 00000001", True),
        ("ffffffffffffffff 00000001", True),
        ("0000000000000000 00000001", False),
        ("0000000000001000", False),
        ("0000000000001000 00000002", False),
        ("0000000000001000 00000000", False),
        ("0000000000001000 00000001 00000001", False),
        ("0000000000001000 00000001 00000002", False),
        ("0000000000001000 000000", False),
        ("00", False),
        ("", False),
    ],
)
def test_block_status_may_name_its_contexts(payload: str, good: bool) -> None:
    """With a payload, the length is in it; ids that are unknown or doubled are refused, the payload skipped."""
    data = bytes.fromhex(payload)
    made = request(wire.BLOCK_STATUS, 7, 1 << 40, len(data), wire.PAYLOAD_LEN | wire.REQ_ONE, data, extended=True)
    requests, refused = one(made, extended=True)

    assert (len(requests), len(refused)) == (good, not good)
    if good:
        length = int.from_bytes(data[:8], "big")
        assert seen(requests) == [(wire.BLOCK_STATUS, wire.REQ_ONE, 1 << 40, length, 7, None)]


@BOTH
@pytest.mark.parametrize("length", [MOST, MOST + 1, 300_000, 2_000_000])
@pytest.mark.parametrize("piece", [17, 4096, 1 << 20])
def test_a_write_that_is_too_long_is_skipped_in_step(length: int, piece: int, extended: bool) -> None:
    """EINVAL at once, and the requests before and behind it are taken; the longest that may be is a write."""
    if piece == 17 and length > MOST + 1:
        piece = 1000
    small = Sent(wire.WRITE, 0, 1, 0, 3, b"abc"), Sent(wire.READ, 0, 3, 5, 6, None)
    long = Sent(wire.WRITE, wire.FUA, 2, 0, length, b"x" * length).made(extended)
    stream = small[0].made(extended) + long + small[1].made(extended)
    under_test = parser(extended=extended)
    requests: list[Request] = []
    refused: list[Request] = []
    for position in range(0, len(stream), piece):
        good, bad = under_test.feed(stream[position : position + piece])
        requests += good
        refused += bad

    assert [each.tag for each in requests] == ([1, 2, 3] if length <= MOST else [1, 3])
    assert [(each.tag, type(each.error)) for each in refused] == ([] if length <= MOST else [(2, Invalid)])
    assert bytes(requests[0].data) == b"abc"


@BOTH
def test_nothing_is_read_behind_a_disconnect(extended: bool) -> None:
    """What came before it is there, what comes after is not looked at."""
    under_test = parser(extended=extended)
    read = request(wire.READ, 1, 0, 512, extended=extended)
    stop = request(wire.DISC, 2, 0, 0, extended=extended)

    requests, refused = under_test.feed(
        read + stop + read + b"not NBD at all, and longer than what is received at once" * 20_000
    )

    assert ([each.tag for each in requests], refused) == ([1], [])
    assert under_test.disconnected


@BOTH
def test_a_wrong_magic_ends_the_stream(extended: bool) -> None:
    """Also the magic of the other form of request."""
    good = request(wire.READ, 1, 0, 512, extended=extended)
    other = request(wire.READ, 1, 0, 512, extended=not extended)

    for wrong in (other + bytes(8), b"\0" + good[1:], good[:3] + b"\xff" + good[4:]):
        with pytest.raises(NbdProtocolError):
            parser(extended=extended).feed(good + wrong)


def test_an_extended_write_without_a_payload_ends_the_stream() -> None:
    """The document: WRITE MUST have the flag; nobody knows where the next request begins."""
    with pytest.raises(NbdProtocolError, match="PAYLOAD_LEN"):
        parser(extended=True).feed(request(wire.WRITE, 1, 0, 3, 0, b"abc", extended=True))


@pytest.mark.parametrize("length", [(1 << 32) + 1, (1 << 64) - 1])
def test_payloads_without_measure_end_the_stream(length: int) -> None:
    """Nobody has to read exabytes to stay in step."""
    with pytest.raises(NbdProtocolError):
        parser(extended=True).feed(request(wire.WRITE, 1, 0, length, wire.PAYLOAD_LEN, extended=True))


@BOTH
@pytest.mark.parametrize("seed", range(4))
def test_nothing_but_the_protocol_error_comes_of_any_bytes(seed: int, extended: bool) -> None:
    """Random commands, flags, lengths and payloads, then broken bytes: every request is taken or refused with an error,
    and nothing else is raised.
    """
    rng = random.Random(seed)
    for _ in range(300):
        stream = bytearray()
        for cookie in range(rng.randrange(1, 12)):
            stream += _any_request(rng, cookie, extended=extended)
        for _ in range(rng.choice([0, 0, 1, 3])):
            stream[rng.randrange(len(stream))] = rng.randrange(256)
        under_test = parser(structured=rng.random() < 0.5, extended=extended, base_allocation=rng.random() < 0.5)
        with contextlib.suppress(NbdProtocolError):
            position = 0
            while position < len(stream):
                end = position + rng.choice([1, 28, 100, 10_000])
                requests, refused = under_test.feed(bytes(stream[position:end]))
                position = end
                assert all(each.error is None and each.operation in FLAGS for each in requests)
                assert all(each.data is None or len(each.data) == each.length for each in requests)
                assert all(isinstance(each.error, Invalid) and each.data is None for each in refused)


def _any_request(rng: random.Random, cookie: int, *, extended: bool) -> bytes:
    """Of any command, flags and payload; now and then with a length that is not the payload's."""
    command, flags = rng.choice([0, 1, 1, 3, 4, 5, 6, 7, 7, 8]), rng.choice([0, 0, rng.randrange(64)])
    if command == wire.WRITE and extended and rng.random() < 0.99:
        flags |= wire.PAYLOAD_LEN
    carries = flags & wire.PAYLOAD_LEN if extended else command == wire.WRITE
    data = rng.randbytes(rng.choice([0, 8, 12, 16, 300, MOST + 1])) if carries else b""
    length = len(data) if carries else rng.getrandbits(64 if extended else 32)
    if rng.random() < 0.02:
        length = rng.choice([0, 1, MOST, 1 << 31, (1 << 32) - 1])
    return request(command, cookie, rng.getrandbits(64), length, flags, data, extended=extended)
