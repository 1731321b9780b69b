"""The handshake's options and their replies, byte for byte as the NBD protocol has them."""

from __future__ import annotations

import struct

import pytest
from tests.support import nbd_wire as wire
from tests.support.nbd_conversation import DISK, FIXED, FLAGS, GREETING, Conversation

from g2disk.errors import Busy, Denied, DiskError, Unavailable
from g2disk.nbd.errors import NbdProtocolError
from g2disk.nbd.events import Closed, ExportWanted, ListWanted, Ready
from g2disk.nbd.export import Export
from g2disk.nbd.handshake import Handshake

SIZE = bytes.fromhex("1122334455667788")
FLAGS_ALONE = bytes.fromhex("0005")
BLOCK_SIZES = bytes.fromhex("0003 00000200 00001000 02000000")
DF, STATUS_PAYLOAD = 1 << 7, 1 << 12


def begun(**options: object) -> Conversation:
    """A conversation behind the client's flags."""
    conversation = Conversation(**options)  # type: ignore[arg-type]
    conversation.say(FIXED)
    return conversation


def reply(option: int, kind: int, data: bytes = b"") -> bytes:
    """A reply as the document draws it."""
    return bytes.fromhex("0003e889045565a9") + struct.pack(">III", option, kind, len(data)) + data


def refusals(answer: bytes) -> list[tuple[int, int]]:
    """(option, kind) of replies that are all errors, each with a message."""
    replies = wire.option_replies(answer)
    assert all(each.kind >> 31 and each.data.decode() for each in replies)
    return [(each.option, each.kind) for each in replies]


def test_the_server_speaks_first() -> None:
    """NBDMAGIC, IHAVEOPT, and the flags fixed newstyle and no zeroes."""
    assert Handshake().data_to_send() == GREETING


def test_what_is_to_be_sent_is_given_once() -> None:
    """A second call of data_to_send has nothing more."""
    handshake = Handshake()
    handshake.data_to_send()

    assert handshake.data_to_send() == b""


@pytest.mark.parametrize("flags", [4, 7, 1 << 16, 1 << 31])
def test_unknown_client_flags_end_the_connection(flags: int) -> None:
    """The document: the server MUST drop the connection."""
    with pytest.raises(NbdProtocolError, match="client flags"):
        Conversation().say(struct.pack(">I", flags))


@pytest.mark.parametrize(("client_flags", "zeroes"), [(0, 124), (1, 124), (2, 0), (3, 0)])
def test_export_name_gives_size_flags_and_zeroes(client_flags: int, zeroes: int) -> None:
    """EXPORT_NAME has an answer of its own form, padded unless the client said no zeroes."""
    conversation = Conversation()
    conversation.say(struct.pack(">I", client_flags))

    assert conversation.say(wire.option(1, b"disk")) == SIZE + FLAGS_ALONE + bytes(zeroes)
    assert conversation.events == [ExportWanted("disk", True), Ready(DISK, False, False, False, FLAGS, b"")]


def test_export_name_of_an_unknown_disk_closes() -> None:
    """There is no error reply to EXPORT_NAME: nothing is sent, and the reason is for the log."""
    conversation = begun()

    assert conversation.say(wire.option(1, b"none")) == b""
    assert conversation.events[-1] == Closed("EXPORT_NAME refused: there is no disk 'none'")


@pytest.mark.parametrize("name", [b"\xff", b"a\0b", b"x" * 4097, b"x" * 65537])
def test_export_name_with_a_bad_name_closes(name: bytes) -> None:
    """Names are UTF-8 without NUL, of 4096 bytes at most."""
    conversation = begun()

    assert conversation.say(wire.option(1, name)) == b""
    assert isinstance(conversation.events[-1], Closed)


def test_export_name_after_extended_headers_closes() -> None:
    """The document: a client MUST NOT use EXPORT_NAME once extended headers are negotiated."""
    conversation = begun()
    conversation.say(wire.option(11))

    assert conversation.say(wire.option(1, b"disk")) == b""
    assert isinstance(conversation.events[-1], Closed)


