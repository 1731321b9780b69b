"""The Session's hand-written codec against the generated classes, both ways."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from g2disk.errors import Corrupt
from g2disk.remote import session_codec as codec
from g2disk.remote.pb import disk_pb2

UINT32 = st.integers(0, (1 << 32) - 1)
UINT64 = st.integers(0, (1 << 64) - 1)
DATA = st.lists(st.binary(max_size=200), max_size=4)
REQUEST_HEADS = st.builds(codec.RequestHead, st.binary(max_size=16), UINT64, st.text(max_size=9), st.text(max_size=9))
REPLY_HEADS = st.builds(codec.ReplyHead, st.text(max_size=9), st.text(max_size=9), UINT64)
REQUESTS = st.lists(st.tuples(UINT32, UINT32, UINT64, UINT64), max_size=40)
REPLIES = st.lists(st.tuples(UINT32, UINT32), max_size=40)
ERRORS = st.lists(
    st.builds(disk_pb2.SessionError, id=UINT32, kind=st.text(max_size=9), errno=UINT32, message=st.text(max_size=9)),
    max_size=3,
)

HEAD = codec.RequestHead(b"0123456789abcdef", 300, "disk", "identity")
REPLY_HEAD = codec.ReplyHead("identity", "instance", 300)


def columns(rows: Sequence[Sequence[int]], width: int) -> list[list[int]]:
    return [[row[at] for row in rows] for at in range(width)]


def request_fields(message: codec.RequestMessage | disk_pb2.SessionRequest) -> tuple[object, ...]:
    """What both forms of a message say, to compare."""
    head = message.head if isinstance(message, codec.RequestMessage) else message
    return (
        (head.client, head.attempt, head.disk, head.identity),
        *map(list, (message.ids, message.operations, message.offsets, message.lengths)),
        bytes(message.payload),
        message.open or disk_pb2.SessionOpen(),
    )


def reply_fields(message: codec.ReplyMessage | disk_pb2.SessionReply) -> tuple[object, ...]:
    head = message.head if isinstance(message, codec.ReplyMessage) else message
    return (
        (head.identity, head.instance, head.attempt),
        *map(list, (message.ids, message.lengths, message.errors)),
        bytes(message.payload),
        message.opened or disk_pb2.SessionOpened(),
        message.description or disk_pb2.DescribeReply(),
    )


def warm_request_decoder() -> codec.RequestDecoder:
    """One that knows HEAD, so that it takes its fast path."""
    decoder = codec.RequestDecoder()
    decoder.decode(memoryview(codec.request_prefix(HEAD)))
    return decoder


def warm_reply_decoder() -> codec.ReplyDecoder:
    decoder = codec.ReplyDecoder()
    decoder.decode(memoryview(codec.reply_prefix(REPLY_HEAD)))
    return decoder


@given(REQUEST_HEADS, REQUESTS, DATA)
def test_requests_are_the_same_bytes_as_protobuf_makes(
    head: codec.RequestHead, rows: list[tuple[int, int, int, int]], data: list[bytes]
) -> None:
    """A batch of requests encodes to what the generated class encodes, and decodes back, the first time and later."""
    ids, operations, offsets, lengths = columns(rows, 4)
    encoded = b"".join(codec.encode_requests(codec.request_prefix(head), ids, operations, offsets, lengths, data))
    message = disk_pb2.SessionRequest(
        client=head.client,
        attempt=head.attempt,
        disk=head.disk,
        identity=head.identity,
        ids=ids,
        operations=operations,
        offsets=offsets,
        lengths=lengths,
        payload=b"".join(data),
    )
    decoder = codec.RequestDecoder()

    assert message.SerializeToString(deterministic=True) == encoded
    assert request_fields(message) == request_fields(decoder.decode(memoryview(encoded)))
    assert request_fields(message) == request_fields(decoder.decode(memoryview(encoded)))


@given(REPLY_HEADS, REPLIES, DATA, ERRORS)
def test_replies_are_the_same_bytes_as_protobuf_makes(
    head: codec.ReplyHead, rows: list[tuple[int, int]], data: list[bytes], errors: list[disk_pb2.SessionError]
) -> None:
    """A batch of replies encodes to what the generated class encodes, and decodes back, the first time and later."""
    ids, lengths = columns(rows, 2)
    encoded = b"".join(codec.encode_replies(codec.reply_prefix(head), ids, lengths, data, errors))
    message = disk_pb2.SessionReply(
        identity=head.identity,
        instance=head.instance,
        attempt=head.attempt,
        ids=ids,
        lengths=lengths,
        errors=errors,
        payload=b"".join(data),
    )
    decoder = codec.ReplyDecoder()

    assert message.SerializeToString(deterministic=True) == encoded
    assert reply_fields(message) == reply_fields(decoder.decode(memoryview(encoded)))
    assert reply_fields(message) == reply_fields(decoder.decode(memoryview(encoded)))


def test_opening_messages_come_back_as_they_went() -> None:
    """The first messages carry the limits and the description."""
    limits = disk_pb2.SessionOpen(maximum_in_flight_requests=7, maximum_in_flight_bytes=1 << 40, maximum_message=9)
    opened = disk_pb2.SessionOpened(description=disk_pb2.DescribeReply(disk="d", size=512), maximum_message=9)
    request = b"".join(codec.encode_open(codec.request_prefix(HEAD), limits))
    reply = b"".join(codec.encode_opened(codec.reply_prefix(REPLY_HEAD), opened))

    assert limits == codec.RequestDecoder().decode(memoryview(request)).open
    assert opened == codec.ReplyDecoder().decode(memoryview(reply)).opened


def test_the_bytes_of_a_batch_are_pinned() -> None:
    """Another build of g2disk, or of another language, finds these very bytes."""
    request = b"".join(
        codec.encode_requests(
            codec.request_prefix(codec.RequestHead(b"0123456789abcdef", 2, "d", "i")),
            [1, 2],
            [0, 0x101],
            [4096, 8192],
            [512, 3],
            [b"abc"],
        )
    )
    reply = b"".join(
        codec.encode_replies(
            codec.reply_prefix(codec.ReplyHead("i", "j", 2)),
            [1],
            [3],
            [b"xyz"],
            [disk_pb2.SessionError(id=2, kind="OutOfSpace", errno=28, message="full")],
        )
    )

    assert request.hex() == (
        "0a10303132333435363738396162636465661002" + "1a0164220169"
        "32080100000002000000" + "3a080000000001010000"
        "421000100000000000000020000000000000" + "4a1000020000000000000300000000000000"
        "7a03616263"
    )
    assert reply.hex() == (
        "0a016912016a1802" + "2a0401000000" + "320403000000"
        "3a190d02000000120a4f75744f665370616365181c220466756c6c" + "7a0378797a"
    )


@given(REPLY_HEADS, REPLIES, DATA, st.integers(0, 1 << 62))
def test_a_description_may_come_alone_or_with_replies(
    head: codec.ReplyHead, rows: list[tuple[int, int]], data: list[bytes], size: int
) -> None:
    """It encodes to what the generated class encodes, and is found among any other fields."""
    description = disk_pb2.DescribeReply(disk="disk", identity=head.identity, size=size)
    alone = b"".join(codec.encode_description(codec.reply_prefix(head), description))
    ids, lengths = columns(rows, 2)
    said: dict[str, Any] = {
        "identity": head.identity,
        "instance": head.instance,
        "attempt": head.attempt,
        "description": description,
    }
    mixed = disk_pb2.SessionReply(**said, ids=ids, lengths=lengths, payload=b"".join(data))
    decoder = codec.ReplyDecoder()

    assert disk_pb2.SessionReply(**said).SerializeToString(deterministic=True) == alone
    for _ in range(2):
        assert reply_fields(disk_pb2.SessionReply(**said)) == reply_fields(decoder.decode(memoryview(alone)))
        assert reply_fields(mixed) == reply_fields(decoder.decode(memoryview(mixed.SerializeToString())))
    plain = b"".join(codec.encode_replies(codec.reply_prefix(head), ids, lengths, data))
    assert decoder.decode(memoryview(plain)).description is None


def test_any_valid_encoding_is_understood() -> None:
    """Columns that are not packed, fields out of order, repeated ones and unknown ones change nothing."""
    prefix = codec.request_prefix(HEAD)
    unknown = (
        b"\xa0\x06\x01" + b"\xa1\x06" + bytes(8) + b"\xa2\x06\x02hi" + b"\xa5\x06" + bytes(4) + b"\xa3\x06\xa4\x06"
    )
    unpacked = b"\x35\x01\x00\x00\x00\x35\x02\x00\x00\x00"
    operations = b"\x3a\x04\x00\x00\x00\x00\x3d\x01\x00\x00\x00"
    offsets = b"\x41" + bytes(8) + b"\x42\x08" + bytes(8)
    lengths = b"\x4a\x10" + (3).to_bytes(8, "little") * 2
    fields = [b"\x7a\x02no", unknown, lengths, offsets, b"\x7a\x03abc", operations, unpacked, unknown]

    for raw in (prefix + b"".join(fields), b"".join(fields) + prefix, b"\x22\x02no" + prefix + b"".join(fields)):
        message = warm_request_decoder().decode(memoryview(raw))

        assert (HEAD, [1, 2], [0, 1], [0, 0], [3, 3], b"abc") == (
            message.head,
            list(message.ids),
            list(message.operations),
            list(message.offsets),
            list(message.lengths),
            bytes(message.payload),
        )


def test_a_message_of_another_head_is_seen_as_such() -> None:
    """What the messages before said first is not taken for granted."""
    decoder = warm_request_decoder()
    other = codec.RequestHead(HEAD.client, HEAD.attempt + 1, HEAD.disk, HEAD.identity)
    raw = b"".join(codec.encode_requests(codec.request_prefix(other), [1], [0], [0], [1]))

    assert other == decoder.decode(memoryview(raw)).head
    assert other == decoder.decode(memoryview(raw)).head
    ours = b"".join(codec.encode_requests(codec.request_prefix(HEAD), [1], [0], [0], [1]))
    assert HEAD == decoder.decode(memoryview(ours)).head


def test_the_payload_is_a_view_of_the_message() -> None:
    """A mebibyte is not copied on its way, in or out."""
    data = bytes(1 << 20)
    parts = codec.encode_requests(codec.request_prefix(HEAD), [1], [1], [0], [len(data)], [data])
    message = b"".join(parts)
    reply = b"".join(codec.encode_replies(codec.reply_prefix(REPLY_HEAD), [1], [len(data)], [data]))

    assert parts[1] is data
    assert warm_request_decoder().decode(memoryview(message)).payload.obj is message
    assert warm_reply_decoder().decode(memoryview(reply)).payload.obj is reply


def broken(encoded: bytes, rng: random.Random) -> bytes:
    """`encoded` with a few bytes changed, cut out, put in or taken off."""
    raw = bytearray(encoded)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(raw) + 1)
        match rng.randrange(4):
            case 0:
                raw[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                del raw[at : at + rng.randint(1, 8)]
            case 2:
                raw[at:at] = rng.randbytes(rng.randint(1, 8))
            case _:
                del raw[at:]
    return bytes(raw)


@pytest.mark.parametrize("seed", range(4))
def test_broken_requests_decode_as_protobuf_does_or_are_corrupt(seed: int) -> None:
    """Whatever bytes come, the fast path and the generated class agree, and nothing but Corrupt is raised."""
    rng = random.Random(seed)
    corrupt = 0
    for _ in range(3000):
        count = rng.choice([0, 1, 2, 33])
        numbers = [rng.getrandbits(32) for _ in range(count)]
        data = [rng.randbytes(rng.choice([0, 1, 200]))]
        whole = b"".join(codec.encode_requests(codec.request_prefix(HEAD), numbers, numbers, numbers, numbers, data))
        raw = broken(whole, rng)
        try:
            decoded = warm_request_decoder().decode(memoryview(raw))
        except Corrupt:
            corrupt += 1
            with pytest.raises(Exception, match="parsing"):
                disk_pb2.SessionRequest.FromString(raw)
        else:
            assert request_fields(disk_pb2.SessionRequest.FromString(raw)) == request_fields(decoded)
    assert 300 < corrupt < 2900


@pytest.mark.parametrize("seed", range(4))
def test_broken_replies_decode_as_protobuf_does_or_are_corrupt(seed: int) -> None:
    """Whatever bytes come, the fast path and the generated class agree, and nothing but Corrupt is raised."""
    rng = random.Random(seed)
    corrupt = 0
    for _ in range(3000):
        numbers = [rng.getrandbits(32) for _ in range(rng.choice([0, 1, 2, 33]))]
        errors = [disk_pb2.SessionError(id=1, kind="Busy")] * rng.choice([0, 0, 2])
        data = [rng.randbytes(rng.choice([0, 1, 200]))]
        raw = broken(
            b"".join(codec.encode_replies(codec.reply_prefix(REPLY_HEAD), numbers, numbers, data, errors)), rng
        )
        try:
            decoded = warm_reply_decoder().decode(memoryview(raw))
        except Corrupt:
            corrupt += 1
            with pytest.raises(Exception, match="parsing"):
                disk_pb2.SessionReply.FromString(raw)
        else:
            assert reply_fields(disk_pb2.SessionReply.FromString(raw)) == reply_fields(decoded)
    assert 300 < corrupt < 2900
