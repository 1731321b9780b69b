"""`NbdkitGateway`, nbdkit with g2disk's plugin for the kernel: a process of its own, which outlives the daemon."""

from __future__ import annotations

import asyncio
import logging
import socket

import msgspec

from g2disk.attach import gateway
from g2disk.attach.device import Device, checked_block_size
from g2disk.attach.nbdkit_link import connect_nbdkit
from g2disk.attach.netlink import NbdFamily
from g2disk.attach.own import Facts, Offer
from g2disk.attach.processes import Process, last_error
from g2disk.attach.records import Attachment, Slot, Via
from g2disk.clock import Clock
from g2disk.errors import Unavailable, Unsupported
from g2disk.nbd.client_handshake import Negotiated
from g2disk.remote.condition import RemoteState

log = logging.getLogger(__name__)

_PATIENCE = 60.0
"""Seconds for one handshake; nbdkit opens the disk meanwhile, and waits for a server that is away."""
_PAUSE = 0.2
"""Seconds between two attempts."""


class NbdkitGateway:
    """Keeps nbdkit running, and shakes hands with it for sockets that the kernel then has."""

    def __init__(self, slot: Slot, attachment: Attachment, clock: Clock) -> None:
        self._slot, self._clock = slot, clock
        self._backend = attachment.backend
        self._process: Process | None = attachment.gateway
        self._negotiated: Negotiated
        self._lost: list[asyncio.Event] = []
        """Of the sockets that the kernel has; it does not say which one it gave up."""
        self._since = clock.wall()
        self._family: NbdFamily | None = None
        self._restarts = -1

    async def open(self) -> None:
        """Start nbdkit, unless that of the daemon before still runs, and wait until it has opened the disk."""
        self._family = NbdFamily()
        self._family.watch()
        asyncio.get_running_loop().add_reader(self._family.fileno(), self._link_died)
        connection = await self._connect()
        connection.close()

    def facts(self) -> Facts:
        """What nbdkit said of the disk."""
        said = self._negotiated
        return Facts(self._slot.load().identity, said.size, checked_block_size(said.minimum_block), said.flags)

    async def offer(self) -> Offer:
        """A fresh socket for the kernel, past the handshake."""
        return _SocketOffer(await self._connect(), self._lost)

    def state(self) -> RemoteState:
        """Nbdkit does not say more than that it lives."""
        if self._process is not None and self._process.is_alive():
            return RemoteState("connected", self._since, "", 0, 0, 0, max(self._restarts, 0))
        return RemoteState("waiting", self._since, "nbdkit is started again", 0, 0, 0, max(self._restarts, 0))

    def accept(self) -> None:
        """Raise `Unsupported`: nbdkit cannot be told."""
        raise Unsupported("nbdkit cannot go on with another disk; detach it, check what is on it, and attach again")

    async def leave(self) -> None:
        """Nbdkit goes on without the daemon."""

    async def close(self) -> None:
        """Stop listening to the kernel."""
        if self._family is not None:
            asyncio.get_running_loop().remove_reader(self._family.fileno())
            self._family.close()

    async def _connect(self) -> socket.socket:
        """A connection past the handshake, however long that takes."""
        while True:
            self._ensure_nbdkit()
            try:
                connection, self._negotiated = await connect_nbdkit(
                    self._slot.socket, self._slot.load().served, _PATIENCE
                )
            except Unavailable as error:
                log.debug("! %s", error)
                await self._clock.sleep(_PAUSE)
            else:
                return connection

    def _ensure_nbdkit(self) -> None:
        if self._process is not None and self._process.is_alive():
            return
        if self._process is not None:
            log.warning("! nbdkit ended: %s", last_error(self._slot.gateway_log))
        before = self._slot.load()
        attachment = self._slot.save(msgspec.structs.replace(before, generation=before.generation + 1))
        self._slot.socket.unlink(missing_ok=True)
        source = gateway.Source(
            attachment.endpoint, attachment.served, attachment.timeout, attachment.read_only, _inheritance(self._slot)
        )
        self._process = gateway.start_gateway(self._slot, source, Via.NBDKIT)
        self._slot.save(msgspec.structs.replace(attachment, gateway=self._process))
        self._since = self._clock.wall()
        self._restarts += 1

    def _link_died(self) -> None:
        assert self._family is not None
        device = Device.connected_as(self._backend)
        for index in self._family.dead_links():
            if device is not None and index == device.index and self._lost:
                self._lost.pop(0).set()


def _inheritance(slot: Slot) -> list[str]:
    """The plugin's parameters by which one nbdkit follows the other."""
    attachment = slot.load()
    if not attachment.served:  # a server of a single disk without a name knows no sessions
        return []
    kept = f"{'record' if attachment.record else 'marker'}={slot.unflushed_at(attachment)}"
    numbers = [f"client={attachment.client}", f"generation={attachment.generation}", kept]
    return numbers + ([f"identity={attachment.identity}"] if attachment.identity else [])


class _SocketOffer:
    def __init__(self, connection: socket.socket, lost: list[asyncio.Event]) -> None:
        self._connection, self._lost = connection, lost

    @property
    def descriptor(self) -> int:
        return self._connection.fileno()

    async def taken(self) -> asyncio.Event | None:
        """Whether the kernel took it, only nbdkit sees; where not, nothing was lost either."""
        self._connection.close()
        event = asyncio.Event()
        self._lost.append(event)
        return event

    def close(self) -> None:
        self._connection.close()
