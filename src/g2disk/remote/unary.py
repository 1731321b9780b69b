"""`Unary`, requests to a target server that has no sessions: a call each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from g2disk import request as operations
from g2disk.remote.codec import WriteRequest
from g2disk.remote.connection import Connection, check_reply
from g2disk.remote.extents import extents_of
from g2disk.remote.methods import CACHE, EXTENTS, FLUSH, READ, TRIM, WRITE, ZERO
from g2disk.remote.pb import disk_pb2
from g2disk.request import Request


class Unary:
    """The calls of g2disk.v1.Disk for one disk.

    What only looks is repeated while the server is away; what changes the disk is not, once it may have been delivered.
    """

    def __init__(
        self, connection: Connection, disk: str, identity: str, answered: Callable[[list[Request], str], None]
    ) -> None:
        self._connection = connection
        self._disk = disk
        self._identity = identity
        self._answered = answered
        self._calls = {
            operations.READ: self._read,
            operations.WRITE: self._write,
            operations.FLUSH: self._flush,
            operations.TRIM: self._trim,
            operations.ZERO: self._zero,
            operations.EXTENTS: self._extents,
            operations.CACHE: self._cache,
        }

    async def ask(self, request: Request) -> str:
        """Do the request, set its data, and return the instance that the server said.  Raises its error."""
        instance = await self._calls[request.operation](request)
        self._answered([request], instance)
        if request.error is not None:
            raise request.error
        return instance

    async def close(self) -> None:
        """Nothing is kept."""

    def _fields(self, request: Request) -> dict[str, Any]:
        return {
            "disk": self._disk,
            "identity": self._identity,
            "offset": request.offset,
            "length": request.length,
        }

    async def _read(self, request: Request) -> str:
        message = disk_pb2.ReadRequest(**self._fields(request))
        data = await self._connection.call(READ, message, repeatable=True)
        expected = request.length
        check_reply(
            self._connection, len(data) == expected, f"a read of {expected} bytes was answered with {len(data)}"
        )
        request.data = memoryview(data)
        return ""

    async def _write(self, request: Request) -> str:
        fua = bool(request.flags & operations.FUA)
        message = WriteRequest(self._disk, self._identity, request.offset, fua, request.data)
        return (await self._connection.call(WRITE, message, repeatable=False)).instance

    async def _flush(self, request: Request) -> str:
        message = disk_pb2.FlushRequest(disk=self._disk, identity=self._identity)
        return (await self._connection.call(FLUSH, message, repeatable=True)).instance

    async def _trim(self, request: Request) -> str:
        message = disk_pb2.TrimRequest(**self._fields(request), fua=bool(request.flags & operations.FUA))
        return (await self._connection.call(TRIM, message, repeatable=False)).instance

    async def _zero(self, request: Request) -> str:
        flags = request.flags
        message = disk_pb2.ZeroRequest(
            **self._fields(request),
            fua=bool(flags & operations.FUA),
            keep_allocated=bool(flags & operations.KEEP_ALLOCATED),
            fast=bool(flags & operations.FAST),
        )
        return (await self._connection.call(ZERO, message, repeatable=False)).instance

    async def _extents(self, request: Request) -> str:
        message = disk_pb2.ExtentsRequest(**self._fields(request))
        reply = await self._connection.call(EXTENTS, message, repeatable=True)
        request.data = extents_of(reply, request.offset, request.length)
        return ""

    async def _cache(self, request: Request) -> str:
        await self._connection.call(CACHE, disk_pb2.CacheRequest(**self._fields(request)), repeatable=True)
        return ""
