"""The handshake against what clients should not send, and against the ways in which bytes arrive."""

from __future__ import annotations

import contextlib
import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import nbd_wire as wire
from tests.support.nbd_conversation import DISK, FIXED, GREETING, Conversation

from g2disk.nbd import handshake as limits
from g2disk.nbd.errors import NbdProtocolError
from g2disk.nbd.events import Closed, ListWanted, Ready
from g2disk.nbd.handshake import Handshake

NAMES = st.sampled_from([b"disk", b"", b"none", b"\xff"])
QUERIES = st.lists(st.sampled_from(["base:allocation", "base:", "", "x-other:y"]), max_size=3)
OPTIONS = st.one_of(
    st.sampled_from([2, 3, 5, 8, 11, 99]).map(wire.option),
    st.builds(wire.option, st.just(1), NAMES),
    st.builds(wire.option, st.sampled_from([6, 7]), st.builds(wire.info_data, NAMES, st.lists(st.integers(0, 5)))),
    st.builds(wire.option, st.sampled_from([9, 10]), st.builds(wire.meta_data, NAMES, QUERIES)),
    st.builds(wire.option, st.integers(0, 12), st.binary(max_size=40)),
    st.builds(wire.option, st.integers(0, 12), st.just(bytes(limits.MAXIMUM_OPTION_DATA + 1))),
)
CLIENTS = st.builds(lambda flags, options: flags + b"".join(options), st.just(FIXED), st.lists(OPTIONS, max_size=8))


