"""The Session of the target server in Node.js is what proto/g2disk/v1/disk.proto says, seen by a plain gRPC client."""

from __future__ import annotations

import errno
import hashlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from g2disk.remote.pb import disk_pb2 as pb
from tests.examples.node import SIZE, node_server
from tests.examples.session_client import (
    CACHE,
    EXTENTS,
    FLUSH,
    READ,
    TRIM,
    WRITE,
    ZERO,
    Ask,
    Channel,
    Ended,
    channel_to,
    new_client,
)
from tests.support.processes import Server

MIB = 1 << 20
DATA = hashlib.shake_128(b"session").digest(MIB)
FUA = 1 << 8
FLAGS = {WRITE: 0b1, TRIM: 0b1, ZERO: 0b10011}
OTHER = "00000000-0000-0000-0000-000000000000"

INVALID = Ended(grpc.StatusCode.INVALID_ARGUMENT, "Invalid", errno.EINVAL)
FENCED = Ended(grpc.StatusCode.FAILED_PRECONDITION, "Fenced", errno.ESTALE)
TOO_MUCH = Ended(grpc.StatusCode.RESOURCE_EXHAUSTED, "Invalid", errno.EINVAL)


@pytest.fixture
def to(node: Server) -> Iterator[Channel]:
    """The server that the module's tests share."""
    with channel_to(node.endpoint) as channel:
        yield channel


@pytest.fixture(scope="module")
def slow_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose writes take 1 s before they change anything."""
    with node_server(tmp_path_factory.mktemp("slow"), env={"WRITE_DELAY": "1000"}) as server:
        yield server


@pytest.fixture
def slow(slow_node: Server) -> Iterator[Channel]:
    """The slow server."""
    with channel_to(slow_node.endpoint) as channel:
        yield channel


def write(number: int, offset: int, data: bytes, flags: int = 0) -> Ask:
    """A write."""
    return Ask(number, WRITE | flags, offset, len(data), data)


# The opening.


def test_the_opening_describes_the_disk(to: Channel) -> None:
    """As Describe does, with bounds that allow something, and with the attempt of the client."""
    session = to.session(attempt=7)
    reply = session.open()
    describe = to.channel.unary_unary(
        "/g2disk.v1.Disk/Describe", pb.DescribeRequest.SerializeToString, pb.DescribeReply.FromString
    )
    opened = reply.opened

    assert opened.description == describe(pb.DescribeRequest())
    assert (reply.identity, reply.instance) == (opened.description.identity, opened.description.instance)
    assert reply.attempt == 7
    assert opened.maximum_in_flight_requests >= 1
    assert opened.maximum_in_flight_bytes >= 1
    assert opened.maximum_message >= 4097


def test_a_client_that_knows_the_disk_says_so(to: Channel) -> None:
    """Name and identity of an earlier session open the next one."""
    known = to.opened().head
    session = to.session()
    session.head |= {"disk": known["disk"], "identity": known["identity"]}
    assert session.open().identity == known["identity"]


@pytest.mark.parametrize("wish", [1, 3, 1 << 30])
def test_bounds_are_what_both_ends_allow(to: Channel, wish: int) -> None:
    """A client may wish for less than the server allows, and never gets more."""
    allowed = to.session().open().opened
    wished = to.session().open(maximum_in_flight_requests=wish, maximum_in_flight_bytes=wish).opened
    assert wished.maximum_in_flight_requests == min(wish, allowed.maximum_in_flight_requests)
    assert wished.maximum_in_flight_bytes == min(wish, allowed.maximum_in_flight_bytes)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ({"disk": "other"}, Ended(grpc.StatusCode.NOT_FOUND, "NotFound", errno.ENOENT)),
        ({"identity": OTHER}, FENCED),
        ({"client": bytes(15)}, INVALID),
        ({"attempt": 0}, INVALID),
        ({"ids": [1], "operations": [FLUSH], "offsets": [0], "lengths": [0]}, INVALID),
        ({"payload": b"x"}, INVALID),
        ({"open": None, "ids": [1], "operations": [FLUSH], "offsets": [0], "lengths": [0]}, INVALID),
        ({"open": pb.SessionOpen(maximum_message=8191)}, INVALID),
    ],
)
def test_a_bad_opening_is_refused(to: Channel, head: dict[str, Any], expected: Ended) -> None:
    """The stream ends without any message."""
    session = to.session()
    session.send(**{"open": pb.SessionOpen(), **head})
    assert session.ended() == expected


def test_a_request_before_the_session_is_open_ends_it(slow: Channel) -> None:
    """Seen while an older session keeps the newer one from being opened."""
    client = new_client()
    slow.opened(client).ask(write(1, 0, b"x"))
    session = slow.session(client, attempt=2)
    session.send(open=pb.SessionOpen())
    session.ask(Ask(1, FLUSH))
    assert session.ended() == INVALID


def test_a_server_without_sessions_says_so(tmp_path: Path) -> None:
    """gRPC's own UNIMPLEMENTED; the calls of their own are there."""
    with node_server(tmp_path, env={"SESSION": "no"}) as server, channel_to(server.endpoint) as channel:
        session = channel.session()
        session.send(open=pb.SessionOpen())
        assert session.ended() == Ended(grpc.StatusCode.UNIMPLEMENTED)
        assert channel.read(0, 4) == bytes(4)


