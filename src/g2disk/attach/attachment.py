"""Attaching a disk: the steps, and how they are undone."""

from __future__ import annotations

import math
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from g2disk.attach import fuse, gateway
from g2disk.attach.control import Report, ask
from g2disk.attach.daemon import Ending
from g2disk.attach.device import Device, check_free, require_kernel
from g2disk.attach.processes import Process, last_error, start
from g2disk.attach.records import Attachment, RunDirectory, Slot, Via
from g2disk.attach.release import end_gateway, forget, release
from g2disk.attach.serving import serve_slot
from g2disk.clock import Clock
from g2disk.disk import DiskInfo
from g2disk.disk.identity import new_identity
from g2disk.errors import Busy, Corrupt, Unavailable, Unsupported
from g2disk.remote.disk import RemoteDisk
from g2disk.remote.endpoint import DEFAULT_TIMEOUT, endpoints_of
from g2disk.servers.gateway import can_share
from g2disk.stores.remote import RemoteStore
from g2disk.units import DEFAULT_DISK

_PATIENCE = 60.0
"""Seconds that a daemon may take to attach a disk of a server that is there."""
_TAKEOVER = 10.0
"""Seconds to wait for a daemon that takes over; with a server that is away it takes as long as that."""
_ANSWER = 1.0
"""Seconds that a daemon may take to answer."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be attached, and how."""

    endpoint: str
    """Several, with commas between them, are tried in order."""
    disk: str
    """Empty: the server's default disk."""
    device: str = ""
    """Empty: a free one."""
    file: Path | None = None
    """Show the disk as this file, by FUSE, instead of a device."""
    connections: int = 1
    read_only: bool = False
    timeout: float = 0.0
    """Seconds that a request waits for a server that is away, before it fails; 0: for ever."""
    via: Via = Via.NBD
    record: Path | None = None
    """Keep what is unflushed in this directory, beyond the life of the daemon."""


async def attach(wish: Wish, directory: RunDirectory, clock: Clock) -> Attachment:
    """Attach a disk, or take over the device of an attachment whose daemon is dead, with the options that it has.  When
    this fails or is cancelled, all that it started is undone.

    Raises `Denied`, `Unsupported`, `Busy`, `Invalid`, `NotFound` and `Unavailable`, each saying what to do.
    """
    if wish.file is not None:
        return await _attach_by_fuse(wish, wish.file, directory, clock)
    async with _claimed(wish, directory) as (slot, took_over):
        daemon = start([sys.executable, "-m", "g2disk.cli.main", "daemon", slot.path], slot.daemon_log)
        try:
            await _wait_for_daemon(slot, daemon, _TAKEOVER if took_over else _PATIENCE, took_over, clock)
            return slot.load()
        except BaseException:
            await daemon.send(signal.SIGKILL, _ANSWER)
            raise


async def attach_here(wish: Wish, directory: RunDirectory, clock: Clock, ready: Callable[[Attachment], None]) -> Ending:
    """Attach a disk, or take its device over, and be its daemon; see `serve_slot`."""
    async with _claimed(wish, directory) as (slot, took_over):
        # From here on the attachment is not left over, though nobody holds its lock.
        attachment = slot.save(msgspec.structs.replace(slot.load(), daemon=Process.of(os.getpid())))
    served = False

    def tell() -> None:
        nonlocal served
        served = True
        ready(slot.load())

    try:
        return await serve_slot(slot, clock, tell)
    finally:
        if not served and not took_over:
            await end_gateway(_latest(slot, attachment))
            forget(slot, attachment)


@asynccontextmanager
async def _claimed(wish: Wish, directory: RunDirectory) -> AsyncIterator[tuple[Slot, bool]]:
    """The slot for a daemon, locked while the block runs, and whether its device is there already, without one.

    When the block fails, a new attachment is undone.
    """
    if wish.device:
        Device.named(wish.device)
    await require_kernel()
    endpoint = gateway.absolute(wish.endpoint)
    for path, there in directory.all():
        if there.kind == "kernel" and there.serves(endpoint, wish.disk):
            with directory.locked(path) as slot:
                now = _latest(slot, there)
                if _may_be_taken_over(now):
                    yield slot, True
                    return
                await end_gateway(now)
                forget(slot, now)
    if wish.device:
        check_free(wish.device)
    attachment = _new_attachment(wish, *await _describe(wish))
    with directory.new() as slot:
        async with AsyncExitStack() as undo:
            undo.push_async_callback(_undo, slot, attachment)
            with directory.exclusive():
                _refuse_twice(attachment, directory)
                slot.save(attachment)
            yield slot, False
            undo.pop_all()


async def _undo(slot: Slot, attachment: Attachment) -> None:
    await release(slot, _latest(slot, attachment))


def _latest(slot: Slot, attachment: Attachment) -> Attachment:
    """What the daemon kept last; `attachment`, as it was at first, where that cannot be read."""
    try:
        return slot.load()
    except (FileNotFoundError, Corrupt):
        return attachment


def _may_be_taken_over(attachment: Attachment) -> bool:
    """Whether the device is there, without a daemon.  Raises `Busy` where one lives."""
    if attachment.daemon is not None and attachment.daemon.is_alive():
        raise _attached_already(attachment)
    return Device.connected_as(attachment.backend) is not None


