"""Replies of the transmission phase, read and checked by a client that knows the protocol document alone."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import nbd_replies as wire

from g2disk.disk.info import Extent
from g2disk.errors import (
    KINDS,
    DiskError,
    Invalid,
    OutOfRange,
    OutOfSpace,
    ReadOnly,
    Unavailable,
    Unsupported,
)
from g2disk.nbd.constants import BASE_ALLOCATION_ID
from g2disk.nbd.replies import encoder
from g2disk.request import Request

FORMS = pytest.mark.parametrize(
    ("structured", "extended"), [(False, False), (True, False), (True, True)], ids=["simple", "structured", "extended"]
)
CHUNKS = pytest.mark.parametrize("extended", [False, True], ids=["structured", "extended"])
KNOWN = {1, 5, 12, 22, 28, 75, 95, 108}
"""The errors that the document lists."""
OFFSET = 0x1122334455667788
COOKIE = 0x99AABBCCDDEEFF00


def encoded(*requests: Request, structured: bool = False, extended: bool = False) -> bytes:
    """What goes to the client."""
    return b"".join(encoder(structured=structured, extended=extended)(list(requests)))


def answered(requests: list[Request], structured: bool, extended: bool) -> list[wire.Reply]:
    """What the client reads of it; all of it, and nothing more."""
    read = wire.Bytes(encoded(*requests, structured=structured, extended=extended))
    replies = wire.Replies(read, structured=structured, extended=extended)
    replies.asked = {each.tag: wire.Asked(each.operation, each.offset, each.length, each.flags) for each in requests}
    answers = [replies.next() for _ in requests]
    assert (read.left, replies.asked) == (0, {})
    return answers


def done(operation: int, data: object = None, error: DiskError | None = None, **of: int) -> Request:
    """A request with its outcome."""
    request = Request(operation, of.get("flags", 0), OFFSET, of.get("length", 4096), COOKIE, data)
    request.error = error
    return request


def test_simple_replies_byte_for_byte() -> None:
    """Magic, error, cookie; then the data of a read that succeeded."""
    cookie = "99aabbccddeeff00"

    assert encoded(done(wire.WRITE)).hex() == "67446698" + "00000000" + cookie
    assert encoded(done(wire.READ, b"data", length=4)).hex() == "67446698" + "00000000" + cookie + b"data".hex()
    assert encoded(done(wire.READ, None, ReadOnly("why"))).hex() == "67446698" + "00000001" + cookie


def test_structured_replies_byte_for_byte() -> None:
    """Magic, flag DONE, type, cookie, length; then data behind their offset, an error and its text, or extents."""
    start = "668e33ef0001"
    cookie = "99aabbccddeeff00"
    extents = [Extent(OFFSET, 512), Extent(OFFSET + 512, 1024, True, True), Extent(OFFSET + 1536, 512, False, True)]

    def hexed(request: Request) -> str:
        return encoded(request, structured=True).hex()

    assert hexed(done(wire.TRIM)) == start + "0000" + cookie + "00000000"
    assert hexed(done(wire.READ, b"data", length=4)) == (
        start + "0001" + cookie + "0000000c" + "1122334455667788" + b"data".hex()
    )
    assert hexed(done(wire.FLUSH, None, Unavailable("off"))) == (
        start + "8001" + cookie + "00000009" + "00000005" + "0003" + b"off".hex()
    )
    assert hexed(done(wire.BLOCK_STATUS, extents)) == (
        start + "0005" + cookie + "0000001c" + "00000001" + "0000020000000000" + "0000040000000003" + "0000020000000002"
    )


def test_extended_replies_byte_for_byte() -> None:
    """Magic, flag DONE, type, cookie, the request's offset, 64 bits of length; extents have 64 bits and a count."""
    start = "6e8a278c0001"
    middle = "99aabbccddeeff00" + "1122334455667788"
    extents = [Extent(OFFSET, 1 << 40), Extent(OFFSET + (1 << 40), 512, True, False)]

    def hexed(request: Request) -> str:
        return encoded(request, structured=True, extended=True).hex()

    assert hexed(done(wire.WRITE)) == start + "0000" + middle + "0000000000000000"
    assert hexed(done(wire.READ, b"data", length=4)) == (
        start + "0001" + middle + "000000000000000c" + "1122334455667788" + b"data".hex()
    )
    assert hexed(done(wire.WRITE, None, OutOfSpace(""))) == (
        start + "8001" + middle + "0000000000000006" + "0000001c" + "0000"
    )
    assert hexed(done(wire.BLOCK_STATUS, extents, length=1 << 41)) == (
        start
        + "0006"
        + middle
        + "0000000000000028"
        + "00000001"
        + "00000002"
        + ("0000010000000000" + "0000000000000000")
        + ("0000000000000200" + "0000000000000001")
    )