# Columns.


def test_a_batch_does_everything_at_once(to: Channel) -> None:
    """Every request is answered once, reads with their data, in each of two batches."""
    session = to.opened()
    session.do(write(0, 0, DATA[:100_000]))
    done = session.do(
        write(1, 200_000, DATA[:3], FUA),
        Ask(2, READ, 1000, 5000),
        Ask(3, FLUSH),
        write(0xFFFF_FFFF, SIZE - 70_000, DATA[:70_000]),
        Ask(5, TRIM | FUA, 50_000, 1000),
        Ask(6, ZERO | 0b10011 << 8, 60_000, 1000),
        Ask(7, READ, 0, 1),
        write(8, 0, b""),
        Ask(9, READ, SIZE, 0),
    )
    assert done.errors == {}
    assert done.data == {
        **dict.fromkeys([1, 3, 0xFFFF_FFFF, 5, 6, 8, 9], b""),
        2: DATA[1000:6000],
        7: DATA[:1],
    }
    assert to.read(200_000, 3) == DATA[:3]
    assert to.read(SIZE - 70_000, 70_000) == DATA[:70_000]
    assert to.read(0, 100_000) == DATA[:50_000] + bytes(1000) + DATA[51_000:60_000] + bytes(1000) + DATA[61_000:100_000]


def test_every_reply_says_identity_instance_and_attempt(to: Channel) -> None:
    """Those of the opening."""
    session = to.session(attempt=3)
    first = session.open()
    session.ask(write(1, 0, b"x"))
    reply = session.receive()
    assert (reply.identity, reply.instance, reply.attempt) == (first.identity, first.instance, 3)
    assert not reply.HasField("opened")


def test_what_is_done_at_once_is_answered_at_once(to: Channel) -> None:
    """A batch of reads and errors comes back in one message."""
    session = to.opened()
    session.ask(*[Ask(number, READ, number % 2 * SIZE, 1) for number in range(100)])
    reply = session.receive()
    assert (len(reply.ids), len(reply.errors)) == (50, 50)


def test_any_valid_encoding_is_taken(to: Channel) -> None:
    """The payload first, columns neither packed nor in order, and a field that nobody knows."""
    session = to.opened()
    head = pb.SessionRequest(**session.head).SerializeToString()
    rows = [(1, WRITE, 10, 2), (2, WRITE, 20, 1), (3, READ, 0, 9)]
    message = b"\x7a\x03abc" + b"\xf8\x3f\x01"
    for number, word, offset, length in rows:
        message += b"\x49" + length.to_bytes(8, "little") + b"\x41" + offset.to_bytes(8, "little")
        message += b"\x3d" + word.to_bytes(4, "little") + b"\x35" + number.to_bytes(4, "little")
    session.send_bytes(message + head)
    assert session.answers(3).data.keys() == {1, 2, 3}
    assert to.read(10, 2) + to.read(20, 1) == b"abc"


