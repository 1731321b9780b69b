"""`Gateway`, a target server's disks for nbdkit's threads."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from g2disk.disk import Disk, DiskInfo
from g2disk.errors import DiskError, Invalid
from g2disk.remote.disk import RemoteDisk
from g2disk.remote.negotiation import open_remote_disk
from g2disk.servers.nbdkit.bridge import Bridge
from g2disk.servers.nbdkit.parameters import Parameters
from g2disk.stores.remote import RemoteStore


class Gateway:
    """One per nbdkit process, made after it has forked.

    Every disk is opened once and shared by all NBD connections, and stays pinned to the identity that it had then: a
    client that reconnects never finds other bytes, and what one connection wrote another's flush covers.
    """

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self.bridge = Bridge()
        self._disks: dict[str, Disk] = {}
        self._store = self.bridge.call(self._connect)

    async def _connect(self) -> RemoteStore:
        return RemoteStore(self._parameters.endpoint, self._parameters.timeout)

    def open(self, export: str) -> Disk:
        """The disk that a client asks for by `export`; an empty one is the default.  Raises a `DiskError`."""
        fixed = self._parameters.disk
        if fixed and export not in ("", fixed):
            raise Invalid(f"this gateway serves the disk {fixed!r} only, not {export!r}")
        return self.bridge.call(lambda: self._open(fixed or export))

    def list(self) -> Sequence[tuple[str, str]]:
        """(name, description) of every disk that `open` would give."""
        fixed = self._parameters.disk
        if fixed:
            entries: Sequence[object] = [self.bridge.call(lambda: self._store.get(fixed))]
        else:
            entries = self.bridge.call(self._store.list)
        return [(entry.name, entry.description) for entry in entries]  # type: ignore[attr-defined]

    def default(self) -> str:
        """The name of the disk that an empty export name stands for; empty where there is none."""
        return self._parameters.disk or self.bridge.call(self._store.list_with_default)[1]

    def close(self) -> None:
        """End the connection and the loop."""
        self.bridge.call(self._store.close)
        self.bridge.close()

    async def _open(self, name: str) -> Disk:
        disk = self._disks.get(name)
        if disk is None:
            disk = await open_remote_disk(self._store.connection, name, wait=True)
            # The first object is everybody's, also where the default disk is asked for with and without its name.
            if isinstance(disk, RemoteDisk):
                disk = self._disks.setdefault(disk.name, disk)
            disk = self._disks.setdefault(name, disk)
        elif isinstance(disk, RemoteDisk):
            await disk.refresh()
        return disk


def can_share(info: DiskInfo) -> bool:
    """Whether several NBD connections may use the disk at once (NBD_FLAG_CAN_MULTI_CONN)."""
    return info.multi_conn and (info.flush or info.read_only)


def check_server(parameters: Parameters) -> str:
    """Reach the server and the disk once; the empty string, or what is wrong.

    For a process of its own: gRPC may not be used on both sides of a fork.
    """
    return asyncio.run(_check(parameters))


async def _check(parameters: Parameters) -> str:
    store = RemoteStore(parameters.endpoint, parameters.timeout)
    try:
        if parameters.disk:
            await open_remote_disk(store.connection, parameters.disk)
        else:
            await store.list()
    except DiskError as error:
        return str(error)
    else:
        return ""
    finally:
        await store.close()