@pytest.mark.parametrize("data", [b"", b"ignored", bytes(70000)])
def test_abort_is_acknowledged_and_closes(data: bytes) -> None:
    """ABORT is answered whatever data come with it."""
    conversation = begun()

    assert conversation.say(wire.option(2, data)) == reply(2, 1)
    assert conversation.events == [Closed("the client ended the handshake")]


def test_list_names_and_describes_every_export() -> None:
    """One REP_SERVER an export, then ACK."""
    conversation = begun(exports={"disk": DISK, "é": Export("é", 512)})

    assert conversation.say(wire.option(3)) == (
        reply(3, 2, b"\0\0\0\4diskein Ger\xc3\xa4t") + reply(3, 2, b"\0\0\0\2\xc3\xa9") + reply(3, 1)
    )
    assert conversation.events == [ListWanted()]


def test_list_may_be_empty() -> None:
    """No exports: ACK alone."""
    assert begun(exports={}).say(wire.option(3)) == reply(3, 1)


def test_list_may_be_refused() -> None:
    """What the shell answers becomes an error reply, and the client may go on."""
    conversation = begun(listing=Denied("listing is not allowed"))

    assert conversation.say(wire.option(3)) == reply(3, 0x80000002, b"listing is not allowed")
    assert conversation.say(wire.option(8)) == reply(8, 1)


@pytest.mark.parametrize("option", [3, 5, 8, 11])
def test_options_without_data_refuse_data(option: int) -> None:
    """LIST, STARTTLS, STRUCTURED_REPLY and EXTENDED_HEADERS with data are invalid, and change nothing."""
    conversation = begun()

    assert refusals(conversation.say(wire.option(option, b"x"))) == [(option, wire.INVALID)]
    conversation.say(wire.option(7, wire.info_data("disk")))
    assert not conversation.ready.structured


def test_starttls_is_not_supported() -> None:
    """There is no TLS, and the client hears that it may go on without."""
    conversation = begun()

    assert refusals(conversation.say(wire.option(5))) == [(5, wire.UNSUP)]
    assert conversation.say(wire.option(8)) == reply(8, 1)


@pytest.mark.parametrize("option", [0, 4, 12, 1 << 31, (1 << 32) - 1])
@pytest.mark.parametrize("data", [b"", b"data of an option to come"])
def test_unknown_options_are_unsupported(option: int, data: bytes) -> None:
    """Their data are skipped, and the next option is parsed."""
    conversation = begun()

    assert refusals(conversation.say(wire.option(option, data))) == [(option, wire.UNSUP)]
    assert conversation.say(wire.option(8)) == reply(8, 1)


@pytest.mark.parametrize("option", [6, 7])
def test_info_and_go_tell_what_is_asked(option: int) -> None:
    """EXPORT and BLOCK_SIZE always, NAME and DESCRIPTION on request, unknown items never; then ACK."""
    conversation = begun()
    export = reply(option, 3, b"\0\0" + SIZE + FLAGS_ALONE)
    sizes = reply(option, 3, BLOCK_SIZES)
    name = reply(option, 3, b"\0\1disk")
    description = reply(option, 3, b"\0\2ein Ger\xc3\xa4t")

    answer = conversation.say(wire.option(option, wire.info_data("", (3, 1, 2, 1, 77))))

    assert answer == export + name + description + sizes + reply(option, 1)
    assert conversation.events[0] == ExportWanted("", option == 7)
    assert begun().say(wire.option(option, wire.info_data("disk"))) == export + sizes + reply(option, 1)


def test_a_disk_without_a_description_tells_none() -> None:
    """Asked for or not, in INFO as in LIST."""
    conversation = begun(exports={"disk": Export("disk", 512)})

    answer = conversation.say(wire.option(3) + wire.option(6, wire.info_data("disk", (2,))))

    assert [each.data[:2] for each in wire.option_replies(answer)] == [b"\0\0", b"", b"\0\0", b"\0\3", b""]


