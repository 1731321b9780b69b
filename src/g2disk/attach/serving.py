"""The daemon's life in its process: its right to be, what it inherits, its disk, its signals."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from g2disk.attach.daemon import Daemon, Ending
from g2disk.attach.device import Device
from g2disk.attach.nbdkit import NbdkitGateway
from g2disk.attach.notify import READY, notify
from g2disk.attach.own import OwnGateway
from g2disk.attach.processes import Process
from g2disk.attach.protection import protect
from g2disk.attach.records import Attachment, Slot, Via
from g2disk.attach.release import disconnect
from g2disk.clock import Clock
from g2disk.remote.record_file import RecordFile
from g2disk.remote.terms import Terms
from g2disk.servers.gateway import Gateway

log = logging.getLogger(__name__)


async def serve_slot(slot: Slot, clock: Clock, ready: Callable[[], None]) -> Ending:
    """Be the daemon of the attachment in `slot` until it is detached, or this process is told to end by SIGTERM or
    SIGINT, and then leave the device to the next one.

    `ready` is called when the kernel is answered.  Raises `Busy` where a daemon lives already, and what is wrong; a
    device that this one connected is gone then.
    """
    for problem in protect():
        log.warning("! %s", problem)
    with slot.for_daemon():
        attachment = _begin(slot)
        took_over = Device.connected_as(attachment.backend) is not None
        served = False

        def tell() -> None:
            nonlocal served
            served = True
            notify(os.environ, READY)
            ready()

        try:
            ending = await _run(slot, attachment, clock, tell)
        finally:
            if not served and not took_over:
                await disconnect(attachment)
    return ending


def _begin(slot: Slot) -> Attachment:
    """A new generation, which is kept before the server hears of it."""
    before = slot.load()
    now = Process.of(os.getpid())
    return slot.save(msgspec.structs.replace(before, generation=before.generation + 1, daemon=now))


@contextmanager
def _record(slot: Slot, attachment: Attachment) -> Iterator[RecordFile]:
    directory = slot.unflushed_at(attachment)
    directory.mkdir(parents=True, exist_ok=True)
    record = RecordFile.open(directory, keep_data=bool(attachment.record))
    try:
        yield record
    finally:
        record.close()


async def _run(slot: Slot, attachment: Attachment, clock: Clock, ready: Callable[[], None]) -> Ending:
    daemon = Daemon(slot, attachment, clock)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, daemon.end)
    if attachment.via is Via.NBDKIT:
        return await daemon.run(NbdkitGateway(slot, attachment, clock), ready)
    with _record(slot, attachment) as record:
        return await daemon.run(_own_gateway(attachment, record, clock, daemon.changed), ready)


def _own_gateway(attachment: Attachment, record: RecordFile, clock: Clock, changed: Callable[[], None]) -> OwnGateway:
    terms = Terms(
        patient=True,
        client=bytes.fromhex(attachment.client),
        generation=attachment.generation,
        identity=attachment.identity,
        record=record,
    )
    name, timeout = attachment.served, attachment.timeout or math.inf
    names = [name] if name else []
    gateway = Gateway(attachment.endpoint, timeout, names, read_only=attachment.read_only, terms=terms)
    return OwnGateway(gateway, name, clock, changed, insists=not attachment.timeout)
