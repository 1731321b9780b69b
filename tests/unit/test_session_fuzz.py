"""Both ends of a Session against messages that are nearly right."""

from __future__ import annotations

import random

import pytest
from tests.support.session import SIZE, HeldDisk, Server, server_of, turns, until

from g2disk.disk.disk import Done
from g2disk.errors import Corrupt, DiskError, Fenced
from g2disk.remote.pb import disk_pb2
from g2disk.remote.record import Record
from g2disk.remote.session_codec import ReplyDecoder, RequestHead
from g2disk.remote.session_flight import Bounds, Entry, Flight, Submission
from g2disk.remote.stream import Status
from g2disk.request import EXTENTS, FLUSH, READ, WRITE, Request

HEAD = RequestHead(b"0123456789abcdef", 1, "d", "i")


def flight_with(requests: list[Request], done: Done) -> Flight:
    """A session with these requests in flight, the first with the largest id."""
    flight = Flight(Record(1 << 30, None))
    flight.begin(HEAD, Bounds(len(requests), 1 << 20, 1 << 20), ReplyDecoder())
    submission = Submission(done, 0.0)
    flight.waiting += [Entry(request, submission) for request in requests]
    assert flight.next_message() is not None
    return flight


def requests() -> list[Request]:
    return [
        Request(READ, 0, 0, 512),
        Request(WRITE, 0, 0, 512, data=bytes(512)),
        Request(FLUSH, 0, 0, 0),
        Request(EXTENTS, 0, 4096, 8192),
    ]


def reply(rng: random.Random) -> tuple[disk_pb2.SessionReply, bool]:
    """A reply to some of them, right but for chance; and whether it is certainly wrong."""
    extents = disk_pb2.ExtentsReply(lengths=[4096, 4096], states=[0, 3]).SerializeToString()
    rows = [(3, bytes(512)), (2, b""), (1, b""), (0, extents)]
    rng.shuffle(rows)
    rows = rows[: rng.randint(1, 4)]
    message = disk_pb2.SessionReply(
        identity="i",
        instance="x",
        attempt=1,
        ids=[number for number, _ in rows],
        lengths=[len(data) for _, data in rows],
        payload=b"".join(data for _, data in rows),
    )
    case = rng.randrange(12)
    match case:
        case 0:
            message.attempt = 2
        case 1:
            message.identity = "j"
        case 2:
            message.ids.append(message.ids[0])
        case 3:
            message.lengths[0] += rng.choice([1, 512])
        case 4:
            message.payload += b"x"
        case 5:
            message.ids[0] = rng.randint(4, 1 << 31)
        case 6:
            message.errors.add(
                id=rng.randint(0, 5), kind=rng.choice(["", "Busy", "Nonsense"]), errno=rng.choice([0, 5])
            )
        case 7:
            message.payload = bytes(len(message.payload) * 2)
        case _:
            pass
    return message, case < 6 or (case == 7 and len(message.payload) > 0)


@pytest.mark.parametrize("seed", range(4))
def test_a_reply_is_taken_as_a_whole_or_not_at_all(seed: int) -> None:
    """Whatever comes, the client settles what was answered, or raises Corrupt or Fenced with all still in flight."""
    rng = random.Random(seed)
    taken = refused = 0
    for _ in range(2000):
        asked = requests()
        flight = flight_with(asked, lambda _: None)
        message, wrong = reply(rng)
        raw = bytearray(message.SerializeToString())
        if rng.random() < 0.3 and not wrong:
            raw[rng.randrange(len(raw))] = rng.randrange(256)
        try:
            _, entries = flight.reply(memoryview(bytes(raw)))
        except (Corrupt, Fenced):
            refused += 1
            assert 4 == len(flight.broke())
        else:
            taken += 1
            assert not wrong
            settled = [entry.request for entry in entries]
            left = [entry.request for entry in flight.broke()]
            assert sorted(map(id, asked)) == sorted(map(id, settled + left))
            assert all(request.error or len(request.data) == 512 for request in settled if request.operation == READ)
            assert all(isinstance(request.error, DiskError | None) for request in settled)
    assert taken > 500
    assert refused > 500


class Listener:
    """A client that listens only."""

    def __init__(self, server: Server) -> None:
        self.status: Status | None = None
        self.replies: list[bytes] = []
        self.stream = server.streams.connect(self)

    def message(self, data: memoryview) -> None:
        self.replies.append(bytes(data))

    def drained(self) -> None:
        """Nobody waits for it."""

    def ended(self, status: Status) -> None:
        self.status = status


@pytest.mark.parametrize("seed", range(4))
async def test_a_server_outlives_every_message(seed: int) -> None:
    """Broken messages end their session, or their requests get errors, and the next client finds the server well."""
    rng = random.Random(seed)
    ended = answered = 0
    async with server_of(HeldDisk()) as server:
        for attempt in range(1, 300):
            client = Listener(server)
            opening = disk_pb2.SessionRequest(client=HEAD.client, attempt=attempt, open=disk_pb2.SessionOpen())
            client.stream.send([opening.SerializeToString()])
            await until(lambda client=client: bool(client.replies))  # type: ignore[misc]
            count = rng.randint(1, 4)
            lengths = [rng.choice([0, 1, 512, 4096]) for _ in range(count)]
            operations = [rng.choice([0, 1, 3, 4, 5, 6, 7, 2, 0x101, 0x1006]) for _ in range(count)]
            written = sum(length for word, length in zip(operations, lengths, strict=True) if word & 0xFF == WRITE)
            message = disk_pb2.SessionRequest(
                client=HEAD.client,
                attempt=attempt,
                disk="default",
                ids=range(count),
                operations=operations,
                offsets=[rng.choice([0, 512, SIZE - 1, 1 << 63]) for _ in range(count)],
                lengths=lengths,
                payload=bytes(written),
            )
            raw = bytearray(message.SerializeToString())
            for _ in range(rng.randrange(3)):
                raw[rng.randrange(min(len(raw), 100))] = rng.randrange(256)
            client.stream.send([raw])
            await turns(20)
            if client.status is not None:
                ended += 1
                assert client.status.code in (3, 8, 9)
            else:
                replies = [disk_pb2.SessionReply.FromString(raw) for raw in client.replies[1:]]
                answered += sum(len(reply.ids) + len(reply.errors) for reply in replies)
            client.stream.abort()
    assert ended > 30
    assert answered > 100