def test_go_enters_transmission_and_info_does_not() -> None:
    """After INFO the handshake goes on; after GO what follows belongs to transmission."""
    conversation = begun()
    conversation.say(wire.option(6, wire.info_data("disk")))
    assert not conversation.over

    conversation.say(wire.option(7, wire.info_data("disk")) + b"a request")
    assert conversation.ready == Ready(DISK, False, False, False, FLAGS, b"a request")


@pytest.mark.parametrize(
    ("error", "kind"), [(None, wire.UNKNOWN), (Denied("no"), wire.POLICY), (Unavailable("off"), wire.UNKNOWN)]
)
@pytest.mark.parametrize("option", [6, 7])
def test_an_export_that_cannot_be_had_is_an_error_alone(option: int, error: DiskError | None, kind: int) -> None:
    """The shell's error becomes a reply with its message, no information is sent, and the client may go on."""
    conversation = begun(exports={"disk": error} if error else {})

    answer = wire.option_replies(conversation.say(wire.option(option, wire.info_data("disk"))))

    assert answer == [wire.OptionReply(option, kind, str(error or "there is no disk 'disk'").encode())]
    assert conversation.say(wire.option(8)) == reply(8, 1)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\0",
        b"\0\0\0\4disk",
        b"\0\0\0\4disk\0",
        b"\0\0\0\4disk\0\1",
        b"\0\0\0\4disk\0\1\0",
        b"\0\0\0\5disk\0\0",
        b"\xff\xff\xff\xffdisk\0\0",
        b"\0\0\0\4disk\0\0x",
        b"\0\0\0\4d\0sk\0\0",
        b"\0\0\0\4d\xfcsk\0\0",
        wire.info_data("x" * 4097),
    ],
)
@pytest.mark.parametrize("option", [6, 7])
def test_info_that_is_not_well_formed_is_invalid(option: int, data: bytes) -> None:
    """Too short, too long, or with a name that cannot be; the shell is not asked."""
    conversation = begun()

    assert refusals(conversation.say(wire.option(option, data))) == [(option, wire.INVALID)]
    assert conversation.events == []


def test_the_longest_name_is_taken() -> None:
    """4096 bytes are allowed."""
    conversation = begun()
    conversation.say(wire.option(6, wire.info_data("x" * 4096)))

    assert conversation.events == [ExportWanted("x" * 4096, False)]


@pytest.mark.parametrize("option", [6, 7])
def test_block_sizes_can_be_required(option: int) -> None:
    """Such an export tells its block sizes to who did not ask, and then refuses; who asks gets in."""
    conversation = begun(exports={"disk": Export("disk", 8192, FLAGS, "", 4096, block_size_required=True)})

    first, last = wire.option_replies(conversation.say(wire.option(option, wire.info_data("disk", (0,)))))
    assert first == wire.OptionReply(option, 3, bytes.fromhex("0003 00001000 00001000 02000000"))
    assert (last.kind, conversation.over) == (wire.BLOCK_SIZE_REQD, False)

    good = wire.option_replies(conversation.say(wire.option(option, wire.info_data("disk", (3,)))))
    assert [each.kind for each in good] == [3, 3, 1]


def test_export_name_cannot_ask_for_block_sizes() -> None:
    """So it is refused where they are required."""
    conversation = begun(exports={"disk": Export("disk", 8192, block_size_required=True)})

    assert conversation.say(wire.option(1, b"disk")) == b""
    assert isinstance(conversation.events[-1], Closed)


def test_structured_replies_bring_the_flag_df() -> None:
    """SEND_DF is set after STRUCTURED_REPLY; asking twice does no harm."""
    conversation = begun()

    assert conversation.say(wire.option(8) * 2) == reply(8, 1) * 2
    answer = conversation.say(wire.option(7, wire.info_data("disk")))

    assert answer.startswith(reply(7, 3, b"\0\0" + SIZE + bytes.fromhex("0085")))
    assert conversation.ready == Ready(DISK, True, False, False, FLAGS | DF, b"")


