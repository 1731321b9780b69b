"""`Connection`, one client of the NBD server: callbacks of the event loop in, replies out, a batch at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeAlias, cast

from g2disk.disk import Disk
from g2disk.disk.perform import perform
from g2disk.errors import DiskError, Internal
from g2disk.nbd.errors import NbdProtocolError
from g2disk.nbd.events import Closed, Event, ExportWanted, ListWanted, Ready
from g2disk.nbd.export import Export, export_of
from g2disk.nbd.handshake import Handshake
from g2disk.nbd.replies import Encode, encoder
from g2disk.nbd.transmission import RequestParser
from g2disk.request import WRITE, Request
from g2disk.servers.nbd.busy_poll import BusyPoll
from g2disk.servers.nbd.exports import NbdExports
from g2disk.servers.nbd.unheard import Unheard
from g2disk.servers.nbd.window import Window
from g2disk.units import KIB, MIB

log = logging.getLogger(__name__)

MOST_UNSENT = 16 * MIB
"""Bytes of replies that a client may leave unread; while there are more, nothing is received from it."""

HANDSHAKE_SECONDS = 120.0
"""How long a client may take until it has chosen an export."""
SHUTDOWN_GRACE = 1.0
"""Seconds that a client in the handshake gets to hear that the server is stopping."""

Start: TypeAlias = Callable[[Coroutine[Any, Any, None]], None]
"""Runs a coroutine as a task that somebody awaits."""


class Connection(asyncio.BufferedProtocol):
    """One client, from its greeting, or from the end of a handshake that was made elsewhere, to its end.

    Requests go to the disk as they come, and replies leave in the order in which they are done: a slow flush holds up
    nothing else.  What is wrong with a request is answered; what is wrong with the stream ends this connection, with a
    line in the log.
    """

    def __init__(
        self,
        exports: NbdExports | None,
        start: Start,
        gone: Callable[[Connection], None],
        poll: BusyPoll,
        entered: tuple[Export, Disk] | None = None,
        unheard: Unheard | None = None,
    ) -> None:
        """`gone` is called once the connection is lost and nothing is in flight any more.

        With `entered` there is no handshake, and no need of `exports`: the client is past it, in transmission of that
        export, with simple replies, as the kernel's client is when it gets its socket.  `unheard` is what such clients
        share that send a request again on another socket.
        """
        self._unheard = unheard
        self._exports = exports
        self._start = start
        self._gone = gone
        self._poll = poll
        self._transport: asyncio.Transport
        self._deadline: asyncio.TimerHandle | None = None
        self._handshake: Handshake | None = Handshake()
        self._received = bytearray(4 * KIB)
        self._disk: Disk
        self._disks: dict[str, Disk] = {}
        self._parser: RequestParser
        self._encode: Encode
        self._window = Window()
        self._held: ExportWanted | ListWanted | None = None
        """A question that waits until the client has read the answers to earlier ones."""
        self._made = self._lost = self._clogged = self._paused = self._draining = False
        self._submitting = self._stopping = self._deaf = False
        self._peer = "an NBD client"
        if entered is not None:
            self._peer = "the kernel"
            export, self._disks[export.name] = entered
            self._enter(
                Ready(export, structured=False, extended=False, base_allocation=False, flags=export.flags, leftover=b"")
            )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=MOST_UNSENT)
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):  # of a Unix socket it is a path, as a rule an empty one
            self._peer = f"the NBD client at {peer[0]}:{peer[1]}"
        if self._handshake is not None:
            self._deadline = asyncio.get_running_loop().call_later(HANDSHAKE_SECONDS, self._transport.abort)
            self._send_handshake()
        self._made = True
        if self._stopping:
            self.drain()

    def get_buffer(self, sizehint: int) -> Any:
        """See `asyncio.BufferedProtocol`."""
        return self._received if self._handshake is not None else self._parser.writable()

    def buffer_updated(self, nbytes: int) -> None:
        """See `asyncio.BufferedProtocol`."""
        try:
            if self._handshake is not None:
                self._follow(self._handshake.receive(self._received[:nbytes]))
            else:
                self._poll.received()
                self._take(*self._parser.filled(nbytes))
                self._parser.rest()
        except NbdProtocolError as error:
            self._drop(error)

    def eof_received(self) -> bool:
        """See `asyncio.Protocol`.  The answers to what came before are still sent; the kernel does not hear them."""
        self._deaf = True
        self._leave()
        return True

    def pause_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        self._clogged = True
        self._throttle()

    def resume_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        self._clogged = False
        if self._held is not None:
            event, self._held = self._held, None
            self._start(self._answer(event))
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`.  Requests in flight go on: a write that was begun is carried to its end."""
        self._lost = True
        self._window.waiting.clear()
        self._stop_clock()
        if exc is not None:
            log.debug("< %s broke off: %s", self._peer, exc)
        self._settle()

    def drain(self) -> None:
        """Take no more requests, answer those in flight, then end."""
        self._stopping = True
        if self._handshake is None:
            self._leave()
        elif self._made:  # otherwise the event loop is about to say so
            self._handshake.shut_down()
            self._hurry(SHUTDOWN_GRACE)

    def abort(self) -> None:
        """End at once; requests in flight go unanswered."""
        self._transport.abort()

    def _hurry(self, seconds: float) -> None:
        self._stop_clock()
        self._deadline = asyncio.get_running_loop().call_later(seconds, self._transport.close)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()

    def _follow(self, event: Event | None) -> None:
        """Do what the handshake asks for."""
        self._send_handshake()
        if isinstance(event, Ready):
            self._enter(event)
        elif isinstance(event, Closed):
            log.debug("< %s left: %s", self._peer, event.reason)
            self._transport.close()
        elif event is not None and self._clogged:
            self._held = event
        elif event is not None:
            self._start(self._answer(event))

    async def _answer(self, event: ExportWanted | ListWanted) -> None:
        handshake = self._handshake
        assert handshake is not None
        answer: Export | Sequence[tuple[str, str]] | DiskError
        try:
            answer = await self._ask(event)
        except Exception as error:
            if not isinstance(error, DiskError):
                log.exception("! %s: %s", self._peer, event)
                error = Internal(f"{type(error).__name__} in the server; its log says more")
            log.info("! %s: %s", self._peer, error)
            answer = error
        if self._lost:
            return
        try:
            if isinstance(answer, DiskError):
                self._follow(handshake.refuse(answer))
            elif isinstance(answer, Export):
                self._follow(handshake.export(answer))
            else:
                self._follow(handshake.exports(answer))
        except NbdProtocolError as error:
            self._drop(error)

    async def _ask(self, event: ExportWanted | ListWanted) -> Export | Sequence[tuple[str, str]]:
        assert self._exports is not None
        if isinstance(event, ListWanted):
            return await self._exports.list()
        name, disk = await self._exports.open(event.name)
        self._disks[name] = disk
        return export_of(name, disk.info())

    def _send_handshake(self) -> None:
        assert self._handshake is not None
        data = self._handshake.data_to_send()
        if data:
            self._transport.write(data)

    def _enter(self, ready: Ready) -> None:
        """Begin transmission."""
        self._handshake = None
        self._stop_clock()
        self._received = bytearray()
        self._disk = self._disks[ready.export.name]
        self._disks.clear()
        self._encode = encoder(structured=ready.structured, extended=ready.extended)
        self._parser = RequestParser(
            structured=ready.structured,
            extended=ready.extended,
            base_allocation=ready.base_allocation,
            maximum_payload=ready.export.maximum_payload,
        )
        log.info("< %s opened %s", self._peer, ready.export.name)
        if ready.leftover:
            self._take(*self._parser.feed(ready.leftover))

    def _take(self, requests: list[Request], refused: list[Request]) -> None:
        if refused:
            log.debug("! %s sent what cannot be: %s", self._peer, refused)
            self._transport.writelines(self._encode(refused))
        if requests and self._unheard:
            known, requests = self._unheard.sort_out(requests)
            if known:
                self._transport.writelines(self._encode(known))
        if requests:
            self._submit(self._window.add(requests))
            if self._window.waiting:
                self._go_on()
        if self._parser.disconnected:
            self._leave()

    def _submit(self, requests: list[Request]) -> None:
        for request in self._disk.submit(requests, self._done):
            self._start(self._perform(request))

    def _go_on(self) -> None:
        """Let the disk have what waits, as far as may be; then receive again, or end."""
        if self._submitting:  # a disk that is done at once
            return
        self._submitting = True
        while not self._clogged and (requests := self._window.next()):
            self._submit(requests)
        self._submitting = False
        self._throttle()
        self._settle()

    async def _perform(self, request: Request) -> None:
        data = request.data
        try:
            await perform(self._disk, request)
            if request.operation == WRITE:
                request.data = data  # to compare with, should it be sent again
        except Exception as error:
            log.exception("! %s: %s", self._peer, request)
            request.error = Internal(f"{type(error).__name__} in the server; its log says more")
        self._done([request])

    def _done(self, requests: list[Request]) -> None:
        self._window.done(requests)
        if self._unheard is not None and (self._lost or self._deaf):
            self._unheard.add(requests)
        elif not self._lost:
            self._transport.writelines(self._encode(requests))
        if not self._window.busy:
            self._poll.answered()
            self._go_on()
        elif self._paused:
            self._go_on()

    def _throttle(self) -> None:
        """Receive, or do not."""
        pause = bool(self._window.waiting) or self._clogged or self._draining
        if pause is self._paused or self._lost:
            return
        self._paused = pause
        if pause:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _leave(self) -> None:
        """Nothing more is received; the connection ends when all is answered."""
        self._draining = True
        self._throttle()
        self._settle()

    def _settle(self) -> None:
        if not self._window.empty:
            return
        if self._lost:
            self._gone(self)
        elif self._draining:
            self._transport.close()

    def _drop(self, error: NbdProtocolError) -> None:
        log.warning("! %s is dropped: %s", self._peer, error)
        self._transport.abort()
