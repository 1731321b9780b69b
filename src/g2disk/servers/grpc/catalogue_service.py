"""g2disk.v1.Catalogue, answered from exports."""

from __future__ import annotations

import bisect

from g2disk.errors import Invalid
from g2disk.remote import methods
from g2disk.remote.pb import catalogue_pb2
from g2disk.servers.exports import Exports
from g2disk.servers.grpc.handlers import UnaryRow, row
from g2disk.stores.catalogue_messages import entry_message, map_message, snapshot_message, state_message
from g2disk.stores.disk_map import MOST_CELLS
from g2disk.units import check_disk_name, check_disk_size, check_export_name

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
        row(methods.CREATE_SNAPSHOT, answers.create_snapshot, carried_through=True),
        row(methods.LIST_SNAPSHOTS, answers.list_snapshots),
        row(methods.DELETE_SNAPSHOT, answers.delete_snapshot, carried_through=True),
        row(methods.ROLLBACK, answers.rollback, carried_through=True),
        row(methods.CLONE, answers.clone, carried_through=True),
        row(methods.MAP, answers.map),
    ]


class _Answers:
    def __init__(self, exports: Exports) -> None:
        self._exports = exports

    async def create(self, request: catalogue_pb2.CreateRequest) -> catalogue_pb2.CreateReply:
        name, size = check_disk_name(request.name), check_disk_size(request.size)
        entry = await self._exports.create(name, size, request.description, request.options)
        return catalogue_pb2.CreateReply(disk=entry_message(entry), options=request.options)

    async def list(self, request: catalogue_pb2.ListRequest) -> catalogue_pb2.ListReply:
        """The token is the last name of the page before, so that no disk is missed when others come and go."""
        entries, default = await self._exports.list()
        start = bisect.bisect_right([entry.name for entry in entries], request.page_token) if request.page_token else 0
        end = start + min(request.page_size or _PAGE, _PAGE)
        return catalogue_pb2.ListReply(
            disks=[entry_message(entry) for entry in entries[start:end]],
            next_page_token=entries[end - 1].name if end < len(entries) else "",
            default_disk=default,
        )

    async def get(self, request: catalogue_pb2.GetRequest) -> catalogue_pb2.GetReply:
        entry = await self._exports.get(request.name)
        state = await self._exports.state(entry.name) if request.with_state else {}
        return catalogue_pb2.GetReply(disk=entry_message(entry), state=state_message(state))

    async def resize(self, request: catalogue_pb2.ResizeRequest) -> catalogue_pb2.ResizeReply:
        name, size = check_disk_name(request.name), check_disk_size(request.size)
        async with self._exports.changing:
            await self._exports.check_identity(name, request.identity)
            before = await self._exports.get(name)
            if size < before.size and not request.allow_shrink:
                raise Invalid(
                    f"{name!r} has {before.size} bytes; to shrink it, and lose what is cut off, say so explicitly"
                )
            return catalogue_pb2.ResizeReply(disk=entry_message(await self._exports.resize(name, size)))

    async def delete(self, request: catalogue_pb2.DeleteRequest) -> catalogue_pb2.DeleteReply:
        name = check_disk_name(request.name)
        async with self._exports.changing:
            await self._exports.check_identity(name, request.identity)
            await self._exports.delete(name)
        return catalogue_pb2.DeleteReply()

    async def create_snapshot(self, request: catalogue_pb2.CreateSnapshotRequest) -> catalogue_pb2.CreateSnapshotReply:
        disk, snapshot = check_disk_name(request.disk), check_disk_name(request.snapshot)
        entry = await self._exports.create_snapshot(disk, snapshot)
        return catalogue_pb2.CreateSnapshotReply(snapshot=snapshot_message(entry))

    async def list_snapshots(self, request: catalogue_pb2.ListSnapshotsRequest) -> catalogue_pb2.ListSnapshotsReply:
        entries = await self._exports.snapshots(check_disk_name(request.disk))
        return catalogue_pb2.ListSnapshotsReply(snapshots=map(snapshot_message, entries))

    async def delete_snapshot(self, request: catalogue_pb2.DeleteSnapshotRequest) -> catalogue_pb2.DeleteSnapshotReply:
        await self._exports.delete_snapshot(check_disk_name(request.disk), check_disk_name(request.snapshot))
        return catalogue_pb2.DeleteSnapshotReply()

    async def rollback(self, request: catalogue_pb2.RollbackRequest) -> catalogue_pb2.RollbackReply:
        disk, snapshot = check_disk_name(request.disk), check_disk_name(request.snapshot)
        async with self._exports.changing:
            await self._exports.check_identity(disk, request.identity)
            return catalogue_pb2.RollbackReply(disk=entry_message(await self._exports.rollback(disk, snapshot)))

    async def clone(self, request: catalogue_pb2.CloneRequest) -> catalogue_pb2.CloneReply:
        disk, snapshot = check_disk_name(request.disk), check_disk_name(request.snapshot)
        entry = await self._exports.clone(disk, snapshot, check_disk_name(request.new_name))
        return catalogue_pb2.CloneReply(disk=entry_message(entry))

    async def map(self, request: catalogue_pb2.MapRequest) -> catalogue_pb2.MapReply:
        disk = check_export_name(request.disk)
        if not 0 < request.cells <= MOST_CELLS:
            raise Invalid(f"a map has 1 to {MOST_CELLS} parts, not {request.cells}")
        return map_message(await self._exports.map(disk, request.offset, request.length, request.cells))
