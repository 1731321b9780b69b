"""g2disk.v1.Disk, answered from exports."""

from __future__ import annotations

from g2disk.disk import DiskInfo
from g2disk.remote import codec, methods
from g2disk.remote.methods import Data
from g2disk.remote.pb import disk_pb2
from g2disk.servers.exports import Exports
from g2disk.servers.grpc.handlers import UnaryRow, row
from g2disk.units import MIB

_HOLE, _ZERO = 1, 2
_LARGEST_TRANSFER = 32 * MIB
"""Bytes of data in a message; the connection takes no larger ones."""
_MOST_EXTENTS = 32768
"""In one reply; a client asks again from where it ends."""


def disk_service(exports: Exports) -> list[UnaryRow]:
    """The rows of the service for these exports."""
    answers = _Answers(exports)
    return [
        row(methods.DESCRIBE, answers.describe),
        row(methods.READ, answers.read),
        row(methods.WRITE, answers.write, carried_through=True),
        row(methods.FLUSH, answers.flush),
        row(methods.TRIM, answers.trim, carried_through=True),
        row(methods.ZERO, answers.zero, carried_through=True),
        row(methods.EXTENTS, answers.extents),
        row(methods.CACHE, answers.cache),
    ]


class _Answers:
    def __init__(self, exports: Exports) -> None:
        self._exports = exports

    async def describe(self, request: disk_pb2.DescribeRequest) -> disk_pb2.DescribeReply:
        name, disk = await self._exports.look(request.disk, request.identity)
        return describe(name, disk.info())

    async def read(self, request: disk_pb2.ReadRequest) -> Data:
        _, disk = await self._exports.open(request.disk, request.identity)
        return await disk.read(request.offset, request.length)

    async def write(self, request: codec.WriteRequest) -> disk_pb2.WriteReply:
        _, disk = await self._exports.open(request.disk, request.identity)
        await disk.write(request.offset, request.data, request.fua)
        return disk_pb2.WriteReply(instance=disk.info().instance)

    async def flush(self, request: disk_pb2.FlushRequest) -> disk_pb2.FlushReply:
        _, disk = await self._exports.open(request.disk, request.identity)
        await disk.flush()
        return disk_pb2.FlushReply(instance=disk.info().instance)

    async def trim(self, request: disk_pb2.TrimRequest) -> disk_pb2.TrimReply:
        _, disk = await self._exports.open(request.disk, request.identity)
        await disk.trim(request.offset, request.length, request.fua)
        return disk_pb2.TrimReply(instance=disk.info().instance)

    async def zero(self, request: disk_pb2.ZeroRequest) -> disk_pb2.ZeroReply:
        _, disk = await self._exports.open(request.disk, request.identity)
        await disk.zero(
            request.offset, request.length, request.fua, may_trim=not request.keep_allocated, fast=request.fast
        )
        return disk_pb2.ZeroReply(instance=disk.info().instance)

    async def extents(self, request: disk_pb2.ExtentsRequest) -> disk_pb2.ExtentsReply:
        _, disk = await self._exports.open(request.disk, request.identity)
        found = (await disk.extents(request.offset, request.length))[:_MOST_EXTENTS]
        states = [extent.hole * _HOLE | extent.zero * _ZERO for extent in found]
        return disk_pb2.ExtentsReply(lengths=[extent.length for extent in found], states=states)

    async def cache(self, request: disk_pb2.CacheRequest) -> disk_pb2.CacheReply:
        _, disk = await self._exports.open(request.disk, request.identity)
        await disk.cache(request.offset, request.length)
        return disk_pb2.CacheReply()


def describe(name: str, info: DiskInfo) -> disk_pb2.DescribeReply:
    """What a client is told of the disk of that name."""
    return disk_pb2.DescribeReply(
        disk=name,
        identity=info.identity,
        instance=info.instance,
        size=info.size,
        minimum_block=info.minimum_block,
        preferred_block=info.preferred_block,
        maximum_transfer=min(info.maximum_request, _LARGEST_TRANSFER),
        read_only=info.read_only,
        capabilities=disk_pb2.Capabilities(
            flush=info.flush,
            trim=info.trim,
            zero=info.zero,
            fast_zero=info.fast_zero,
            extents=info.extents,
            cache=info.cache,
            multi_conn=info.multi_conn,
            rotational=info.rotational,
        ),
        description=info.description,
    )