@st.composite
def outcomes(draw: st.DrawFn, cookie: int, chunks: bool) -> Request:
    """Any request that was answered, or failed."""
    operation = draw(st.sampled_from([0, 1, 3, 4, 5, 6, 7] if chunks else [0, 1, 3, 4, 5, 6]))
    offset, length = draw(st.integers(0, 1 << 62)), draw(st.integers(1, 5000))
    flags = draw(st.sampled_from([0, wire.REQ_ONE])) if operation == wire.BLOCK_STATUS else 0
    request = Request(operation, flags, offset, length, cookie)
    if draw(st.booleans()):
        request.error = draw(st.sampled_from(KINDS))(draw(st.text(st.characters(exclude_categories=["Cs"]))))
    elif operation == wire.READ:
        request.data = random.Random(length).randbytes(length)
    elif operation == wire.BLOCK_STATUS:
        ends = sorted({*draw(st.lists(st.integers(1, length), max_size=5)), length})
        states = draw(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=len(ends), max_size=len(ends)))
        request.data = [
            Extent(offset + begin, end - begin, hole, zero)
            for begin, end, (hole, zero) in zip([0, *ends], ends, states, strict=False)
        ]
    return request


@FORMS
@given(st.data())
def test_every_outcome_reaches_the_client(structured: bool, extended: bool, data: st.DataObject) -> None:
    """A batch of replies in any form says of each request what its outcome was, and keeps every rule."""
    cookies = data.draw(st.lists(st.integers(0, (1 << 64) - 1), unique=True, max_size=8))
    requests = [data.draw(outcomes(cookie, structured)) for cookie in cookies]

    for request, reply in zip(requests, answered(requests, structured, extended), strict=True):
        assert request.tag == reply.cookie
        assert bool(request.error) is bool(reply.error)
        if request.error:
            assert reply.error in KNOWN
            assert str(request.error).startswith(reply.message) or not structured
        elif request.operation == wire.READ:
            assert request.data == reply.data
        elif request.operation == wire.BLOCK_STATUS:
            extents = [(each.length, each.hole | each.zero << 1) for each in request.data]
            assert reply.status == {BASE_ALLOCATION_ID: extents[:1] if request.flags & wire.REQ_ONE else extents}


@FORMS
@pytest.mark.parametrize(
    ("operation", "error", "number"),
    [
        (wire.WRITE, OutOfRange, 28),
        (wire.READ, OutOfRange, 22),
        (wire.TRIM, OutOfRange, 22),
        (wire.READ, Invalid, 22),
        (wire.WRITE, OutOfSpace, 28),
        (wire.WRITE, ReadOnly, 1),
        (wire.WRITE_ZEROES, Unsupported, 95),
        (wire.FLUSH, Unavailable, 5),
        (wire.FLUSH, Invalid, 5),
    ],
)
def test_errors_have_the_numbers_of_the_document(
    operation: int, error: type[DiskError], number: int, structured: bool, extended: bool
) -> None:
    """Beyond the end is ENOSPC for a write and EINVAL otherwise; EPERM, ENOTSUP and EIO where they belong."""
    (reply,) = answered([done(operation, None, error("why"))], structured, extended)

    assert number == reply.error
    assert ("why" if structured else "") == reply.message


@FORMS
def test_data_are_passed_through_as_they_are(structured: bool, extended: bool) -> None:
    """The very object that the disk gave is sent, whatever kind of buffer it is."""
    encode = encoder(structured=structured, extended=extended)
    for data in (bytes(4096), bytearray(4096), memoryview(bytearray(4096))):
        assert any(part is data for part in encode([done(wire.READ, data)]))


@FORMS
def test_no_buffer_is_empty(structured: bool, extended: bool) -> None:
    """There is something to send in each: event loops differ in what they make of nothing."""
    encode = encoder(structured=structured, extended=extended)
    requests = [done(wire.WRITE), done(wire.READ, b"", length=0), done(wire.FLUSH, None, Unavailable(""))]

    assert all(len(part) for part in encode(requests))


@CHUNKS
def test_a_read_with_df_is_one_chunk(extended: bool) -> None:
    """The client may ask for no fragments, and reads are never fragmented."""
    (reply,) = answered([done(wire.READ, bytes(70000), length=70000, flags=wire.DF)], True, extended)

    assert (reply.chunks, len(reply.data)) == (1, 70000)


@CHUNKS
def test_an_error_is_one_chunk_with_its_text(extended: bool) -> None:
    """A text that is too long is cut, between characters."""
    (reply,) = answered([done(wire.READ, None, Unavailable("x" + "ü" * 4000))], True, extended)

    assert (reply.chunks, reply.error) == (1, 5)
    assert 100 < len(reply.message) < 4096
    assert set(reply.message) == {"x", "ü"}


@CHUNKS
def test_block_status_of_many_extents_is_one_chunk(extended: bool) -> None:
    """Its order and states are kept."""
    extents = [Extent(OFFSET + 512 * index, 512, bool(index % 2), True) for index in range(5000)]
    (reply,) = answered([done(wire.BLOCK_STATUS, extents, length=512 * 5000)], True, extended)

    assert reply.status == {1: [(512, 2 + index % 2) for index in range(5000)]}


def test_block_status_of_an_exabyte_needs_extended_headers() -> None:
    """There, an extent may be as long as the disk."""
    request = done(wire.BLOCK_STATUS, [Extent(OFFSET, 1 << 60, True, True)], length=1 << 60)
    (reply,) = answered([request], True, True)

    assert reply.status == {1: [(1 << 60, 3)]}
