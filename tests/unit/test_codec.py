"""The hand-written codec against the generated classes, both ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from g2disk.errors import Corrupt
from g2disk.remote import codec
from g2disk.remote.pb import disk_pb2, reference_pb2

UINT64 = st.integers(0, (1 << 64) - 1)
DATA = st.binary(max_size=1000)


@given(DATA)
def test_read_replies_are_the_same_bytes_as_protobuf_makes(data: bytes) -> None:
    """Both protocols' read replies encode to what the generated class encodes, and decode back."""
    encoded = codec.encode_read_reply(data)

    assert disk_pb2.ReadReply(data=data).SerializeToString() == encoded
    assert reference_pb2.ReadResponse(payload=data).SerializeToString() == encoded
    assert data == codec.decode_read_reply(encoded)


@given(st.text(max_size=20), st.text(max_size=40), UINT64, st.booleans(), DATA)
def test_write_requests_are_the_same_bytes_as_protobuf_makes(
    disk: str, identity: str, offset: int, fua: bool, data: bytes
) -> None:
    """A write request encodes to what the generated class encodes, and decodes back."""
    request = codec.WriteRequest(disk, identity, offset, fua, data)
    message = disk_pb2.WriteRequest(disk=disk, identity=identity, offset=offset, fua=fua, data=data)
    encoded = codec.encode_write_request(request)

    assert message.SerializeToString(deterministic=True) == encoded
    assert request == codec.decode_write_request(encoded)


@given(UINT64, DATA)
def test_reference_writes_are_the_same_bytes_as_protobuf_makes(offset: int, data: bytes) -> None:
    """A reference write encodes to what the generated class encodes, and decodes back."""
    encoded = codec.encode_reference_write(codec.ReferenceWrite(offset, data))

    assert reference_pb2.WriteRequest(offset=offset, payload=data).SerializeToString(deterministic=True) == encoded
    assert codec.ReferenceWrite(offset, data) == codec.decode_reference_write(encoded)


@given(st.binary(max_size=200))
def test_any_bytes_decode_as_protobuf_does_or_are_corrupt(raw: bytes) -> None:
    """What decodes at all decodes to what the generated class says; nothing but Corrupt is ever raised."""
    try:
        request = codec.decode_write_request(raw)
    except Corrupt:
        return
    try:
        message = disk_pb2.WriteRequest.FromString(raw)
    except Exception:  # noqa: BLE001  protobuf is stricter about what no sender of ours makes
        return

    assert (message.offset, message.fua, message.data) == (request.offset, request.fua, request.data)


def test_unknown_fields_are_skipped() -> None:
    """A newer sender's fields of every wire type do not disturb."""
    unknown = b"\xa0\x06\x01" + b"\xa1\x06" + bytes(8) + b"\xa2\x06\x02hi" + b"\xa5\x06" + bytes(4)
    encoded = codec.encode_write_request(codec.WriteRequest("d", "", 7, True, b"abc"))

    assert codec.decode_write_request(unknown + encoded + unknown).data == b"abc"


@pytest.mark.parametrize(
    "raw", [b"\x7a\x05abc", b"\x18", b"\x18" + b"\xff" * 11, b"\x0a\x01\xff", b"\x1b", b"\x7a\xff"]
)
def test_broken_messages_are_corrupt(raw: bytes) -> None:
    """A message that ends early, or is none, raises Corrupt."""
    with pytest.raises(Corrupt):
        codec.decode_write_request(raw)


def test_decoded_data_is_a_view_of_the_message() -> None:
    """A mebibyte is not copied on its way in."""
    encoded = codec.encode_write_request(codec.WriteRequest("", "", 0, False, bytes(1 << 20)))

    assert codec.decode_write_request(encoded).data.obj is encoded  # type: ignore[union-attr]