@pytest.mark.parametrize("before", [b"", wire.option(8)])
def test_extended_headers_take_precedence(before: bytes) -> None:
    """They need no structured replies, and those are refused afterwards."""
    conversation = begun()
    conversation.say(before)

    assert conversation.say(wire.option(11)) == reply(11, 1)
    assert refusals(conversation.say(wire.option(8))) == [(8, wire.EXT_HEADER_REQD)]
    conversation.say(wire.option(7, wire.info_data("disk")))
    assert conversation.ready == Ready(DISK, True, True, False, FLAGS | DF, b"")


def test_block_status_with_a_payload_needs_extended_headers_and_a_context() -> None:
    """BLOCK_STATUS_PAYLOAD is told exactly then, by INFO as well."""
    conversation = begun()
    conversation.say(wire.option(11) + wire.option(10, wire.meta_data("disk", ["base:allocation"])))

    answer = conversation.say(wire.option(6, wire.info_data("disk")) + wire.option(7, wire.info_data("disk")))

    flags = FLAGS | DF | STATUS_PAYLOAD
    told = [each.data[-2:] for each in wire.option_replies(answer) if each.data[:2] == b"\0\0"]
    assert told == [struct.pack(">H", flags)] * 2
    assert conversation.ready == Ready(DISK, True, True, True, flags, b"")


@pytest.mark.parametrize("option", [9, 10])
def test_metadata_contexts_need_structured_replies(option: int) -> None:
    """Without them the options are invalid."""
    conversation = begun()

    answer = conversation.say(wire.option(option, wire.meta_data("disk", ["base:allocation"])))

    assert refusals(answer) == [(option, wire.INVALID)]
    assert conversation.events == []


@pytest.mark.parametrize("first", [8, 11])
@pytest.mark.parametrize(
    ("queries", "listed", "selected"),
    [
        ([], True, False),
        (["base:allocation"], True, True),
        (["base:"], True, False),
        ([""], False, False),
        (["base:allocation", "base:allocation"], True, True),
        (["qemu:dirty-bitmap:x", "base:allocation"], True, True),
        (["base:other", "x-mine:", "no colon", "BASE:ALLOCATION", "base:allocation "], False, False),
    ],
)
def test_queries_find_base_allocation(first: int, queries: list[str], listed: bool, selected: bool) -> None:
    """LIST shows it for no query and for the wildcard too, with id 0; SET selects it by its name alone, with an id."""
    conversation = begun()
    conversation.say(wire.option(first))
    data = wire.meta_data("disk", queries)
    shown = reply(9, 4, b"\0\0\0\0base:allocation") if listed else b""
    chosen = reply(10, 4, b"\0\0\0\1base:allocation") if selected else b""

    assert conversation.say(wire.option(9, data)) == shown + reply(9, 1)
    assert conversation.say(wire.option(10, data)) == chosen + reply(10, 1)
    conversation.say(wire.option(7, wire.info_data("disk")))
    assert conversation.ready.base_allocation is selected


def test_listing_contexts_selects_none() -> None:
    """Only SET_META_CONTEXT selects, and LIST_META_CONTEXT takes nothing back."""
    listing = wire.option(9, wire.meta_data("disk"))
    setting = wire.option(10, wire.meta_data("disk", ["base:allocation"]))
    go = wire.option(7, wire.info_data("disk"))
    conversations = [begun(), begun()]

    conversations[0].say(wire.option(8) + listing + go)
    conversations[1].say(wire.option(8) + setting + listing + go)

    assert [each.ready.base_allocation for each in conversations] == [False, True]


@pytest.mark.parametrize(
    "second",
    [
        wire.meta_data("disk"),
        wire.meta_data("disk", ["base:"]),
        wire.meta_data("none", ["base:allocation"]),
        wire.meta_data("", ["base:allocation"]),
        b"not well formed",
        bytes(65537),
    ],
)
def test_setting_contexts_again_replaces_them(second: bytes) -> None:
    """What was selected before is gone, also where the second option fails or names another export."""
    conversation = begun()
    conversation.say(wire.option(8) + wire.option(10, wire.meta_data("disk", ["base:allocation"])))
    conversation.say(wire.option(10, second))
    conversation.say(wire.option(7, wire.info_data("disk")))

    assert not conversation.ready.base_allocation