@pytest.mark.parametrize(
    "change",
    [
        {"ids": [1]},
        {"operations": [WRITE]},
        {"offsets": [0, 1, 2]},
        {"lengths": []},
        {"ids": [4, 4]},
        {"payload": b"x"},
        {"payload": b"xyz"},
        {"lengths": [1, (1 << 64) - 1]},
        {"open": pb.SessionOpen()},
        {"client": bytes(16)},
        {"attempt": 2},
        {"disk": ""},
        {"disk": "other"},
    ],
)
def test_a_bad_message_ends_the_session_and_nothing_of_it_is_done(to: Channel, change: dict[str, Any]) -> None:
    """Columns of different lengths, a wrong payload, an id twice, another client, attempt or disk, a second opening.

    Nor is anything that comes after it.
    """
    session = to.opened()
    session.do(Ask(1, ZERO, 0, 4096))
    good = {"ids": [1, 2], "operations": [WRITE, WRITE], "offsets": [0, 1], "lengths": [1, 1], "payload": b"xy"}
    session.send(**{**good, **change})
    session.ask(write(1, 2, b"late"))
    assert session.ended() == INVALID
    assert to.read(0, 4096) == bytes(4096)


def test_bytes_that_are_no_message_end_the_session(to: Channel) -> None:
    """grpc-js refuses them by itself."""
    session = to.opened()
    session.send_bytes(b"\x0a\xff")
    assert session.ended().status == grpc.StatusCode.INTERNAL


# Errors of requests.


@pytest.mark.parametrize(("offset", "length"), [(SIZE, 1), (SIZE - 1, 2), ((1 << 64) - 1, 1), (1 << 53, 1), (1, SIZE)])
@pytest.mark.parametrize("operation", [READ, WRITE, TRIM, ZERO])
def test_a_range_beyond_the_end_fails_alone(to: Channel, operation: int, offset: int, length: int) -> None:
    """With OutOfRange, while its neighbours in the batch are done."""
    if operation in (READ, WRITE):
        length = min(length, 2)
        offset = max(offset, SIZE - 1)
    data = DATA[:length] if operation == WRITE else b""
    done = to.opened().do(write(1, 0, b"good"), Ask(2, operation, offset, length, data), write(3, 8, b"good"))
    assert done.errors == {2: ("OutOfRange", errno.EINVAL)}
    assert done.data.keys() == {1, 3}


def test_wrong_words_fail_alone(to: Channel) -> None:
    """Numbers that no operation has, flags that the operation has not, and bits beyond; all of them are Invalid."""
    good = {operation | flags << 8 for operation, mask in FLAGS.items() for flags in range(32) if not flags & ~mask}
    good |= {READ, FLUSH}
    known = {READ, WRITE, FLUSH, TRIM, CACHE, ZERO, EXTENTS}
    words = [operation | 1 << bit for operation in known for bit in range(8, 32)]
    words += [2, 8, 9, 0x80, 0xFF, 0xFFFF_FFFF]
    bad = [word for word in words if word not in good]

    session = to.opened()
    asked = [Ask(number, word) for number, word in enumerate([*bad, *sorted(good)])]
    done = session.do(*asked)
    assert done.errors == dict.fromkeys(range(len(bad)), ("Invalid", errno.EINVAL))
    assert len(done.data) == len(good)


def test_what_the_disk_cannot_do_is_unsupported(to: Channel) -> None:
    """Cache and extents, which the description does not name."""
    done = to.opened().do(Ask(1, CACHE, 0, 512), Ask(2, EXTENTS, 0, 512))
    assert done.errors == dict.fromkeys((1, 2), ("Unsupported", errno.EOPNOTSUPP))


# Bounds.


def test_replies_fit_in_the_messages_of_the_client(to: Channel) -> None:
    """Many small reads, errors and the largest read go in messages of 8192 bytes."""
    session = to.session()
    session.open(maximum_message=8192)
    asked = [Ask(number, READ, number, 100 * number) for number in range(30)]
    asked += [Ask(number, READ, SIZE, 1) for number in range(30, 60)]
    asked += [Ask(60, READ, 0, 4096), Ask(61, READ, 0, 4097)]
    session.ask(*asked)
    answered = 0
    while answered < len(asked):
        reply = session.receive()
        assert reply.ByteSize() <= 8192
        answered += len(reply.ids) + len(reply.errors)
    assert session.do(Ask(1, READ, 0, 4096), Ask(2, READ, 0, 4097)).errors == {2: ("Invalid", errno.EINVAL)}


