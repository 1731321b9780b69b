"""`RemoteStore`, the catalogue of a target server, seen as a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from g2disk.disk import Disk
from g2disk.errors import Corrupt, Fenced, Unsupported
from g2disk.remote.connection import Connection, UnknownMethod, check_reply
from g2disk.remote.disk import RemoteDisk
from g2disk.remote.endpoint import DEFAULT_TIMEOUT
from g2disk.remote.methods import (
    CLONE,
    CREATE,
    CREATE_SNAPSHOT,
    DELETE,
    DELETE_SNAPSHOT,
    GET,
    LIST,
    LIST_SNAPSHOTS,
    MAP,
    RESIZE,
    ROLLBACK,
    Method,
    Reply,
    Request,
)
from g2disk.remote.negotiation import open_remote_disk
from g2disk.remote.pb import catalogue_pb2
from g2disk.stores.catalogue_messages import entry_of, map_of, snapshot_of, state_of
from g2disk.stores.disk_map import DiskMap
from g2disk.stores.store import NO_OPTIONS, DiskEntry, SnapshotEntry, StateValue, Store
from g2disk.units import DEFAULT_DISK, check_disk_name, check_disk_size


class RemoteStore(Store):
    """The disks of the target server at `endpoint`.

    A server without a catalogue has one disk, its default.  A server that is away is an error at once, but for requests
    on disks that are open: they wait up to `timeout` seconds.
    """

    def __init__(self, endpoint: str, timeout: float = DEFAULT_TIMEOUT) -> None:
        self.url = f"grpc://{endpoint.removeprefix('grpc://')}"
        self.connection = Connection(endpoint, timeout)
        self._disks: dict[str, Disk] = {}

    async def list(self) -> Sequence[DiskEntry]:
        """All disks, ordered by name."""
        entries, _ = await self.list_with_default()
        return entries

    async def list_with_default(self) -> tuple[Sequence[DiskEntry], str]:
        """All disks, ordered by name, and the name of the default disk (empty: there is none)."""
        entries: list[DiskEntry] = []
        token = ""
        while True:
            request = catalogue_pb2.ListRequest(page_token=token)
            try:
                reply = await self.connection.call(LIST, request, repeatable=True, wait=False)
            except UnknownMethod:
                entry = await self._only_disk()
                return [entry], entry.name
            entries += map(entry_of, reply.disks)
            if not reply.next_page_token:
                return entries, reply.default_disk
            goes_on = bool(reply.disks) and reply.next_page_token != token
            check_reply(self.connection, goes_on, "the list of disks has no end")
            token = reply.next_page_token

    async def get(self, name: str) -> DiskEntry:
        """One disk; the empty name is the default disk."""
        request = catalogue_pb2.GetRequest(name=name)
        try:
            entry = entry_of((await self.connection.call(GET, request, repeatable=True, wait=False)).disk)
        except UnknownMethod:
            entry = await self._only_disk(name)
        await self._follow(entry.name)
        return entry

    async def default_name(self) -> str:
        """The name of the server's default disk."""
        return (await self.get("")).name

    async def open(self, name: str) -> Disk:
        """The disk of that name, pinned to the identity that it has now; the empty name is the default disk.

        The same object until `get` finds that it has ended, because the server holds another disk or lost writes.
        """
        disk = self._disks.get(name)
        if disk is None:
            opened = await open_remote_disk(self.connection, name)
            disk = self._disks.setdefault(name, opened)
        return disk

    async def create(
        self, name: str, size: int, description: str = "", options: Mapping[str, str] = NO_OPTIONS
    ) -> DiskEntry:
        """See `Store.create`.  Raises `Unsupported` where the server does not know of options."""
        request = catalogue_pb2.CreateRequest(
            name=check_disk_name(name), size=check_disk_size(size), description=description, options=options
        )
        reply = await self.connection.call(CREATE, request, repeatable=False, wait=False)
        if dict(reply.options) != dict(options):
            await self.delete(name)
            raise Unsupported(
                f"the server at {self.connection.endpoint} makes disks without options; leave {', '.join(options)} out"
            )
        return entry_of(reply.disk)

    async def resize(self, name: str, size: int, allow_shrink: bool = True) -> DiskEntry:
        """See `Store.resize`; raises `Invalid` instead of shrinking without `allow_shrink`."""
        request = catalogue_pb2.ResizeRequest(name=name, size=check_disk_size(size), allow_shrink=allow_shrink)
        reply = await self.connection.call(RESIZE, request, repeatable=False, wait=False)
        disk = self._disks.get(name)
        if isinstance(disk, RemoteDisk):
            await disk.refresh()
        return entry_of(reply.disk)

    async def delete(self, name: str) -> None:
        """See `Store.delete`."""
        request = catalogue_pb2.DeleteRequest(name=name)
        try:
            await self.connection.call(DELETE, request, repeatable=False, wait=False)
        finally:  # whatever the answer, it may be gone
            self._disks.pop(name, None)

    async def snapshots(self, name: str) -> Sequence[SnapshotEntry]:
        """See `Store.snapshots`."""
        request = catalogue_pb2.ListSnapshotsRequest(disk=name)
        reply = await self._about_snapshots(LIST_SNAPSHOTS, request, repeatable=True)
        return [*map(snapshot_of, reply.snapshots)]

    async def create_snapshot(self, name: str, snapshot: str) -> SnapshotEntry:
        """See `Store.create_snapshot`."""
        request = catalogue_pb2.CreateSnapshotRequest(disk=name, snapshot=check_disk_name(snapshot))
        return snapshot_of((await self._about_snapshots(CREATE_SNAPSHOT, request)).snapshot)

    async def delete_snapshot(self, name: str, snapshot: str) -> None:
        """See `Store.delete_snapshot`."""
        request = catalogue_pb2.DeleteSnapshotRequest(disk=name, snapshot=snapshot)
        try:
            await self._about_snapshots(DELETE_SNAPSHOT, request)
        finally:  # whatever the answer, it may be gone
            self._disks.pop(f"{name}@{snapshot}", None)

    async def rollback(self, name: str, snapshot: str) -> DiskEntry:
        """See `Store.rollback`."""
        request = catalogue_pb2.RollbackRequest(disk=name, snapshot=snapshot)
        entry = entry_of((await self._about_snapshots(ROLLBACK, request)).disk)
        await self._follow(name)
        return entry

    async def clone(self, name: str, snapshot: str, new_name: str) -> DiskEntry:
        """See `Store.clone`."""
        request = catalogue_pb2.CloneRequest(disk=name, snapshot=snapshot, new_name=check_disk_name(new_name))
        return entry_of((await self._about_snapshots(CLONE, request)).disk)

    async def state(self, name: str) -> Mapping[str, StateValue]:
        """See `Store.state`."""
        request = catalogue_pb2.GetRequest(name=name, with_state=True)
        try:
            reply = await self.connection.call(GET, request, repeatable=True, wait=False)
        except UnknownMethod:
            return {}
        return state_of(reply.state)

    async def map(self, name: str, offset: int, length: int, cells: int) -> DiskMap:
        """See `Store.map`."""
        request = catalogue_pb2.MapRequest(disk=name, offset=offset, length=length, cells=cells)
        reply = await self.connection.call(MAP, request, repeatable=True, wait=False)
        drawn = map_of(reply, offset, length)
        if drawn is None:
            raise Corrupt(f"the map that {self.connection.endpoint} sent has columns that do not go together")
        return drawn

    async def close(self) -> None:
        """End every session, and the connection."""
        for disk in self._disks.values():
            await disk.close()
        await self.connection.close()

    async def _follow(self, name: str) -> None:
        """Bring the disk of that name, if it is open, up to date with the server; let go of one that has ended."""
        disk = self._disks.get(name)
        if isinstance(disk, RemoteDisk):
            try:
                await disk.refresh()
            except Fenced:
                if self._disks.get(name) is disk:
                    del self._disks[name]
                await disk.close()

    async def _about_snapshots(
        self, method: Method[Request, Reply], request: Request, *, repeatable: bool = False
    ) -> Reply:
        try:
            return await self.connection.call(method, request, repeatable=repeatable, wait=False)
        except UnknownMethod as error:
            raise Unsupported(f"the server at {self.connection.endpoint} keeps no snapshots") from error

    async def _only_disk(self, name: str = "") -> DiskEntry:
        """The disk of a server without a catalogue."""
        disk = await open_remote_disk(self.connection, name)
        info = disk.info()
        named = getattr(disk, "name", "") or DEFAULT_DISK
        await disk.close()
        return DiskEntry(named, info.size, info.identity, 0, info.read_only, info.description)
