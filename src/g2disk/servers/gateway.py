"""`Gateway`, a target server's disks for NBD clients: opened once, and pinned to what they were then."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from weakref import WeakValueDictionary

from g2disk.disk import Disk, DiskInfo
from g2disk.disk.layers.checked import Checked
from g2disk.disk.layers.read_only import ReadOnlyDisk
from g2disk.errors import DiskError, Invalid, NotFound
from g2disk.remote.disk import RemoteDisk
from g2disk.remote.endpoint import DEFAULT_TIMEOUT
from g2disk.remote.negotiation import open_remote_disk
from g2disk.remote.terms import Terms
from g2disk.stores.remote import RemoteStore
from g2disk.stores.store import default_among

_TERMS = Terms(patient=True)


class Gateway:
    """The exports of a process that turns a target server's disks into NBD.

    Every disk is opened once and shared by all NBD connections, and stays pinned to the identity that it had then: a
    client that reconnects never finds other bytes, and what one connection wrote another's flush covers.

    Belongs to the event loop that it was made on.
    """

    def __init__(
        self,
        endpoint: str,
        timeout: float = DEFAULT_TIMEOUT,
        names: Sequence[str] = (),
        *,
        read_only: bool = False,
        terms: Terms = _TERMS,
    ) -> None:
        """`timeout` is how many seconds a request waits for a server that is away (infinite: for ever).  Without
        `names` all disks of the server are served, now and later.  A client id, an identity and a record in the
        `terms` are for a gateway of one disk.
        """
        self._terms = terms
        self._names = names
        self._read_only = read_only
        self._store = RemoteStore(endpoint, timeout)
        self._opening: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """While somebody opens the disk of that name."""
        self._disks: dict[str, Disk] = {}
        self._served: dict[str, Disk] = {}

    async def open(self, export: str) -> tuple[str, Disk]:
        """The disk that a client asks for by `export` (empty: the default), and its name.  Raises a `DiskError`."""
        name = export or default_among(self._names)
        if self._names and not name:
            raise NotFound(f"this gateway serves {len(self._names)} disks; say which one of {', '.join(self._names)}")
        if self._names and name not in self._names:
            raise Invalid(f"this gateway serves only {', '.join(map(repr, self._names))}, not {name!r}")
        opening = self._opening.setdefault(name, asyncio.Lock())
        async with opening:  # two sessions of one client would fence each other
            return await self._open(name)

    async def _open(self, name: str) -> tuple[str, Disk]:
        disk = self._disks.get(name)
        if disk is None:
            opened = disk = await open_remote_disk(self._store.connection, name, wait=True, terms=self._terms)
            # The first object is everybody's, also where the default disk is asked for with and without its name.
            if isinstance(disk, RemoteDisk):
                disk = self._disks.setdefault(disk.name, disk)
            disk = self._disks.setdefault(name, disk)
            if disk is not opened:
                await opened.close()
        elif isinstance(disk, RemoteDisk):
            await disk.refresh()
        called = disk.name if isinstance(disk, RemoteDisk) else name
        served = self._served.get(called)
        if served is None:
            served = self._served[called] = Checked(ReadOnlyDisk(disk) if self._read_only else disk)
        return called, served

    def remote(self, name: str) -> RemoteDisk | None:
        """What is behind a disk that was opened, where its server speaks g2disk.v1."""
        disk = self._disks.get(name)
        return disk if isinstance(disk, RemoteDisk) else None

    async def list(self) -> Sequence[tuple[str, str]]:
        """(name, description) of every disk that `open` would give.  Raises a `DiskError`."""
        if self._names:
            entries = [await self._store.get(name) for name in self._names]
        else:
            entries = [*await self._store.list()]
        return [(entry.name, entry.description) for entry in entries]

    async def default(self) -> str:
        """The name of the disk that an empty export name stands for; empty where there is none."""
        if self._names:
            return default_among(self._names)
        return (await self._store.list_with_default())[1]

    async def close(self) -> None:
        """End every session, and the connection."""
        for disk in {id(disk): disk for disk in self._disks.values()}.values():
            await disk.close()
        await self._store.close()


async def check_server(endpoint: str, timeout: float, names: Sequence[str]) -> str:
    """Reach the server and the disks once; the empty string, or what is wrong.  Without `names` the list will do."""
    store = RemoteStore(endpoint, timeout)
    try:
        for name in names:
            await open_remote_disk(store.connection, name)
        if not names:
            await store.list()
    except DiskError as error:
        return str(error)
    else:
        return ""
    finally:
        await store.close()


def can_share(info: DiskInfo) -> bool:
    """Whether several NBD connections may use the disk at once (NBD_FLAG_CAN_MULTI_CONN)."""
    return info.multi_conn and (info.flush or info.read_only)