def test_all_bytes_that_the_bounds_allow_may_be_in_flight(to: Channel) -> None:
    """Reads of the largest transfer, as many as the bounds allow, and then as many writes."""
    session = to.session()
    opened = session.open().opened
    count = opened.maximum_in_flight_bytes // MIB
    assert count * MIB <= SIZE
    for number in range(count):
        session.ask(write(number, number * MIB, DATA))
    assert len(session.answers(count).data) == count
    done = session.do(*[Ask(number, READ, number * MIB, MIB) for number in range(count)])
    assert done.data == dict.fromkeys(range(count), DATA)


def test_as_many_requests_as_the_bounds_allow_may_be_in_flight(to: Channel) -> None:
    """In one batch, and again when they were answered."""
    session = to.session()
    count = session.open().opened.maximum_in_flight_requests
    for _ in range(3):
        assert len(session.do(*[Ask(number, READ, number, 1) for number in range(count)]).data) == count


@pytest.mark.parametrize("bounds", [{"maximum_in_flight_requests": 3}, {"maximum_in_flight_bytes": 9}])
def test_a_client_beyond_the_bounds_is_ended(slow: Channel, bounds: dict[str, int]) -> None:
    """Three writes of three bytes are in flight, and nothing of the message with the fourth is done."""
    session = slow.session()
    session.open(**bounds)
    asked = [write(number, 10 * number, b"abc") for number in range(3)]
    assert len(session.do(*asked).data) == 3
    session.ask(*asked)
    session.ask(Ask(4, ZERO, 0, 30), write(5, 40, b"def"))
    assert session.ended() == TOO_MUCH
    assert slow.read(0, 3) == b"abc"


# Ids.


def test_an_id_in_flight_may_not_be_used_again(slow: Channel) -> None:
    """The session ends, although the message is good otherwise."""
    session = slow.opened()
    session.ask(write(1, 0, b"x"))
    session.ask(Ask(1, READ, 0, 1))
    assert session.ended() == INVALID


def test_an_answered_id_may_be_used_again(slow: Channel) -> None:
    """Also when the answer was an error."""
    session = slow.opened()
    assert session.do(write(1, 0, b"x")).data == {1: b""}
    assert session.do(write(1, SIZE, b"x")).errors == {1: ("OutOfRange", errno.EINVAL)}
    assert session.do(Ask(1, READ, 0, 1)).data == {1: b"x"}


# Order.


def test_nothing_waits_for_a_slow_write(slow: Channel) -> None:
    """Reads and flushes that came later are answered first; the write then, with its own reply."""
    session = slow.opened()
    session.ask(write(1, 0, b"x"), Ask(2, READ, 4096, 1))
    session.ask(Ask(3, FLUSH), Ask(4, READ, 4096, 1))
    assert session.answers(3).data.keys() == {2, 3, 4}
    assert session.answers(1).data.keys() == {1}


def test_a_flush_comes_after_what_was_answered(to: Channel) -> None:
    """Written in two sessions, flushed in one, and read in the other: the same instance all along."""
    one, other = to.opened(), to.opened()
    instances = set()
    for session in (one, other):
        session.ask(write(1, 0, b"one" if session is one else b"two"))
        instances.add(session.receive().instance)
    one.ask(Ask(2, FLUSH))
    instances.add(one.receive().instance)
    assert len(instances) == 1
    assert other.do(Ask(1, READ, 0, 3)).data == {1: b"two"}


# Endings.


def test_a_client_that_is_done_gets_its_answers(slow: Channel) -> None:
    """What is in flight when it ends its half is answered, and the stream ends with OK."""
    session = slow.opened()
    session.ask(write(1, 0, DATA[:5]))
    session.half_close()
    assert session.answers(1).data == {1: b""}
    assert session.ended() == Ended(grpc.StatusCode.OK)