def test_a_disk_without_extents_offers_no_context() -> None:
    """Neither listed nor selected, and no error."""
    conversation = begun(exports={"disk": Export("disk", 512, base_allocation=False)})
    conversation.say(wire.option(8))
    data = wire.meta_data("disk", ["base:allocation"])

    assert conversation.say(wire.option(9, data) + wire.option(10, data)) == reply(9, 1) + reply(10, 1)


@pytest.mark.parametrize("option", [9, 10])
def test_contexts_of_an_unknown_export_are_refused(option: int) -> None:
    """ERR_UNKNOWN, as for INFO; the question does not promise transmission."""
    conversation = begun()
    conversation.say(wire.option(8))

    assert refusals(conversation.say(wire.option(option, wire.meta_data("none")))) == [(option, wire.UNKNOWN)]
    assert conversation.events == [ExportWanted("none", False)]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\0\4disk",
        b"\0\0\0\4disk\0\0\0\1",
        b"\0\0\0\4disk\0\0\0\1\0\0\0\5base",
        b"\0\0\0\4disk\xff\xff\xff\xff\0\0\0\4base",
        wire.meta_data("disk", ["base:"]) + b"x",
        wire.meta_data(b"d\xfcsk"),
        wire.meta_data("disk", [b"\xff"]),
        wire.meta_data("disk", ["q" * 4097]),
    ],
)
@pytest.mark.parametrize("option", [9, 10])
def test_context_options_that_are_not_well_formed_are_invalid(option: int, data: bytes) -> None:
    """The document: a query that reaches beyond the option MUST fail."""
    conversation = begun()
    conversation.say(wire.option(8))

    assert refusals(conversation.say(wire.option(option, data))) == [(option, wire.INVALID)]
    assert conversation.events == []


def test_nothing_is_parsed_while_an_answer_is_due() -> None:
    """Options that come early wait, and follow when the answer is there."""
    handshake = Handshake()
    handshake.data_to_send()

    assert handshake.receive(FIXED + wire.option(3) + wire.option(8)) == ListWanted()
    assert handshake.receive(wire.option(7, wire.info_data("disk"))) is None
    assert handshake.data_to_send() == b""
    assert handshake.exports([]) == ExportWanted("disk", True)
    assert handshake.data_to_send() == reply(3, 1) + reply(8, 1)
    assert handshake.refuse(Busy("another host has it")) is None
    assert refusals(handshake.data_to_send()) == [(7, wire.UNKNOWN)]


def test_a_server_that_shuts_down_refuses_everything_but_abort() -> None:
    """Also what it was about to answer."""
    handshake = Handshake()
    handshake.data_to_send()
    handshake.receive(FIXED + wire.option(3))

    handshake.shut_down()

    assert handshake.exports([("disk", "")]) is None
    for option in (6, 7, 8, 9, 10, 11, 5, 77):
        assert handshake.receive(wire.option(option)) is None
    assert {kind for _, kind in refusals(handshake.data_to_send())} == {wire.SHUTDOWN}
    assert isinstance(handshake.receive(wire.option(2)), Closed)
    assert handshake.data_to_send() == reply(2, 1)


def test_a_server_that_shuts_down_closes_on_export_name() -> None:
    """There is no other way to say it."""
    handshake = Handshake()
    handshake.receive(FIXED)
    handshake.shut_down()

    assert isinstance(handshake.receive(wire.option(1, b"disk")), Closed)


@pytest.mark.parametrize("option", [o for o in range(13) if o != 1])
def test_a_client_without_fixed_newstyle_has_export_name_alone(option: int) -> None:
    """Anything else it cannot mean, and would not understand the reply to."""
    conversation = Conversation()
    conversation.say(bytes(4))

    with pytest.raises(NbdProtocolError, match="fixed newstyle"):
        conversation.say(wire.option(option))
