"""The server's side of the handshake, fixed newstyle (NBD protocol, "Handshake").

    handshake = Handshake()
    event = handshake.receive(data)              # None: nothing to do until more was received
    send(handshake.data_to_send())               # after every call
    event = handshake.export(export)             # the answer to ExportWanted; and so on until Ready or Closed

An option that cannot be is refused and the client may go on; a stream that is no handshake raises `NbdProtocolError`,
and the connection has to end.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import ClassVar, Final, TypeAlias, TypeVar

from g2disk.errors import DiskError
from g2disk.nbd import constants as nbd
from g2disk.nbd import options
from g2disk.nbd.errors import NbdProtocolError
from g2disk.nbd.events import Closed, Event, ExportWanted, ListWanted, Ready
from g2disk.nbd.export import Export
from g2disk.nbd.options import Refusal

MAXIMUM_OPTION_DATA: Final = 64 << 10
"""Bytes of data of one option; more are skipped and refused.  An export's name and a few queries are far below."""
MAXIMUM_SKIPPED: Final = nbd.DEFAULT_MAXIMUM_PAYLOAD
"""Bytes of data of one option that are skipped; what the protocol holds for no attack ("Size constraints")."""
MAXIMUM_AHEAD: Final = 1 << 20
"""Bytes that may come while an answer is due; a client that waits for its answers sends none."""
MAXIMUM_OPTIONS: Final = 1 << 16
"""Options of one client.  qemu-nbd --list asks twice for every export that there is."""

_GREETING = struct.pack(">QQH", nbd.NBDMAGIC, nbd.IHAVEOPT, nbd.FLAG_FIXED_NEWSTYLE | nbd.FLAG_NO_ZEROES)
_CLIENT_FLAGS = struct.Struct(">I")
_OPTION = struct.Struct(">QII")
_EXPORT_NAME = struct.Struct(">QH")
_WITHOUT_DATA = (nbd.OPT_LIST, nbd.OPT_STARTTLS, nbd.OPT_STRUCTURED_REPLY, nbd.OPT_EXTENDED_HEADERS)

_Answer: TypeAlias = Export | Sequence[tuple[str, str]] | DiskError
_End: TypeAlias = Ready | Closed
_Result = TypeVar("_Result")
_Steps: TypeAlias = Generator[ExportWanted | ListWanted | None, _Answer | None, _Result]
"""Yields an event and is sent the answer, or yields None and is resumed when more was received."""


