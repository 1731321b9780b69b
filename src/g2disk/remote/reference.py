"""`ReferenceDisk`, the disk of a server that speaks nothing but the reference protocol."""

from __future__ import annotations

from g2disk.disk import Buffer, Disk, DiskInfo
from g2disk.remote.codec import ReferenceWrite
from g2disk.remote.connection import Connection, check_reply
from g2disk.remote.description import SAFE_TRANSFER
from g2disk.remote.methods import REFERENCE_GET_SIZE, REFERENCE_READ, REFERENCE_WRITE
from g2disk.remote.pb import reference_pb2
from g2disk.remote.pieces import for_each_piece
from g2disk.units import MAXIMUM_DISK_SIZE


class ReferenceDisk(Disk):
    """The one disk of a reference server at the other end of a `Connection`.

    The protocol has no flush, so nobody knows what is durable, and says so: `DiskInfo.flush` is False.  It has no
    identity either: whether a restarted server still holds the same bytes cannot be told.
    """

    def __init__(self, connection: Connection, size: int) -> None:
        self._connection = connection
        check_reply(connection, 0 < size <= MAXIMUM_DISK_SIZE, f"a disk of {size} bytes was described")
        self._info = DiskInfo(
            size=size,
            description=f"the disk of the reference server at {connection.endpoint}",
            flush=False,
            multi_conn=False,
        )

    @classmethod
    async def open(cls, connection: Connection, wait: bool = False) -> ReferenceDisk:
        """The server's disk.  Raises `UnknownMethod` where the server does not speak the reference protocol."""
        request = reference_pb2.GetSizeRequest()
        reply = await connection.call(REFERENCE_GET_SIZE, request, repeatable=True, wait=wait)
        return cls(connection, reply.size)

    def info(self) -> DiskInfo:
        """What the server said when the disk was opened."""
        return self._info

    async def read(self, offset: int, length: int) -> Buffer:
        """See `Disk.read`; in pieces that fit gRPC's default limit on messages."""
        if length <= SAFE_TRANSFER:
            return await self._read_piece(offset, length)
        view = memoryview(bytearray(length))

        async def fetch(start: int, step: int) -> None:
            view[start - offset : start - offset + step] = await self._read_piece(start, step)

        await for_each_piece(offset, length, SAFE_TRANSFER, fetch)
        return view

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        """See `Disk.write`; in pieces that fit gRPC's default limit on messages.  Durability is the server's affair."""
        view = memoryview(data)

        async def store(start: int, step: int) -> None:
            request = ReferenceWrite(start, view[start - offset : start - offset + step])
            await self._connection.call(REFERENCE_WRITE, request, repeatable=False)

        await for_each_piece(offset, len(view), SAFE_TRANSFER, store)

    async def _read_piece(self, offset: int, length: int) -> memoryview:
        request = reference_pb2.ReadRequest(offset=offset, read_size=length)
        data = await self._connection.call(REFERENCE_READ, request, repeatable=True)
        check_reply(self._connection, len(data) == length, f"a read of {length} bytes was answered with {len(data)}")
        return memoryview(data)
