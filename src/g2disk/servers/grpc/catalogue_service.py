"""g2disk.v1.Catalogue, answered from exports."""

from __future__ import annotations

import bisect

from g2disk.errors import Invalid
from g2disk.remote import methods
from g2disk.remote.pb import catalogue_pb2
from g2disk.servers.exports import Exports
from g2disk.servers.grpc.handlers import UnaryRow, row
from g2disk.stores.store import DiskEntry
from g2disk.units import check_disk_name, check_disk_size

_PAGE = 1000


def catalogue_service(exports: Exports) -> list[UnaryRow]:
    """The rows of the service for these exports."""
    answers = _Answers(exports)
    return [
        row(methods.CREATE, answers.create, carried_through=True),
        row(methods.LIST, answers.list),
        row(methods.GET, answers.get),
        row(methods.RESIZE, answers.resize, carried_through=True),
        row(methods.DELETE, answers.delete, carried_through=True),
    ]


class _Answers:
    def __init__(self, exports: Exports) -> None:
        self._exports = exports

    async def create(self, request: catalogue_pb2.CreateRequest) -> catalogue_pb2.CreateReply:
        name, size = check_disk_name(request.name), check_disk_size(request.size)
        entry = await self._exports.create(name, size, request.description)
        return catalogue_pb2.CreateReply(disk=_message(entry))

    async def list(self, request: catalogue_pb2.ListRequest) -> catalogue_pb2.ListReply:
        """The token is the last name of the page before, so that no disk is missed when others come and go."""
        entries, default = await self._exports.list()
        start = bisect.bisect_right([entry.name for entry in entries], request.page_token) if request.page_token else 0
        end = start + min(request.page_size or _PAGE, _PAGE)
        return catalogue_pb2.ListReply(
            disks=[_message(entry) for entry in entries[start:end]],
            next_page_token=entries[end - 1].name if end < len(entries) else "",
            default_disk=default,
        )

    async def get(self, request: catalogue_pb2.GetRequest) -> catalogue_pb2.GetReply:
        return catalogue_pb2.GetReply(disk=_message(await self._exports.get(request.name)))

    async def resize(self, request: catalogue_pb2.ResizeRequest) -> catalogue_pb2.ResizeReply:
        name, size = check_disk_name(request.name), check_disk_size(request.size)
        async with self._exports.changing:
            await self._exports.check_identity(name, request.identity)
            before = await self._exports.get(name)
            if size < before.size and not request.allow_shrink:
                raise Invalid(
                    f"{name!r} has {before.size} bytes; to shrink it, and lose what is cut off, say so explicitly"
                )
            return catalogue_pb2.ResizeReply(disk=_message(await self._exports.resize(name, size)))

    async def delete(self, request: catalogue_pb2.DeleteRequest) -> catalogue_pb2.DeleteReply:
        name = check_disk_name(request.name)
        async with self._exports.changing:
            await self._exports.check_identity(name, request.identity)
            await self._exports.delete(name)
        return catalogue_pb2.DeleteReply()


def _message(entry: DiskEntry) -> catalogue_pb2.DiskEntry:
    return catalogue_pb2.DiskEntry(
        name=entry.name,
        identity=entry.identity,
        size=entry.size,
        allocated=entry.allocated,
        read_only=entry.read_only,
        description=entry.description,
    )