@given(CLIENTS, st.data())
def test_any_split_of_the_bytes_gives_the_same(client: bytes, data: st.DataObject) -> None:
    """Events and replies do not depend on how the client's bytes arrive; what is left over is all that follows."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(client)), max_size=12)))
    whole, parts = Conversation(), Conversation()
    whole.say(client)
    position = 0
    for cut in [*cuts, len(client)]:
        if parts.over:
            break
        parts.say(client[position:cut])
        position = cut

    assert whole.sent == parts.sent
    assert whole.events[:-1] == parts.events[: len(whole.events) - 1]
    if whole.over and not isinstance(whole.events[-1], Closed):
        assert whole.ready.leftover == parts.ready.leftover + client[position:]
    else:
        assert whole.events == parts.events


def test_bytes_may_come_one_by_one() -> None:
    """A whole negotiation, a byte at a time."""
    client = FIXED + wire.option(8) + wire.option(10, wire.meta_data("disk", ["base:allocation"]))
    conversation = Conversation()
    for byte in client + wire.option(7, wire.info_data("disk", (1, 2, 3))):
        assert not conversation.over
        conversation.say(bytes([byte]))

    assert conversation.ready.base_allocation


@pytest.mark.parametrize("option", [0, 3, 5, 6, 7, 8, 9, 10, 11])
@pytest.mark.parametrize("chunk", [1 << 20, 1000])
def test_data_that_are_too_long_are_skipped_and_refused(option: int, chunk: int) -> None:
    """TOO_BIG (UNSUP for what is unknown anyway), and the next option is parsed; memory does not hold the data."""
    conversation = Conversation()
    conversation.say(FIXED)
    sent = wire.option(option, bytes(limits.MAXIMUM_OPTION_DATA + 1)) + wire.option(8)
    answer = b"".join(conversation.say(sent[at : at + chunk]) for at in range(0, len(sent), chunk))

    kinds = [reply.kind for reply in wire.option_replies(answer)]
    assert kinds == [wire.TOO_BIG if option else wire.UNSUP, wire.ACK]
    assert conversation.events == []


def test_the_most_data_are_taken() -> None:
    """64 KiB of queries are parsed."""
    conversation = Conversation()
    queries = ["base:allocation", *["q" * 4092] * 15]
    data = wire.meta_data("disk", queries)
    data = wire.meta_data("disk", [*queries, "r" * (limits.MAXIMUM_OPTION_DATA - len(data) - 4)])
    assert len(data) == limits.MAXIMUM_OPTION_DATA

    answer = conversation.say(FIXED + wire.option(8) + wire.option(10, data))
    assert [reply.kind for reply in wire.option_replies(answer)] == [wire.ACK, wire.META_CONTEXT, wire.ACK]


@pytest.mark.parametrize("length", [limits.MAXIMUM_SKIPPED + 1, (1 << 32) - 1])
def test_data_without_measure_end_the_connection(length: int) -> None:
    """Nobody has to read gigabytes to stay in step."""
    with pytest.raises(NbdProtocolError, match=str(length)):
        Conversation().say(FIXED + wire.option(6, b"", length))


def test_a_wrong_magic_ends_the_connection() -> None:
    """Each byte of it counts, also behind good options."""
    for position in range(8):
        wrong = bytearray(wire.option(3))
        wrong[position] ^= 1
        with pytest.raises(NbdProtocolError, match="where an option must begin"):
            Conversation().say(FIXED + wire.option(8) + bytes(wrong))


def test_a_flood_of_options_ends_the_connection() -> None:
    """As many as a listing of all exports may need, and not one more."""
    conversation = Conversation()
    conversation.say(FIXED)
    thousand = wire.option(8) * 1024
    for _ in range(limits.MAXIMUM_OPTIONS // 1024 - 1):
        conversation.say(thousand)
    conversation.say(thousand[:-1])

    with pytest.raises(NbdProtocolError, match="no export chosen"):
        conversation.say(thousand[-1:])


def test_a_flood_while_an_answer_is_due_ends_the_connection() -> None:
    """What comes early is kept, up to a bound."""
    handshake = Handshake()
    assert handshake.receive(FIXED + wire.option(3)) == ListWanted()
    for _ in range(16):
        handshake.receive(bytes(limits.MAXIMUM_AHEAD // 16))

    with pytest.raises(NbdProtocolError, match="without waiting"):
        handshake.receive(b"x")


def test_an_error_message_is_cut_to_what_a_string_may_be() -> None:
    """4096 bytes, and still UTF-8."""
    conversation = Conversation(exports={})
    answer = conversation.say(FIXED + wire.option(6, wire.info_data("ü" * 2048)))

    (reply,) = wire.option_replies(answer)
    assert len(reply.data) in (4095, 4096)
    assert reply.data.decode().startswith("there is no disk")


@pytest.mark.parametrize("seed", range(8))
def test_nothing_but_the_protocol_error_comes_of_any_bytes(seed: int) -> None:
    """Random bytes, and good clients with bytes changed, lost, doubled and cut: answers are well-formed, nothing else
    is raised, and what is kept stays bounded.
    """
    rng = random.Random(seed)
    good = FIXED + b"".join(
        [
            wire.option(8),
            wire.option(3),
            wire.option(9, wire.meta_data("disk", ["base:"])),
            wire.option(10, wire.meta_data("disk", ["base:allocation", "x-a:b"])),
            wire.option(6, wire.info_data("none", (1, 2))),
            wire.option(11),
            wire.option(6, wire.info_data("disk", (1, 2, 3))),
            wire.option(7, wire.info_data("disk", (1, 2, 3))),
        ]
    )
    for _ in range(1500):
        conversation = Conversation()
        kept = 0
        with contextlib.suppress(NbdProtocolError):
            for piece in _pieces(_mutated(good, rng), rng):
                conversation.say(piece)
                kept = max(kept, len(conversation.handshake._received))
        wire.option_replies(_replies(conversation))
        assert kept <= limits.MAXIMUM_OPTION_DATA + len(good)


def _replies(conversation: Conversation) -> bytes:
    """What was sent between the greeting and the answer to EXPORT_NAME, if any, which has a form of its own."""
    sent = conversation.sent[len(GREETING) :]
    if conversation.over and isinstance(conversation.events[-1], Ready) and not sent.endswith(b"\0\0\0\1\0\0\0\0"):
        return sent[: sent.rindex(struct.pack(">Q", DISK.size))]
    return sent


def _mutated(good: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.1:
        return FIXED + rng.randbytes(rng.randrange(200))
    data = bytearray(good)
    for _ in range(rng.randrange(1, 6)):
        data = data or bytearray(FIXED)
        at = rng.randrange(len(data))
        kind = rng.randrange(5)
        if kind == 0:
            data[at] = rng.randrange(256)
        elif kind == 1:
            del data[at : at + rng.randrange(1, 20)]
        elif kind == 2:
            data[at:at] = data[at : at + rng.randrange(1, 40)]
        elif kind == 3:
            data[at : at + 4] = struct.pack(">I", rng.choice([0, 1, 7, 65536, 1 << 31, (1 << 32) - 1]))
        else:
            del data[max(at, 1) :]
    return bytes(data)


def _pieces(data: bytes, rng: random.Random) -> list[bytes]:
    pieces = []
    while data:
        count = rng.randrange(1, 60)
        pieces.append(data[:count])
        data = data[count:]
    return pieces
