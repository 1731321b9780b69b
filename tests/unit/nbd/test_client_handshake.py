"""The client's side of the handshake, against our own server's side and against servers that keep no rule."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import nbd_wire as wire
from tests.support.nbd_conversation import DISK, FLAGS, Conversation

from g2disk.errors import Busy, Denied, DiskError, Invalid, NotFound, Unavailable, Unsupported, kind_of_error
from g2disk.nbd.client_handshake import MAXIMUM_REPLIES, ClientHandshake, Negotiated
from g2disk.nbd.errors import NbdProtocolError
from g2disk.nbd.events import ExportWanted, Ready

NEWSTYLE, FIXED, FIXED_NO_ZEROES = (b"NBDMAGICIHAVEOPT" + struct.pack(">H", flags) for flags in (0, 1, 3))
SIZE = 0x1122334455667788
OPT_GO = wire.option(7, wire.info_data("disk", [3]))


def reply(option: int, kind: int, data: bytes = b"") -> bytes:
    """A reply as the document draws it."""
    return bytes.fromhex("0003e889045565a9") + struct.pack(">III", option, kind, len(data)) + data


INFO = reply(7, 3, struct.pack(">HQH", 0, SIZE, FLAGS))
ACK = reply(7, 1)


def heard(server: bytes, name: str = "disk") -> tuple[Negotiated | None, bytes]:
    """How far a client comes that hears all this at once, and what it says."""
    handshake = ClientHandshake(name)
    return handshake.receive(server), handshake.data_to_send()


@pytest.mark.parametrize("step", [1, 7, 1 << 16])
@pytest.mark.parametrize("name", ["disk", ""])
def test_client_and_server_of_ours_agree(name: str, step: int) -> None:
    """However the bytes arrive, the client learns the export's size, flags and block sizes, and the server is ready."""
    server, client = Conversation(), ClientHandshake(name)
    coming, negotiated = server.sent, None
    while coming:
        part, coming = coming[:step], coming[step:]
        negotiated = client.receive(part)
        coming += server.say(client.data_to_send())

    assert negotiated == Negotiated(SIZE, FLAGS, 512, 4096, 1 << 25)
    assert server.events == [ExportWanted(name, True), Ready(DISK, False, False, False, FLAGS, b"")]


@pytest.mark.parametrize("refused", [NotFound("no such disk"), Denied("not for you"), Invalid("mend it")])
def test_a_refusal_is_an_error_of_its_kind_with_the_servers_words(refused: DiskError) -> None:
    """The kind survives the way through NBD where NBD has a word for it, and so does the message."""
    server, client = Conversation({"disk": refused}), ClientHandshake("disk")
    client.receive(server.sent)
    answer = server.say(client.data_to_send())

    with pytest.raises(kind_of_error(refused), match=f"refused the export 'disk' .*{refused}"):
        client.receive(answer)
    assert client.data_to_send() == wire.option(2)


def test_kinds_that_nbd_has_no_word_for_are_told_in_words() -> None:
    """A disk that is busy "is not available", and why stands in the message."""
    server, client = Conversation({"disk": Busy("another server has it")}), ClientHandshake("disk")
    client.receive(server.sent)

    with pytest.raises(NotFound, match="another server has it"):
        client.receive(server.say(client.data_to_send()))


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (2, Denied),
        (3, Invalid),
        (4, Unsupported),
        (5, Denied),
        (6, NotFound),
        (7, Unavailable),
        (8, Unsupported),
        (9, Invalid),
        (10, Unsupported),
        (99, Unavailable),
    ],
)
def test_every_error_reply_is_an_error_of_ours(number: int, kind: type[DiskError]) -> None:
    """Errors that the document does not name are `Unavailable`."""
    with pytest.raises(DiskError, match=r"refused the export 'disk' .*: no, never$") as raised:
        heard(FIXED + reply(7, 0x80000000 + number, b"no,\n never"))
    assert type(raised.value) is kind


@pytest.mark.parametrize(("greeting", "flags"), [(FIXED, 1), (FIXED_NO_ZEROES, 3)])
def test_a_client_says_go_and_asks_for_block_sizes(greeting: bytes, flags: int) -> None:
    """Of the flags it takes those that the server offers."""
    negotiated, said = heard(greeting + INFO + ACK)

    assert said == struct.pack(">I", flags) + OPT_GO
    assert negotiated == Negotiated(SIZE, FLAGS, 1, 4096, 1 << 25)