class Handshake:
    """One client's handshake.  Nothing more is parsed while an answer is due, nor after `Ready` and `Closed`."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._to_send = bytearray(_GREETING)
        self._zeroes = bytes(nbd.EXPORT_NAME_ZEROES)
        self._fixed = self._structured = self._extended = self._ending = self._over = False
        self._described: str | None = None
        """The export whose base:allocation the client selected."""
        self._steps = self._negotiate()
        self._asked: ExportWanted | ListWanted | None = next(self._steps)

    def receive(self, data: bytes | bytearray | memoryview) -> Event | None:
        """Take what the client sent; what is to be done now, or None.  Raises `NbdProtocolError`."""
        assert not self._over
        self._received += data
        if self._asked is None:
            return self._go_on(None)
        if len(self._received) > MAXIMUM_AHEAD:
            raise NbdProtocolError(f"the client sent {len(self._received)} bytes without waiting for an answer")
        return None

    def export(self, export: Export) -> Event | None:
        """Answer `ExportWanted`; what is to be done next, as `receive` says it."""
        assert isinstance(self._asked, ExportWanted)
        return self._go_on(export)

    def exports(self, named: Sequence[tuple[str, str]]) -> Event | None:
        """Answer `ListWanted` with names and descriptions; what is to be done next, as `receive` says it."""
        assert isinstance(self._asked, ListWanted)
        return self._go_on(named)

    def refuse(self, error: DiskError) -> Event | None:
        """Answer either with what went wrong; what is to be done next, as `receive` says it."""
        assert self._asked is not None
        return self._go_on(error)

    def shut_down(self) -> None:
        """The server is ending: from now on everything is refused, also what is asked now, until the client leaves."""
        self._ending = True

    def data_to_send(self) -> bytes:
        """What is to be sent to the client; each byte is given once."""
        data = bytes(self._to_send)
        self._to_send.clear()
        return data

    def _go_on(self, answer: _Answer | None) -> Event | None:
        self._asked = None
        try:
            self._asked = self._steps.send(answer)
        except StopIteration as stop:
            self._over = True
            end: _End = stop.value
            return end
        return self._asked

    def _negotiate(self) -> _Steps[_End]:
        """The whole of it, in the protocol's order."""
        (flags,) = _CLIENT_FLAGS.unpack((yield from self._take(_CLIENT_FLAGS.size)))
        if flags & ~(nbd.FLAG_C_FIXED_NEWSTYLE | nbd.FLAG_C_NO_ZEROES):
            raise NbdProtocolError(f"client flags {flags:#x}, some of them unknown; the client does not speak NBD")
        self._fixed = bool(flags & nbd.FLAG_C_FIXED_NEWSTYLE)
        if flags & nbd.FLAG_C_NO_ZEROES:
            self._zeroes = b""
        for _ in range(MAXIMUM_OPTIONS):
            option, data = yield from self._option()
            end: _End | None
            try:
                end = yield from self._obey(option, data)
            except Refusal as refusal:
                end = self._refuse(option, refusal)
            if end is not None:
                return end
        raise NbdProtocolError(f"{MAXIMUM_OPTIONS} options, and no export chosen; the client is broken")

    def _option(self) -> _Steps[tuple[int, bytes | None]]:
        """The next option and its data; None in place of data that are too long."""
        magic, option, length = _OPTION.unpack((yield from self._take(_OPTION.size)))
        if magic != nbd.IHAVEOPT:
            raise NbdProtocolError(f"{magic:#018x} where an option must begin; the client does not speak NBD")
        if not self._fixed and option != nbd.OPT_EXPORT_NAME:
            raise NbdProtocolError(f"option {option} of a client that does not know fixed newstyle negotiation")
        if length > MAXIMUM_SKIPPED:
            raise NbdProtocolError(f"an option with {length} bytes of data; {MAXIMUM_OPTION_DATA} is the most")
        if length <= MAXIMUM_OPTION_DATA:
            return option, (yield from self._take(length))
        while length:
            skipped = min(length, len(self._received))
            del self._received[:skipped]
            length -= skipped
            if length:
                yield None
        return option, None

    def _obey(self, option: int, data: bytes | None) -> _Steps[_End | None]:
        """Do what the option asks for; the end, where it is one.  Raises `Refusal`."""
        if option == nbd.OPT_SET_META_CONTEXT:
            self._described = None  # "including when this command fails"
        if option == nbd.OPT_ABORT:
            self._reply(option, nbd.REP_ACK)
            return Closed("the client ended the handshake")
        data = self._checked(option, data)
        if option in self._TO_ASK:
            return (yield from self._TO_ASK[option](self, option, data))
        self._TO_SET[option](self)
        self._reply(option, nbd.REP_ACK)
        return None

    def _checked(self, option: int, data: bytes | None) -> bytes:
        """The data of an option that is known and may have them.  Raises `Refusal`."""
        if self._ending:
            raise _shutting_down()
        if option not in nbd.OPTION_NAMES:
            raise Refusal(nbd.REP_ERR_UNSUP, f"option {option} is not known here")
        if data is None:
            raise Refusal(nbd.REP_ERR_TOO_BIG, f"an option has at most {MAXIMUM_OPTION_DATA} bytes of data; send less")
        if data and option in _WITHOUT_DATA:
            raise Refusal(nbd.REP_ERR_INVALID, f"{nbd.OPTION_NAMES[option]} takes no data; send none")
        return data

    def _export_name(self, _option: int, data: bytes) -> _Steps[_End]:
        """OPT_EXPORT_NAME; whatever is refused ends the connection."""
        name = options.decode_string(data)
        if self._extended:
            raise Refusal(nbd.REP_ERR_INVALID, "EXPORT_NAME after EXTENDED_HEADERS; use GO")
        export = yield from self._ask_export(name, entering=True)
        if export.block_size_required:
            raise _block_size_required(name)
        self._to_send += _EXPORT_NAME.pack(export.size, self._flags(name, export)) + self._zeroes
        return self._ready(name, export)

    def _info(self, option: int, data: bytes) -> _Steps[_End | None]:
        """OPT_INFO and OPT_GO.  The block sizes are told unasked too: a client ignores what it does not know."""
        name, wanted = options.decode_info(data)
        export = yield from self._ask_export(name, entering=option == nbd.OPT_GO)
        required = export.block_size_required and nbd.INFO_BLOCK_SIZE not in wanted
        items = {nbd.INFO_BLOCK_SIZE} if required else wanted | {nbd.INFO_EXPORT, nbd.INFO_BLOCK_SIZE}
        for item in sorted(items):
            told = options.encode_info(export, item, self._flags(name, export))
            if told:
                self._reply(option, nbd.REP_INFO, told)
        if required:
            raise _block_size_required(name)
        self._reply(option, nbd.REP_ACK)
        return self._ready(name, export) if option == nbd.OPT_GO else None

    def _meta_context(self, option: int, data: bytes) -> _Steps[None]:
        """OPT_LIST_META_CONTEXT and OPT_SET_META_CONTEXT; what no context answers to is ignored."""
        if not (self._structured or self._extended):
            raise Refusal(nbd.REP_ERR_INVALID, "metadata contexts need structured replies; negotiate those first")
        name, queries = options.decode_meta_context(data)
        export = yield from self._ask_export(name, entering=False)
        listing = option == nbd.OPT_LIST_META_CONTEXT
        meant = nbd.BASE_ALLOCATION in queries or (listing and (not queries or "base:" in queries))
        if meant and export.base_allocation:
            identifier = 0 if listing else nbd.BASE_ALLOCATION_ID
            self._reply(option, nbd.REP_META_CONTEXT, options.encode_meta_context(identifier, nbd.BASE_ALLOCATION))
            if not listing:
                self._described = name
        self._reply(option, nbd.REP_ACK)

    def _list(self, option: int, _data: bytes) -> _Steps[None]:
        """OPT_LIST."""
        answer = yield from self._ask(ListWanted())
        assert not isinstance(answer, Export)
        for name, description in answer:
            self._reply(option, nbd.REP_SERVER, options.encode_server(name, description))
        self._reply(option, nbd.REP_ACK)

    def _structured_reply(self) -> None:
        """OPT_STRUCTURED_REPLY; extended headers take precedence over it."""
        if self._extended:
            raise Refusal(nbd.REP_ERR_EXT_HEADER_REQD, "extended headers are negotiated already, and stay")
        self._structured = True

    def _extended_headers(self) -> None:
        """OPT_EXTENDED_HEADERS."""
        self._extended = True

    def _start_tls(self) -> None:
        """OPT_STARTTLS; refused.  With TLS, it is to acknowledge, to forget all that was negotiated, and to yield an
        event on which the shell wraps the connection; where TLS is a must, `_checked` refuses everything before it.
        """
        raise Refusal(nbd.REP_ERR_UNSUP, "this server has no TLS; go on without")

    def _ask_export(self, name: str, *, entering: bool) -> _Steps[Export]:
        answer = yield from self._ask(ExportWanted(name, entering))
        assert isinstance(answer, Export)
        return answer

    def _ask(self, event: ExportWanted | ListWanted) -> _Steps[Export | Sequence[tuple[str, str]]]:
        answer = yield event
        assert answer is not None
        if self._ending:
            raise _shutting_down()
        if isinstance(answer, DiskError):
            raise options.refusal_of(answer)
        return answer

    def _flags(self, name: str, export: Export) -> int:
        return export.transmission_flags(
            structured=self._structured, extended=self._extended, base_allocation=name == self._described
        )

    def _ready(self, name: str, export: Export) -> Ready:
        return Ready(
            export,
            structured=self._structured or self._extended,
            extended=self._extended,
            base_allocation=name == self._described,
            flags=self._flags(name, export),
            leftover=bytes(self._received),
        )

    def _refuse(self, option: int, refusal: Refusal) -> Closed | None:
        """Tell the client, where the protocol has a way to; otherwise close."""
        if option == nbd.OPT_EXPORT_NAME:
            return Closed(f"EXPORT_NAME refused: {refusal}")
        self._reply(option, refusal.reply, options.encode_string(str(refusal)))
        return None

    def _reply(self, option: int, reply: int, data: bytes = b"") -> None:
        self._to_send += options.encode_reply(option, reply, data)

    def _take(self, count: int) -> _Steps[bytes]:
        """The next `count` bytes of the client."""
        while len(self._received) < count:
            yield None
        taken = bytes(self._received[:count])
        del self._received[:count]
        return taken

    _TO_ASK: ClassVar[Mapping[int, Callable[[Handshake, int, bytes], _Steps[_End | None]]]] = {
        nbd.OPT_EXPORT_NAME: _export_name,
        nbd.OPT_LIST: _list,
        nbd.OPT_INFO: _info,
        nbd.OPT_GO: _info,
        nbd.OPT_LIST_META_CONTEXT: _meta_context,
        nbd.OPT_SET_META_CONTEXT: _meta_context,
    }
    """Options on which the shell is asked; each sends its own replies."""
    _TO_SET: ClassVar[Mapping[int, Callable[[Handshake], None]]] = {
        nbd.OPT_STARTTLS: _start_tls,
        nbd.OPT_STRUCTURED_REPLY: _structured_reply,
        nbd.OPT_EXTENDED_HEADERS: _extended_headers,
    }
    """Options that set something, and are acknowledged."""


def _block_size_required(name: str) -> Refusal:
    message = f"{name!r} is only for clients that ask for its block sizes; use GO, with the item BLOCK_SIZE"
    return Refusal(nbd.REP_ERR_BLOCK_SIZE_REQD, message)


def _shutting_down() -> Refusal:
    return Refusal(nbd.REP_ERR_SHUTDOWN, "the server is shutting down; connect again later")
