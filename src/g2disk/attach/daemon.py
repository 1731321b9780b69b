"""The daemon of one attachment: it answers the kernel's nbd device, and keeps its sockets alive.

The device outlives it.  Whoever comes next under the same slot takes the device over; requests wait in the kernel
meanwhile.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import math
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Protocol

import msgspec

from g2disk.attach.control import Order, Report, serve_control
from g2disk.attach.device import Device, make_link, remove_link
from g2disk.attach.netlink import Configuration, ask_kernel
from g2disk.attach.own import Facts, Offer
from g2disk.attach.pace import Pace
from g2disk.attach.records import Attachment, Slot
from g2disk.clock import Clock
from g2disk.errors import Busy, DiskError, Invalid, Unavailable, Unsupported
from g2disk.remote.condition import RemoteState

log = logging.getLogger(__name__)

KERNEL = 20.0
"""Seconds that the kernel may take to change a device."""
FOR_EVER = 10 * 365 * 24 * 3600
"""Seconds that requests wait for a daemon, where the user set no bound."""
_GRACE = 3.0
"""Seconds that a short look at a device (udev's) may take before it counts as use."""
_AGAIN = 1.0
"""Seconds until what failed is tried again."""
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.02, 1.0
"""Seconds between two attempts to give the kernel a socket."""


class Ending(enum.Enum):
    """How a daemon's work ended."""

    DETACHED = enum.auto()
    """The device is no more."""
    LEFT = enum.auto()
    """The daemon was told to end; the device waits for the next one."""
    LOST = enum.auto()
    """Somebody else disconnected the device."""


class GatewayOfOne(Protocol):
    """What turns the disk into NBD; see `OwnGateway`."""

    async def open(self) -> None:
        """Open the disk, however long the server is away."""

    def facts(self) -> Facts:
        """What the disk is now; once it is open, as all that follows."""

    async def offer(self) -> Offer:
        """A fresh socket for the kernel."""

    def state(self) -> RemoteState:
        """How it stands with the server."""

    def accept(self) -> None:
        """A person accepts that the disk lost data, or is another one."""

    async def leave(self) -> None:
        """Answer and flush what is under way, as far as that is possible in a short time."""

    async def close(self) -> None:
        """Give up what is under way."""


class Daemon:
    """One life of the daemon of the attachment in `slot`, whose right to be it (`Slot.for_daemon`) the caller has."""

    def __init__(self, slot: Slot, attachment: Attachment, clock: Clock) -> None:
        """`attachment` is as `begin` gave it."""
        self._slot, self._attachment, self._clock = slot, attachment, clock
        self._gateway: GatewayOfOne
        self._device: Device | None = None
        self._size = 0
        self._pace = Pace(clock.now())
        self._since = clock.wall()
        self._sockets_lost = 0
        self._detaching = False
        self._resized = asyncio.Event()
        self._ended: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()

    def changed(self) -> None:
        """The disk's size may have changed."""
        self._resized.set()

    def end(self, how: Ending = Ending.LEFT) -> None:
        """Have `run` return."""
        if not self._ended.done():
            self._ended.set_result(how)

    async def run(self, gateway: GatewayOfOne, ready: Callable[[], None]) -> Ending:
        """Attach the disk, or take over its device; then serve it until it is detached or `end` is called.

        `ready` is called when the kernel is answered.  When this fails before, a device that it connected is gone.
        Raises a `DiskError`.
        """
        self._gateway = gateway
        async with AsyncExitStack() as stack:
            stack.push_async_callback(gateway.close)
            await stack.enter_async_context(serve_control(self._slot.control, self._obey))
            work = asyncio.create_task(self._work(ready))
            waited: set[asyncio.Future[Any]] = {work, self._ended}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if not self._ended.done():
                self._failed(work)
            work.cancel()
            await asyncio.wait({work})
            ending = self._ended.result()
            if ending is Ending.LEFT:
                await self._leave()
            elif self._device is not None:
                remove_link(self._attachment.disk, self._device)
        return ending

    def _failed(self, work: asyncio.Task[None]) -> None:
        """The work ended by itself: the device was taken away, or this raises why."""
        error = work.exception()
        assert error is not None
        if self._device is None or Device.connected_as(self._attachment.backend) is not None:
            raise error
        log.warning("! %s was disconnected by somebody else", self._device.path)
        self.end(Ending.LOST)

    async def _work(self, ready: Callable[[], None]) -> None:
        await self._gateway.open()
        there = Device.connected_as(self._attachment.backend)
        if there is None:
            lost = await self._connect()
        else:
            lost = [None] * self._attachment.connections
            self._attached(there)
            self._size = there.size()
            self._resized.set()
        try:
            async with asyncio.TaskGroup() as tasks:
                for each in lost:
                    tasks.create_task(self._keep(each))
                tasks.create_task(self._follow_size())
                tasks.create_task(self._calm())
                ready()
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _connect(self) -> list[asyncio.Event | None]:
        """Have the kernel connect a device; the events of its sockets, None for one that was lost at once."""
        facts = self._gateway.facts()
        wanted = facts.configuration(self._attachment.backend, self._pace.timeout, self._dead_timeout)
        offers = [await self._gateway.offer() for _ in range(self._attachment.connections)]
        try:
            device = await self._ask_for_device([offer.descriptor for offer in offers], wanted)
        except BaseException:
            for offer in offers:
                offer.close()
            raise
        try:
            lost = [await offer.taken() for offer in offers]
            await self._check_connected(device)
        except BaseException:
            await ask_kernel(lambda family: family.disconnect(device.index), KERNEL, "disconnecting")
            raise
        self._size = facts.size
        self._attached(device)
        log.info("= %s is %r, %d bytes", device.path, self._attachment.disk, facts.size)
        return lost

    async def _ask_for_device(self, descriptors: list[int], wanted: Configuration) -> Device:
        index = Device.named(self._attachment.wanted).index if self._attachment.wanted else None
        deadline = self._clock.now() + _GRACE
        while True:
            try:
                return Device(
                    await ask_kernel(lambda family: family.connect(index, descriptors, wanted), KERNEL, "connecting")
                )
            except Busy:  # the kernel also refuses a device that somebody merely looks at, as udev does after a change
                if index is None or self._clock.now() > deadline or Device(index).is_connected():
                    raise
                await self._clock.sleep(0.1)

    async def _check_connected(self, device: Device) -> None:
        """Wait until /dev has it.  Raises `Unsupported` where that, or what is needed for a takeover, is not there."""
        if device.backend() != self._attachment.backend:
            raise Unsupported(
                "this kernel is older than 5.14 and loses devices; attach with nbd-client, or --fuse FILE"
            )
        deadline = self._clock.now() + _GRACE
        while not device.path.is_block_device():
            if self._clock.now() > deadline:
                raise Unsupported(f"there is no {device.path} here, as in many containers; attach with --fuse FILE")
            await self._clock.sleep(0.02)

    def _attached(self, device: Device) -> None:
        """Remember the device, and have its name in /dev/g2disk."""
        self._device = device
        attachment = self._slot.load()
        self._attachment = self._slot.save(msgspec.structs.replace(attachment, target=str(device.path)))
        if make_link(attachment.disk, device) is None:
            log.warning("! there is no link for %r in /dev/g2disk: the name is taken", attachment.disk)

    async def _keep(self, lost: asyncio.Event | None) -> None:
        """Give the kernel a new socket whenever it has lost one, beginning with the one of the daemon before."""
        while True:
            if lost is not None:
                reconnects = self._gateway.state().reconnects
                await lost.wait()
                if self._detaching:
                    return
                self._sockets_lost += 1
                # Where the server was away, more time would only make the next recovery slower.
                slow = self._gateway.state().reconnects == reconnects
                if slow and self._pace.gave_up(self._clock.now()):
                    log.info("= the kernel gave up a socket; it waits %d s for an answer now", self._pace.timeout)
                await self._let_fail()
            lost = await self._replace()

    async def _let_fail(self) -> None:
        """Where the user set a bound, and the server is away: give the kernel no socket for that long, as it fails
        requests then.  An error that is sent on a socket that it gave up reaches nobody.
        """
        deadline = self._clock.now() + self._attachment.timeout
        while self._clock.now() < deadline and self._gateway.state().condition == "waiting":
            await self._clock.sleep(_LONGEST_PAUSE / 4)

    async def _replace(self) -> asyncio.Event:
        pause = _SHORTEST_PAUSE
        while True:
            try:
                event = await self._offer_socket()
            except Unavailable as error:
                if Device.connected_as(self._attachment.backend) is None:
                    raise
                log.warning("! %s", error)
                event = None
            if event is not None:
                return event
            # The kernel has not yet noticed that the old one is dead.
            await self._clock.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _offer_socket(self) -> asyncio.Event | None:
        offer = await self._gateway.offer()
        try:
            await self._reconfigure(sockets=[offer.descriptor], timeout=self._pace.timeout)
        except BaseException:
            offer.close()
            raise
        return await offer.taken()

    async def _follow_size(self) -> None:
        while True:
            await self._resized.wait()
            self._resized.clear()
            await self._insist(self._take_facts_over)

    async def _take_facts_over(self) -> None:
        # Of another disk nothing is taken over until a person has accepted it.
        if self._gateway.state().condition == "failed":
            return
        facts = self._gateway.facts()
        if facts.size != self._size:
            await self._reconfigure(size=facts.size)
            self._size = facts.size
            log.info("= %s has %d bytes now", self._attachment.target, facts.size)
        kept = self._slot.load()
        if (kept.size, kept.identity) != (facts.size, facts.identity):
            self._slot.save(msgspec.structs.replace(kept, size=facts.size, identity=facts.identity))

    async def _calm(self) -> None:
        while True:
            await self._clock.sleep(max(self._pace.next_look() - self._clock.now(), 1.0))
            if self._pace.calmed(self._clock.now()):
                await self._insist(lambda: self._reconfigure(timeout=self._pace.timeout))

    async def _insist(self, step: Callable[[], Awaitable[None]]) -> None:
        """Try until it succeeds: as long as there is the device, nothing that goes wrong here is worth its daemon."""
        said = ""
        while True:
            try:
                return await step()
            except (DiskError, OSError) as error:
                if Device.connected_as(self._attachment.backend) is None:
                    raise
                if str(error) != said:
                    log.warning("! %s; it is tried again", error)
                said = str(error)
            await self._clock.sleep(_AGAIN)

    async def _reconfigure(
        self, sockets: list[int] | None = None, size: int | None = None, timeout: int | None = None
    ) -> None:
        assert self._device is not None
        index, backend, dead_timeout = self._device.index, self._attachment.backend, self._dead_timeout
        await ask_kernel(
            lambda family: family.reconfigure(
                index, backend, sockets=sockets or (), size=size, timeout=timeout, dead_timeout=dead_timeout
            ),
            KERNEL,
            "changing the device",
        )

    @property
    def _dead_timeout(self) -> int:
        return math.ceil(self._attachment.timeout) or FOR_EVER

    async def _leave(self) -> None:
        try:
            await self._gateway.leave()
        except (DiskError, TimeoutError) as error:
            log.warning("! ending with unflushed changes: %s", error or "they took too long")

    async def _obey(self, order: Order) -> Report:
        if order == "detach":
            await self._detach()
        elif order == "accept":
            if self._device is None:
                raise Invalid("there is nothing to accept: the disk is not open yet")
            self._gateway.accept()
            self._resized.set()
        return self._report()

    async def _detach(self) -> None:
        device = Device.connected_as(self._attachment.backend)
        if device is not None:
            self._detaching = True
            await ask_kernel(lambda family: family.disconnect(device.index), KERNEL, "disconnecting")
        asyncio.get_running_loop().call_soon(self.end, Ending.DETACHED)

    def _report(self) -> Report:
        if self._device is None:
            return Report(
                condition="starting",
                since=self._since,
                cause=f"the server at {self._attachment.endpoint} has not opened the disk yet",
                target=self._attachment.target,
            )
        state = self._gateway.state()
        return Report(
            condition=state.condition,
            since=state.since,
            cause=state.cause,
            size=self._size,
            target=str(self._device.path),
            in_flight=state.in_flight,
            unflushed_bytes=state.unflushed_bytes,
            unflushed_requests=state.unflushed_requests,
            reconnects=state.reconnects,
            request_timeout=self._pace.timeout,
            sockets_lost=self._sockets_lost,
        )
