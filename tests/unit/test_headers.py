"""The headers and trailers of gRPC calls."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from g2disk.errors import Invalid, OutOfSpace
from g2disk.remote.headers import (
    check_request,
    check_response,
    format_timeout,
    metadata_of,
    parse_timeout,
    read_trailers,
    request_headers,
    trailers,
)
from g2disk.remote.status import StatusCode, status_of
from g2disk.remote.stream import Status


@given(st.text())
def test_every_message_survives_its_encoding(message: str) -> None:
    """grpc-message is printable ASCII on the wire, whatever the text."""
    text = message.encode("utf-8", "replace").decode()
    sent = trailers(Status(StatusCode.INTERNAL, text))

    assert all(" " <= character <= "~" for _, value in sent for character in value)
    assert Status(StatusCode.INTERNAL, text) == read_trailers(sent)


def test_a_percent_sign_is_encoded_as_the_document_says() -> None:
    """A fixed example: space and quotes stand for themselves, percent and non-ASCII bytes do not."""
    assert ("grpc-message", '50%25 of "x" %C3%A4') in trailers(Status(13, '50% of "x" ä'))


def test_an_error_travels_with_its_kind_and_errno() -> None:
    """What a server says of an error is what a client reads."""
    status = status_of(OutOfSpace("the store is full"))

    assert status == read_trailers(trailers(status))
    assert {"g2disk-kind": "OutOfSpace", "g2disk-errno": "28"} == status.trailers


def test_an_endless_message_is_cut() -> None:
    """Metadata stays below what peers accept."""
    assert 600 == len(status_of(OutOfSpace("ä" * 10_000)).message)


@pytest.mark.parametrize("said", ["", "x", "-1", "²", "9" * 20])
def test_a_status_that_is_none_is_unknown(said: str) -> None:
    """A server that ends a call without a number has not succeeded."""
    assert StatusCode.UNKNOWN == read_trailers([("grpc-status", said)]).code
    assert StatusCode.UNKNOWN == read_trailers([]).code


@given(st.floats(min_value=0.001, max_value=1e8))
def test_timeouts_survive_to_the_millisecond(seconds: float) -> None:
    """At most eight digits, and no more than a millisecond, or a second for long ones, is lost."""
    text = format_timeout(seconds)

    assert len(text) <= 9
    assert abs(parse_timeout(text) - seconds) <= (0.001 if seconds < 99_999 else 1)


@pytest.mark.parametrize(
    ("text", "seconds"), [("1H", 3600), ("2M", 120), ("3S", 3), ("4m", 0.004), ("5u", 5e-6), ("6n", 6e-9), ("0S", 0)]
)
def test_every_unit_of_a_timeout_is_known(text: str, seconds: float) -> None:
    """Other implementations choose other units."""
    assert pytest.approx(seconds) == parse_timeout(text)


@pytest.mark.parametrize("text", ["", "1", "S", "123456789S", "-1S", "1s", "1.5S", "1S "])
def test_a_timeout_that_is_none_is_invalid(text: str) -> None:
    """What cannot be read is not guessed."""
    with pytest.raises(Invalid):
        parse_timeout(text)


def test_what_is_no_call_is_refused_in_http() -> None:
    """Another method is 405, another type of content 415; g2disk's own requests and typed variants pass."""
    good = dict(request_headers("/a/B", "host"))
    assert check_request(list(good.items())) is None
    for kind in ("application/grpc+proto", "application/grpc;charset=utf-8"):
        assert check_request(list((good | {"content-type": kind}).items())) is None
    for kind in ("application/json", "application/grpc-web", ""):
        assert [(":status", "415")] == check_request(list((good | {"content-type": kind}).items()))
    refused = check_request(list((good | {":method": "GET"}).items()))
    assert refused is not None
    assert (":status", "405") in refused


@pytest.mark.parametrize(
    ("status", "code"),
    [("400", 13), ("401", 16), ("403", 7), ("404", 12), ("429", 14), ("503", 14), ("500", 2), ("204", 2), ("", 2)],
)
def test_a_server_of_something_else_has_a_status(status: str, code: int) -> None:
    """HTTP's status codes mean what gRPC's mapping says."""
    answer = check_response([(":status", status), ("content-type", "text/html")])

    assert answer is not None
    assert code == answer.code


def test_content_that_is_not_grpcs_is_no_answer() -> None:
    """A web server that answers 200 is not taken for a gRPC server."""
    answer = check_response([(":status", "200"), ("content-type", "text/html")])

    assert answer is not None
    assert "text/html" in answer.message
    assert check_response([(":status", "200"), ("content-type", "application/grpc+proto")]) is None


def test_metadata_is_what_belongs_to_the_application() -> None:
    """Pseudo-headers, gRPC's own headers and binary values are left out."""
    headers = [(":path", "/a"), ("te", "trailers"), ("grpc-timeout", "1S"), ("x-bin", "AAA"), ("x", "1")]

    assert {"x": "1"} == metadata_of(headers)