async def _wait_for_daemon(
    slot: Slot, daemon: Process, patience: float, took_over: bool, clock: Clock
) -> Report | None:
    """Return when it answers the kernel; or, where it took over, when the patience is over: it goes on by itself.

    Raises `Unavailable` with what it said when it ends instead.
    """
    deadline, pause = clock.now() + patience, 0.02
    while True:
        try:
            report = await ask(slot.control, "status", _ANSWER)
        except Unavailable:
            report = None
        if report is not None and report.condition != "starting":
            return report
        if not daemon.is_alive():
            raise Unavailable(f"the daemon could not attach the disk: {last_error(slot.daemon_log)}")
        if clock.now() > deadline:
            if took_over:
                return report
            raise Unavailable(f"the daemon did not get ready within {patience:g} s: {last_error(slot.daemon_log)}")
        await clock.sleep(pause)
        pause = min(1.5 * pause, 0.25)


def _new_attachment(wish: Wish, name: str, info: DiskInfo) -> Attachment:
    client = new_identity().replace("-", "")
    return Attachment(
        disk=name or DEFAULT_DISK,
        endpoint=gateway.absolute(wish.endpoint),
        identity=info.identity,
        size=info.size,
        read_only=info.read_only,
        kind="kernel" if wish.file is None else "fuse",
        via=wish.via,
        timeout=wish.timeout,
        asked=wish.disk,
        served=name,
        wanted=wish.device,
        backend=f"g2disk-{client}",
        client=client,
        connections=wish.connections,
        record=str(wish.record.absolute()) if wish.record else "",
    )


async def _attach_by_fuse(wish: Wish, file: Path, directory: RunDirectory, clock: Clock) -> Attachment:
    file = fuse.resolved(file)
    fuse.require_fuse()
    name, info = await _describe(wish)
    attachment = _new_attachment(wish, name, info)
    with directory.new() as slot:
        async with AsyncExitStack() as undo:
            undo.callback(slot.remove)
            with directory.exclusive():
                _refuse_twice(attachment, directory)
                slot.save(attachment)
            source = gateway.Source(wish.endpoint, name, wish.timeout or DEFAULT_TIMEOUT, wish.read_only)
            process = gateway.start_gateway(slot, source, wish.via)
            undo.push_async_callback(process.end, gateway.PATIENCE)
            attachment = slot.save(msgspec.structs.replace(attachment, gateway=process))
            await gateway.wait_for_gateway(slot, process, clock)
            attachment = await _attach_file(wish, file, slot, attachment, info, undo, clock)
            undo.pop_all()
    return attachment


async def _attach_file(
    wish: Wish, file: Path, slot: Slot, attachment: Attachment, info: DiskInfo, undo: AsyncExitStack, clock: Clock
) -> Attachment:
    made = fuse.prepare_file(file)
    if made:
        undo.callback(file.unlink, missing_ok=True)
    attachment = slot.save(msgspec.structs.replace(attachment, target=str(file), made_file=made))
    process = fuse.start_fuse(slot, file, wish.connections, info.read_only)
    undo.push_async_callback(process.end, fuse.PATIENCE)
    undo.push_async_callback(fuse.unmount, file, force=True)
    attachment = slot.save(msgspec.structs.replace(attachment, fuse=process))
    await fuse.wait_for_fuse(slot, process, file, info.size, clock)
    return attachment


async def _describe(wish: Wish) -> tuple[str, DiskInfo]:
    """The disk's name at the server (empty where it has none) and what the gateway will make of it."""
    endpoints_of(wish.endpoint)
    store = RemoteStore(wish.endpoint, min(wish.timeout or math.inf, DEFAULT_TIMEOUT))
    try:
        disk = await store.open(wish.disk)
        info = disk.info()
        name = disk.name if isinstance(disk, RemoteDisk) else ""
    finally:
        await store.close()
    if wish.connections > 1 and not can_share(info):
        raise Unsupported(
            f"the disk {wish.disk!r} does not allow several connections: its server cannot flush the writes of all at "
            "once; leave out --connections"
        )
    return name, replace(info, read_only=info.read_only or wish.read_only)


def _refuse_twice(wanted: Attachment, directory: RunDirectory) -> None:
    """Two devices of one disk would each keep their own idea of it in memory, and destroy each other's files."""
    for path, there in directory.all():
        same = (
            there.identity == wanted.identity
            if wanted.identity
            else (there.endpoint, there.disk) == (wanted.endpoint, wanted.disk)
        )
        if same and not _is_left_over(directory, path, there):
            raise _attached_already(there)


def _is_left_over(directory: RunDirectory, path: Path, attachment: Attachment) -> bool:
    """Whether nothing is there any more but what is kept of it."""
    alive = attachment.daemon is not None and attachment.daemon.is_alive()
    if attachment.kind != "kernel" or alive or Device.connected_as(attachment.backend) is not None:
        return False
    try:
        with directory.locked(path):
            return True
    except Busy:
        return False


def _attached_already(there: Attachment) -> Busy:
    return Busy(
        f"the disk {there.disk!r} is attached already, as {there.where}; use that, or `g2disk detach {there.disk}` "
        "first"
    )
