"""The client under which a run stands: a remote disk, as gateways use it, that can be thrown away."""

from __future__ import annotations

from g2disk.errors import DiskError
from g2disk.remote.connection import Connection
from g2disk.remote.disk import RemoteDisk
from g2disk.remote.negotiation import open_remote_disk
from g2disk.remote.reference import ReferenceDisk
from g2disk.remote.terms import Terms


class Client:
    """Made by `Client.open`."""

    def __init__(self, connection: Connection, disk: RemoteDisk | ReferenceDisk) -> None:
        self.disk = disk
        self._connection = connection

    @classmethod
    async def open(cls, endpoint: str, name: str, client: bytes, generation: int, patience: float) -> Client:
        """The disk of that name at the endpoint.  A request waits up to `patience` seconds for its answer.

        Clients that follow each other have the same 16 bytes `client`, and growing generations.
        """
        connection = Connection(endpoint, patience)
        try:
            terms = Terms(client=client, generation=generation)
            return cls(connection, await open_remote_disk(connection, name, wait=True, terms=terms))
        except DiskError:
            await connection.close()
            raise

    @property
    def instance(self) -> str:
        """See `DiskInfo.instance`; as the server said last."""
        return self.disk.info().instance

    @property
    def identity(self) -> str:
        """See `DiskInfo.identity`."""
        return self.disk.info().identity

    @property
    def protocol(self) -> str:
        """What is spoken with the server, for people."""
        return self.disk.protocol if isinstance(self.disk, RemoteDisk) else "the reference protocol"

    @property
    def fences(self) -> bool:
        """Whether requests that it gave up can no longer happen when it goes on: only in sessions."""
        return "sessions" in self.protocol

    @property
    def notices(self) -> bool:
        """Whether the server says when unflushed writes may be lost: it has flushes and instances."""
        return self.disk.info().flush and bool(self.instance)

    @property
    def survives(self) -> bool:
        """Whether it goes on after a server was killed, with nothing lost."""
        return self.fences and self.notices

    async def close(self) -> None:
        """Give up what is not answered."""
        await self.disk.close()
        await self._connection.close()
