"""`OwnGateway`, the disk of a target server for the kernel, in the daemon's own process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from g2disk.attach.device import checked_block_size
from g2disk.attach.link import Pair, Transmission
from g2disk.attach.netlink import Configuration
from g2disk.clock import Clock
from g2disk.disk import Disk
from g2disk.nbd.export import export_of
from g2disk.remote.condition import RemoteState
from g2disk.remote.disk import RemoteDisk
from g2disk.servers.gateway import Gateway

log = logging.getLogger(__name__)

_LEAVE = 5.0
"""Seconds for answering what is under way, and for flushing, when the daemon is told to end."""
_CLOSE = 5.0
"""Seconds for saying goodbye to the server."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the kernel is told of a disk."""

    identity: str
    size: int
    """Bytes."""
    block_size: int
    """Bytes."""
    flags: int
    """NBD transmission flags."""

    def configuration(self, backend: str, timeout: int, dead_timeout: int) -> Configuration:
        """For `NbdFamily.connect`."""
        return Configuration(backend, self.size, self.block_size, self.flags, timeout, dead_timeout)


class Offer(Protocol):
    """A socket for the kernel."""

    @property
    def descriptor(self) -> int:
        """The file descriptor to tell the kernel."""

    async def taken(self) -> asyncio.Event | None:
        """The kernel was told; None where it did not take the socket.  The event is set when the socket is lost and
        nothing that came on it is under way any more.
        """

    def close(self) -> None:
        """The kernel is not told of it."""


class OwnGateway:
    """A `Gateway` of one disk, and the sockets that it answers on.  Belongs to the event loop."""

    def __init__(
        self, gateway: Gateway, name: str, clock: Clock, changed: Callable[[], None], *, insists: bool
    ) -> None:
        """`changed` is called on the event loop when `facts` may have; for `insists` see `Transmission`."""
        self._insists = insists
        self._gateway, self._name, self._clock, self._changed = gateway, name, clock, changed
        self._disk: Disk
        self._remote: RemoteDisk | None = None
        self._transmission: Transmission | None = None
        self._opened = 0.0

    async def open(self) -> None:
        """Open the disk, however long the server is away.  Raises a `DiskError`."""
        name, self._disk = await self._gateway.open(self._name)
        self._remote = self._gateway.remote(name)
        if self._remote is not None:
            self._remote.info_changed = lambda _: self._changed()
        self._opened = self._clock.wall()
        export = export_of(name, self._disk.info())
        self._transmission = Transmission(self._disk, export, self._clock, insists=self._insists)

    def facts(self) -> Facts:
        """What the disk is now.  Raises `Unsupported` where the kernel has no such devices."""
        info = self._disk.info()
        export = export_of(self._name, info)
        return Facts(
            info.identity,
            info.size,
            checked_block_size(info.minimum_block),
            export.transmission_flags(structured=False, base_allocation=False, extended=False),
        )

    async def offer(self) -> Offer:
        """A fresh socket for the kernel."""
        assert self._transmission is not None
        return _PairOffer(Pair(), self._transmission)

    def state(self) -> RemoteState:
        """How it stands with the server."""
        if self._remote is None:
            return RemoteState("connected", self._opened, "", 0, 0, 0, 0)
        return self._remote.state()

    def accept(self) -> None:
        """A person accepts that the disk lost data, or is another one."""
        if self._remote is not None:
            self._remote.accept()

    async def leave(self) -> None:
        """Answer what is under way and flush, as far as that is possible in a short time; the kernel keeps the rest for
        the next daemon.  Raises a `DiskError` or TimeoutError where there may be unflushed changes left.
        """
        if self._transmission is not None:
            async with asyncio.timeout(_LEAVE):
                await self._transmission.drain(_LEAVE)
                await self._disk.flush()

    async def close(self) -> None:
        """Give up what is under way, and the connection."""
        if self._transmission is not None:
            await self._transmission.cut()  # first, as an error that is sent to the kernel is final
        try:
            async with asyncio.timeout(_CLOSE):
                await self._gateway.close()
        except TimeoutError:
            log.warning("! the server did not say goodbye within %g s", _CLOSE)
        finally:
            if self._transmission is not None:
                await self._transmission.end()


class _PairOffer:
    def __init__(self, pair: Pair, transmission: Transmission) -> None:
        self._pair, self._transmission = pair, transmission

    @property
    def descriptor(self) -> int:
        return self._pair.kernels.fileno()

    async def taken(self) -> asyncio.Event | None:
        if not self._pair.hand_over():
            self._pair.close()
            return None
        return (await self._transmission.answer_on(self._pair.ours)).settled

    def close(self) -> None:
        self._pair.close()