def test_what_nobody_asked_for_is_passed_over() -> None:
    """A server may tell its export's name, and what only later versions of the protocol know."""
    more = reply(7, 3, b"\0\1name") + reply(7, 3, b"\7\7?") + reply(7, 3, b"!") + reply(7, 77, b"news")

    assert heard(FIXED + more + INFO + ACK)[0] == Negotiated(SIZE, FLAGS)


@pytest.mark.parametrize(
    ("greeting", "flags", "refusal", "zeroes"),
    [
        (NEWSTYLE, 0, b"", 124),
        (FIXED, 1, reply(7, 0x80000001), 124),
        (FIXED_NO_ZEROES, 3, reply(7, 0x80000001, b"what?"), 0),
    ],
)
def test_a_server_without_go_is_asked_by_export_name(greeting: bytes, flags: int, refusal: bytes, zeroes: int) -> None:
    """Also one that does not know fixed newstyle; the padding is waited for unless both agreed on none."""
    answer = struct.pack(">QH", SIZE, FLAGS) + bytes(zeroes)
    negotiated, said = heard(greeting + refusal + answer)

    assert said == struct.pack(">I", flags) + (OPT_GO if refusal else b"") + wire.option(1, b"disk")
    assert negotiated == Negotiated(SIZE, FLAGS)
    assert heard((greeting + refusal + answer)[:-1])[0] is None


@pytest.mark.parametrize("server", [NEWSTYLE, FIXED + reply(7, 0x80000001)])
def test_a_connection_closed_at_export_name_means_that_there_is_no_such_export(server: bytes) -> None:
    """There is no error reply to EXPORT_NAME."""
    handshake = ClientHandshake("disk")
    handshake.receive(server)

    assert isinstance(handshake.receive_eof(), NotFound)


@pytest.mark.parametrize("server", [b"", b"NBDMAGIC", FIXED, FIXED + INFO])
def test_a_connection_closed_earlier_means_that_the_server_is_away(server: bytes) -> None:
    """A server that ends in mid-handshake has not said no."""
    handshake = ClientHandshake("disk")
    handshake.receive(server)

    assert isinstance(handshake.receive_eof(), Unavailable)


@pytest.mark.parametrize(
    "server",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"NBDMAGIC" + bytes(8),
        FIXED + b"\0" * 20,
        FIXED + reply(6, 1),
        FIXED + ACK,
        FIXED + reply(7, 3, b"\0\0short") + ACK,
        FIXED + INFO + reply(7, 3, b"\0\3short") + ACK,
        FIXED + reply(7, 3, bytes((64 << 10) + 1))[:20],
        FIXED + reply(7, 3, b"\0\1") * MAXIMUM_REPLIES,
        FIXED + INFO + ACK + b"more",
    ],
    ids=["http", "magic", "reply-magic", "other-option", "no-size", "size", "blocks", "long", "endless", "behind"],
)
def test_what_is_no_handshake_raises(server: bytes) -> None:
    """A stream that is out of step is given up, whatever it is."""
    with pytest.raises(NbdProtocolError):
        heard(server)


def test_the_oldstyle_handshake_is_named() -> None:
    """Its greeting is known, so a person hears what is wrong."""
    with pytest.raises(Unsupported, match="oldstyle"):
        heard(b"NBDMAGIC" + bytes.fromhex("0000420281861253") + bytes(136))


def test_a_name_that_is_too_long_is_refused_at_once() -> None:
    """4096 bytes is the most that the protocol has for a string."""
    with pytest.raises(Invalid, match="4097"):
        ClientHandshake("x" * 4097)


@given(st.sampled_from([b"", NEWSTYLE, FIXED, FIXED + INFO]), st.binary(max_size=200))
def test_any_bytes_end_in_an_error_of_ours_or_none(begun: bytes, then: bytes) -> None:
    """No stream of bytes makes anything else of the client."""
    handshake = ClientHandshake("disk")
    try:
        handshake.receive(begun + then)
    except DiskError:
        return
    handshake.receive_eof()
