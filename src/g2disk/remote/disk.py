"""`RemoteDisk`, a disk at a target server that speaks g2disk.v1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from g2disk.disk import Buffer, Disk, DiskInfo, Done, Extent
from g2disk.disk.identity import new_identity
from g2disk.errors import DiskError, Fenced, ReadOnly
from g2disk.remote.acknowledgements import Acknowledgements
from g2disk.remote.condition import RemoteState
from g2disk.remote.connection import Connection, UnknownMethod
from g2disk.remote.description import SAFE_TRANSFER, info_of, transfer_of
from g2disk.remote.methods import DESCRIBE
from g2disk.remote.pb import disk_pb2
from g2disk.remote.pieces import for_each_piece
from g2disk.remote.record import UnflushedLog
from g2disk.remote.session import Session
from g2disk.remote.session_flight import Bounds
from g2disk.remote.session_opening import MARGIN, WANTED
from g2disk.remote.terms import Terms
from g2disk.remote.unary import Unary
from g2disk.request import CACHE, EXTENTS, FAST, FLUSH, FUA, KEEP_ALLOCATED, READ, TRIM, WRITE, ZERO, Request

_CHANGES = frozenset((WRITE, TRIM, ZERO))


class Way(Protocol):
    """How requests get to the server: `Session` or `Unary`."""

    async def ask(self, request: Request) -> str:
        """Do the request, set its data, and return the instance that the server said.  Raises its error."""

    async def close(self) -> None:
        """Give up what is under way."""


class RemoteDisk(Disk):
    """One disk at the other end of a `Connection`, pinned to the identity that it had when it was opened.

    In a session it outlives its server: when the connection breaks, whatever was not answered is sent again, and what a
    restarted server lost of the acknowledged, unflushed changes, before that.  Call by call, reads, flushes and advice
    are repeated, but writes, trims and zeroes are not, as a first attempt could still be executed after a later write;
    and what such a server lost is lost.

    Three things end it, and every later request then raises `Fenced`, until `accept`: the server holds another disk
    under this name now; acknowledged changes were lost for good; another client has taken over.
    """

    def __init__(self, connection: Connection, terms: Terms) -> None:
        self.info_changed: Callable[[DiskInfo], None] = _nobody
        """Called, on the event loop, when the size or anything else of `info()` but its instance has changed."""
        self._connection = connection
        self._terms = terms
        self._ended: Fenced | None = None
        self._acknowledgements = Acknowledgements()
        self._unflushed = 0
        """Changes that are in the record; of a server without sessions."""
        self._name = self._identity = ""
        self._info = DiskInfo(size=0)
        self._transfer = SAFE_TRANSFER
        self._since = connection.clock.wall()
        self._way: Way
        self._session: Session | None = None

    @classmethod
    async def open(
        cls, connection: Connection, name: str, wait: bool = False, terms: Terms | None = None
    ) -> RemoteDisk:
        """The disk called `name` (empty: the server's default), through a session where the server has them.

        Without `wait` a server that is away is an error at once.  Raises `UnknownMethod` where the server does not
        speak g2disk.v1, `NotFound`, `Unavailable`, `Corrupt`.  A disk that is not the one of the `terms`, or whose
        unflushed record is lost, is opened, and fails every request.
        """
        disk = cls(connection, terms or Terms())
        try:
            await disk._open_session(name, wait)
        except UnknownMethod:
            await disk._open_unary(name, wait)
        return disk

    @property
    def name(self) -> str:
        """The disk's name at the server."""
        return self._name

    @property
    def protocol(self) -> str:
        """What is spoken with the server, for people."""
        return "g2disk.v1 in sessions" if self._session is not None else "g2disk.v1, a call for each request"

    def info(self) -> DiskInfo:
        """What the server said last."""
        return self._info

    def state(self) -> RemoteState:
        """How it stands with the server, as far as this end knows."""
        if self._session is not None:
            return self._session.state()
        ended = "" if self._ended is None else str(self._ended)
        return RemoteState("failed" if ended else "connected", self._since, ended, 0, 0, 0, 0)

    def accept(self) -> None:
        """A person takes what the server holds now for this disk: the requests that follow go on with it.

        What was not flushed is forgotten.
        """
        self._ended = None
        self._identity = ""
        self._acknowledgements = Acknowledgements()
        if self._session is not None:
            self._session.accept()
        else:
            self._way = Unary(self._connection, self._name, "", self.answered)
            self._unflushed = 0
            if self._terms.record is not None:
                self._terms.record.begin("")

    async def refresh(self) -> DiskInfo:
        """Ask the server again: the size may have changed.  Raises `Fenced` if it holds another disk now, and when
        something else has ended this one.
        """
        self._check_alive()
        request = disk_pb2.DescribeRequest(disk=self._name, identity=self._identity)
        try:
            description = await self._connection.call(DESCRIBE, request, repeatable=True)
        except DiskError as error:
            raise self._seen(error) from error
        self._adopt(description, None)
        return self._info

    async def read(self, offset: int, length: int) -> Buffer:
        """See `Disk.read`; split into pieces where the server takes no such message."""
        if length <= self._transfer:
            return await self._read_piece(offset, length)
        whole = bytearray(length)
        view = memoryview(whole)

        async def fetch(start: int, step: int) -> None:
            view[start - offset : start - offset + step] = await self._read_piece(start, step)

        await for_each_piece(offset, length, self._transfer, fetch)
        return view

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        """See `Disk.write`; split into pieces where the server takes no such message."""
        view = memoryview(data)
        flags = self._fua(fua)

        async def store(start: int, step: int) -> None:
            piece = view[start - offset : start - offset + step]
            self._check_writable()
            await self._ask(Request(WRITE, flags, start, step, data=piece))

        if len(view) <= self._transfer:
            await store(offset, len(view))
        else:
            await for_each_piece(offset, len(view), self._transfer, store)

    async def flush(self) -> None:
        """See `Disk.flush`.  Raises `Fenced` where acknowledged writes may be lost, and nothing is durable then."""
        self._check_alive()
        if not self._info.flush:
            return
        mark, unflushed = self._acknowledgements.mark(), self._unflushed
        said = await self._ask(Request(FLUSH, 0, 0, 0))
        if self._session is not None:
            return
        if not self._acknowledgements.flushed(mark, said):
            raise self._lost()
        self._check_alive()
        self.heard(said)
        if self._terms.record is not None and unflushed:
            self._unflushed -= unflushed
            self._terms.record.covered(unflushed)

    async def trim(self, offset: int, length: int, fua: bool = False) -> None:
        """See `Disk.trim`; nothing where the server cannot."""
        self._check_writable()
        if self._info.trim:
            await self._ask(Request(TRIM, self._fua(fua), offset, length))

    async def zero(
        self, offset: int, length: int, fua: bool = False, may_trim: bool = True, fast: bool = False
    ) -> None:
        """See `Disk.zero`; by writes where the server cannot."""
        self._check_writable()
        if not self._info.zero:
            await super().zero(offset, length, fua, may_trim, fast)
            return
        flags = self._fua(fua) | (0 if may_trim else KEEP_ALLOCATED) | (FAST if fast else 0)
        await self._ask(Request(ZERO, flags, offset, length))

    async def extents(self, offset: int, length: int) -> list[Extent]:
        """See `Disk.extents`; all data where the server does not know."""
        self._check_alive()
        if not self._info.extents:
            return [Extent(offset, length)]
        request = Request(EXTENTS, 0, offset, length)
        await self._ask(request)
        found: list[Extent] = request.data
        return found

    async def cache(self, offset: int, length: int) -> None:
        """See `Disk.cache`; nothing where the server cannot."""
        self._check_alive()
        if self._info.cache:
            await self._ask(Request(CACHE, 0, offset, length))

    def submit(self, requests: list[Request], done: Done) -> list[Request]:
        """See `Disk.submit`.  Takes reads and writes that fit in a message, where there is a session."""
        session = self._session
        if session is None or self._ended is not None:
            return requests
        most, info = self._transfer, self._info
        simple = {READ: 0, WRITE: FUA if info.flush else 0} if not info.read_only else {READ: 0}
        fit: list[Request] = []
        left: list[Request] = []
        for request in requests:
            flags = simple.get(request.operation, -1)
            fits = flags >= 0 and request.length <= most and not request.flags & ~flags
            (fit if fits else left).append(request)
        if fit:
            session.submit(fit, done)
        return left

    async def close(self) -> None:
        """End the session."""
        await self._way.close()

    def described(self, description: disk_pb2.DescribeReply, bounds: Bounds | None) -> int:
        """See `Owner`."""
        if self._identity:
            self._check_alive()
        self._adopt(description, bounds)
        return self._transfer

    def heard(self, instance: str) -> None:
        """See `Owner`."""
        if instance not in ("", self._info.instance):
            self._info = replace(self._info, instance=instance)

    def answered(self, requests: list[Request], instance: str) -> None:
        """The server, which has no sessions, answered these requests and said its instance."""
        if not self._info.flush:  # nothing to compare: what was answered is durable already, or nothing ever is
            return
        changes = [request for request in requests if request.operation in _CHANGES]
        if changes:
            durable = all(request.flags & FUA for request in changes)
            kept = self._acknowledgements.written(instance, durable)
            if not durable and self._terms.record is not None:
                self._unflushed += len(changes)
                self._terms.record.acknowledged(instance, changes)
            self.heard(instance)
        else:
            kept = self._acknowledgements.still_there(instance)
        if not kept:
            error = self._lost()
            for request in requests:
                request.data, request.error = None, Fenced(*error.args)

    def fenced(self, error: Fenced) -> Fenced:
        """See `Owner`."""
        return self._end(str(error))

    async def _open_session(self, name: str, wait: bool) -> None:
        terms = self._terms
        client = terms.client or bytes.fromhex(new_identity().replace("-", ""))
        session = Session(self._connection, self, terms, client)
        try:
            await session.open(name, terms.identity, wait)
        except Fenced as error:
            if not terms.identity:
                raise
            await session.open(name, "", wait)  # to know at least what it is that fails now
            session.fail(error)
        self._way = self._session = session

    async def _open_unary(self, name: str, wait: bool) -> None:
        request = disk_pb2.DescribeRequest(disk=name)
        description = await self._connection.call(DESCRIBE, request, repeatable=True, wait=wait)
        self._adopt(description, None)
        self._way = Unary(self._connection, self._name, self._identity, self.answered)
        if self._terms.identity not in ("", self._identity):
            self._end(f"{self._name!r} at {self._connection.endpoint} is another disk now")
        elif self._terms.record is not None and self._info.flush:
            await self._inherit(self._terms.record)

    async def _inherit(self, record: UnflushedLog) -> None:
        """See to it that what the gateway before this one left unflushed is durable; without sessions it is not sent
        again.
        """
        left = record.recovered
        if not left.empty:
            said = await self._way.ask(Request(FLUSH, 0, 0, 0))
            if said != left.instance:
                self._end("the gateway before this one had unflushed writes, and the server may have lost them since")
                return
        record.begin(self._identity)

    async def _read_piece(self, offset: int, length: int) -> memoryview:
        self._check_alive()
        request = Request(READ, 0, offset, length)
        await self._ask(request)
        data: memoryview = request.data
        return data

    async def _ask(self, request: Request) -> str:
        """Do the request, and return the instance that the server said with the answer."""
        try:
            return await self._way.ask(request)
        except DiskError as error:
            raise self._seen(error) from error

    def _adopt(self, description: disk_pb2.DescribeReply, bounds: Bounds | None) -> None:
        """Check and keep a description; a session's comes with bounds."""
        info = info_of(description, self._connection.endpoint)
        if self._identity and (description.disk, description.identity) != (self._name, self._identity):
            raise self._end(f"{self._name!r} at {self._connection.endpoint} is another disk now")
        before = self._name and replace(self._info, instance=info.instance)
        self._name, self._identity, self._info = description.disk, description.identity, info
        if before and before != info:
            self.info_changed(info)
        if bounds is not None:
            self._transfer = transfer_of(
                description, min(bounds.data, bounds.message - MARGIN, WANTED.message - MARGIN)
            )
        elif self._session is None:
            self._transfer = transfer_of(description)

    def _fua(self, fua: bool) -> int:
        return FUA if fua and self._info.flush else 0

    def _check_alive(self) -> None:
        if self._ended is not None:
            raise Fenced(str(self._ended))

    def _check_writable(self) -> None:
        self._check_alive()
        if self._info.read_only:
            raise ReadOnly(f"{self._name!r} at {self._connection.endpoint} is read-only; serve it for writing")

    def _lost(self) -> Fenced:
        return self._end(
            f"the server at {self._connection.endpoint} was restarted and may have lost writes to {self._name!r} that "
            "it had acknowledged and not yet flushed"
        )

    def _seen(self, error: DiskError) -> DiskError:
        """Note an error of the server: `Fenced` ends this disk.  What a session reports was noted before."""
        return self._end(str(error)) if isinstance(error, Fenced) and self._session is None else error

    def _end(self, reason: str) -> Fenced:
        if self._ended is None:
            self._ended = Fenced(f"{reason}; check what is on it, then take it as it is (g2disk accept), or detach it")
        return self._ended


def _nobody(_: DiskInfo) -> None:
    """Nobody wants to know."""