@pytest.mark.parametrize("opened", [False, True])
def test_a_client_may_leave_without_a_request(to: Channel, opened: bool) -> None:
    """Before and after the opening."""
    session = to.opened() if opened else to.session()
    session.half_close()
    assert session.ended() == Ended(grpc.StatusCode.OK)


def test_a_server_that_shuts_down_answers_what_is_in_flight(tmp_path: Path) -> None:
    """It begins no more, ends all sessions with Unavailable, and exits with 0."""
    with node_server(tmp_path, env={"WRITE_DELAY": "1000"}) as server, channel_to(server.endpoint) as channel:
        busy, idle = channel.opened(), channel.opened()
        busy.ask(write(1, 0, b"x"), Ask(2, READ, 0, 1))
        assert busy.answers(1).data.keys() == {2}
        server.process.popen.send_signal(signal.SIGTERM)
        unavailable = Ended(grpc.StatusCode.UNAVAILABLE, "Unavailable", errno.EIO)
        assert idle.ended() == unavailable
        busy.ask(Ask(3, FLUSH))
        busy.half_close()
        assert busy.answers(1).data == {1: b""}
        assert busy.ended() == unavailable
        assert server.process.popen.wait(20) == 0


def test_another_identity_ends_the_session(to: Channel) -> None:
    """Fenced, and nothing of the message is done; no identity is not compared."""
    session = to.opened()
    session.head["identity"] = ""
    session.do(Ask(1, ZERO, 0, 4))
    session.head["identity"] = OTHER
    session.ask(write(1, 0, b"late"))
    assert session.ended() == FENCED
    assert to.read(0, 4) == bytes(4)


# Attempts.


@pytest.mark.parametrize("attempt", [1, 4, 5])
def test_a_stale_attempt_is_refused(to: Channel, attempt: int) -> None:
    """The same or an older one of the same client; the session that is open goes on."""
    client = new_client()
    session = to.opened(client, attempt=5)
    stale = to.session(client, attempt)
    stale.send(open=pb.SessionOpen())
    assert stale.ended() == FENCED
    assert session.do(Ask(1, FLUSH)).errors == {}


def test_attempts_are_remembered_when_the_session_is_over(to: Channel) -> None:
    """Also after it ended well."""
    client = new_client()
    session = to.opened(client, attempt=2)
    session.half_close()
    assert session.ended() == Ended(grpc.StatusCode.OK)
    stale = to.session(client, attempt=2)
    stale.send(open=pb.SessionOpen())
    assert stale.ended() == FENCED
    to.opened(client, attempt=3)


def test_clients_do_not_disturb_each_other(to: Channel) -> None:
    """A newer attempt of one ends no session of another."""
    one, other = new_client(), new_client()
    session = to.opened(one)
    to.opened(other, attempt=9)
    assert session.do(Ask(1, FLUSH)).errors == {}


@pytest.mark.parametrize("broken", [False, True])
def test_a_newer_attempt_waits_for_what_the_older_one_has_begun(slow: Channel, broken: bool) -> None:
    """A slow write is done when the newer session is open, and the older one has ended; also when its stream broke."""
    client = new_client()
    older = slow.opened(client)
    assert older.do(Ask(1, ZERO, 0, 4096)).errors == {}
    older.ask(write(1, 0, b"begun"), Ask(2, READ, 0, 1))
    assert older.answers(1).data.keys() == {2}
    if broken:
        older.cancel()
    slow.opened(client, attempt=2)
    assert slow.read(0, 5) == b"begun"
    if not broken:
        assert older.ended() == FENCED


def test_a_third_attempt_waits_for_the_first(slow: Channel) -> None:
    """Although the second one, which waits too, is ended at once."""
    client = new_client()
    first = slow.opened(client)
    assert first.do(Ask(1, ZERO, 0, 4096)).errors == {}
    first.ask(write(1, 0, b"first"), Ask(2, READ, 0, 1))
    assert first.answers(1).data.keys() == {2}
    second = slow.session(client, attempt=2)
    second.send(open=pb.SessionOpen())
    assert first.ended() == FENCED
    slow.opened(client, attempt=3)
    assert slow.read(0, 5) == b"first"
    assert second.ended() == FENCED
