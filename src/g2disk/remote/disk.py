"""`RemoteDisk`, a disk at a target server that speaks g2disk.v1."""

from __future__ import annotations

from dataclasses import replace

from g2disk.disk import Buffer, Disk, DiskInfo, Extent, coalesce
from g2disk.errors import DiskError, Fenced, ReadOnly
from g2disk.remote.codec import WriteRequest
from g2disk.remote.connection import Connection, check_reply
from g2disk.remote.methods import CACHE, DESCRIBE, EXTENTS, FLUSH, READ, TRIM, WRITE, ZERO
from g2disk.remote.pb import disk_pb2
from g2disk.remote.pieces import BEST_PIECE, for_each_piece
from g2disk.units import MAXIMUM_DISK_SIZE, MIB

SAFE_TRANSFER = MIB
"""Bytes of data in one message for a server that names no limit: well below gRPC's default limit of 4 MiB."""

_HOLE, _ZERO = 1, 2


class RemoteDisk(Disk):
    """One disk at the other end of a `Connection`, pinned to the identity that it had when it was opened.

    Two things end it for good, and every later request then raises `Fenced`: the server holds another disk under this
    name now, and the server lost writes that it had acknowledged (its instance changed before they were flushed).

    Reads, flushes and advice are repeated when the connection breaks; writes, trims and zeroes are not, as a first
    attempt could still be executed after a later write.
    """

    def __init__(self, connection: Connection, description: disk_pb2.DescribeReply) -> None:
        self._connection = connection
        self._ended: Fenced | None = None
        self._unflushed = ""
        self._acknowledgements = 0
        self._adopt(description)

    @classmethod
    async def open(cls, connection: Connection, name: str, wait: bool = False) -> RemoteDisk:
        """The disk called `name` (empty: the server's default).

        Without `wait` a server that is away is an error at once.  Raises `UnknownMethod` where the server does not
        speak g2disk.v1, `NotFound`, `Unavailable`, `Corrupt`.
        """
        request = disk_pb2.DescribeRequest(disk=name)
        return cls(connection, await connection.call(DESCRIBE, request, repeatable=True, wait=wait))

    @property
    def name(self) -> str:
        """The disk's name at the server."""
        return self._name

    def info(self) -> DiskInfo:
        """What the server said last."""
        return self._info

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
        if description.identity != self._identity:
            raise self._end(f"{self._name!r} at {self._connection.endpoint} is another disk now")
        self._adopt(description)
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
        fua = fua and self._info.flush

        async def store(start: int, step: int) -> None:
            piece = view[start - offset : start - offset + step]
            request = WriteRequest(self._name, self._identity, start, fua, piece)
            self._check_writable()
            try:
                reply = await self._connection.call(WRITE, request, repeatable=False)
            except DiskError as error:
                raise self._seen(error) from error
            self._acknowledged(reply.instance, fua)

        if len(view) <= self._transfer:
            await store(offset, len(view))
        else:
            await for_each_piece(offset, len(view), self._transfer, store)

    async def flush(self) -> None:
        """See `Disk.flush`.  Raises `Fenced` where acknowledged writes may be lost, and nothing is durable then."""
        self._check_alive()
        if not self._info.flush:
            return
        before, acknowledgements = self._unflushed, self._acknowledgements
        request = disk_pb2.FlushRequest(disk=self._name, identity=self._identity)
        try:
            reply = await self._connection.call(FLUSH, request, repeatable=True)
        except DiskError as error:
            raise self._seen(error) from error
        if before and reply.instance not in ("", before):
            raise self._lost()
        self._check_alive()
        self._note_instance(reply.instance)
        if acknowledgements == self._acknowledgements:
            self._unflushed = ""

    async def trim(self, offset: int, length: int, fua: bool = False) -> None:
        """See `Disk.trim`; nothing where the server cannot."""
        self._check_writable()
        if not self._info.trim:
            return
        fua = fua and self._info.flush
        request = disk_pb2.TrimRequest(disk=self._name, identity=self._identity, offset=offset, length=length, fua=fua)
        try:
            reply = await self._connection.call(TRIM, request, repeatable=False)
        except DiskError as error:
            raise self._seen(error) from error
        self._acknowledged(reply.instance, fua)

    async def zero(
        self, offset: int, length: int, fua: bool = False, may_trim: bool = True, fast: bool = False
    ) -> None:
        """See `Disk.zero`; by writes where the server cannot."""
        self._check_writable()
        if not self._info.zero:
            await super().zero(offset, length, fua, may_trim, fast)
            return
        fua = fua and self._info.flush
        request = disk_pb2.ZeroRequest(
            disk=self._name,
            identity=self._identity,
            offset=offset,
            length=length,
            fua=fua,
            keep_allocated=not may_trim,
            fast=fast,
        )
        try:
            reply = await self._connection.call(ZERO, request, repeatable=False)
        except DiskError as error:
            raise self._seen(error) from error
        self._acknowledged(reply.instance, fua)

    async def extents(self, offset: int, length: int) -> list[Extent]:
        """See `Disk.extents`; all data where the server does not know."""
        self._check_alive()
        if not self._info.extents:
            return [Extent(offset, length)]
        request = disk_pb2.ExtentsRequest(disk=self._name, identity=self._identity, offset=offset, length=length)
        try:
            reply = await self._connection.call(EXTENTS, request, repeatable=True)
        except DiskError as error:
            raise self._seen(error) from error
        check_reply(
            self._connection,
            len(reply.lengths) == len(reply.states) > 0 and all(reply.lengths) and sum(reply.lengths) <= length,
            f"the extents of {length} bytes at {offset} are not a part of that range",
        )
        found: list[Extent] = []
        for extent_length, state in zip(reply.lengths, reply.states, strict=True):
            found.append(Extent(offset, extent_length, bool(state & _HOLE), bool(state & _ZERO)))
            offset += extent_length
        return coalesce(found)

    async def cache(self, offset: int, length: int) -> None:
        """See `Disk.cache`; nothing where the server cannot."""
        self._check_alive()
        if not self._info.cache:
            return
        request = disk_pb2.CacheRequest(disk=self._name, identity=self._identity, offset=offset, length=length)
        try:
            await self._connection.call(CACHE, request, repeatable=True)
        except DiskError as error:
            raise self._seen(error) from error

    async def _read_piece(self, offset: int, length: int) -> memoryview:
        self._check_alive()
        request = disk_pb2.ReadRequest(disk=self._name, identity=self._identity, offset=offset, length=length)
        try:
            data = await self._connection.call(READ, request, repeatable=True)
        except DiskError as error:
            raise self._seen(error) from error
        check_reply(self._connection, len(data) == length, f"a read of {length} bytes was answered with {len(data)}")
        return memoryview(data)

    def _adopt(self, description: disk_pb2.DescribeReply) -> None:
        """Check and keep a description."""
        said = description
        minimum = said.minimum_block or 1
        can = said.capabilities
        check_reply(self._connection, 0 < said.size <= MAXIMUM_DISK_SIZE, f"a disk of {said.size} bytes was described")
        check_reply(
            self._connection,
            minimum & (minimum - 1) == 0 and minimum <= 65536 and said.size % minimum == 0,
            f"a smallest block of {minimum} bytes was described, for a disk of {said.size} bytes",
        )
        check_reply(
            self._connection,
            said.preferred_block & (said.preferred_block - 1) == 0,
            f"a preferred block of {said.preferred_block} bytes was described",
        )
        self._name, self._identity = said.disk, said.identity
        transfer = min(said.maximum_transfer or SAFE_TRANSFER, BEST_PIECE)
        self._transfer = max(transfer - transfer % minimum, minimum)
        self._info = DiskInfo(
            size=said.size,
            identity=said.identity,
            instance=said.instance,
            description=said.description,
            minimum_block=minimum,
            preferred_block=max(said.preferred_block or 4096, minimum),
            read_only=said.read_only,
            flush=can.flush,
            trim=can.trim,
            zero=can.zero,
            fast_zero=can.zero and can.fast_zero,
            extents=can.extents,
            cache=can.cache,
            multi_conn=can.multi_conn,
            rotational=can.rotational,
        )

    def _check_alive(self) -> None:
        if self._ended is not None:
            raise Fenced(str(self._ended))

    def _check_writable(self) -> None:
        self._check_alive()
        if self._info.read_only:
            raise ReadOnly(f"{self._name!r} at {self._connection.endpoint} is read-only; serve it for writing")

    def _acknowledged(self, instance: str, durable: bool) -> None:
        """Note a write's reply: it is to be covered by a flush that the same instance answers.

        Without a flush there is nothing to compare: what was answered is durable already, or nothing ever is.
        """
        if not self._info.flush:
            return
        if self._unflushed and instance not in ("", self._unflushed):
            raise self._lost()
        if not durable:
            self._unflushed = instance or self._unflushed
            self._acknowledgements += 1
        self._note_instance(instance)

    def _note_instance(self, instance: str) -> None:
        if instance not in ("", self._info.instance):
            self._info = replace(self._info, instance=instance)

    def _lost(self) -> Fenced:
        return self._end(
            f"the server at {self._connection.endpoint} was restarted and may have lost writes to {self._name!r} that "
            "it had acknowledged and not yet flushed"
        )

    def _seen(self, error: DiskError) -> DiskError:
        """Note an error of the server: `Fenced` ends this disk."""
        return self._end(str(error)) if isinstance(error, Fenced) else error

    def _end(self, reason: str) -> Fenced:
        if self._ended is None:
            self._ended = Fenced(f"{reason}; detach it, check what is on it, and attach again")
        return self._ended
