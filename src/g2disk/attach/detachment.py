"""Detaching a disk, and what is attached now."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from g2disk.attach import fuse
from g2disk.attach.control import Report, ask
from g2disk.attach.device import Device
from g2disk.attach.netlink import in_thread
from g2disk.attach.records import Attachment, RunDirectory, Slot
from g2disk.attach.release import cut, end_gateway, forget, release
from g2disk.attach.usage import device_users, file_users, is_mount_point, openers
from g2disk.clock import Clock
from g2disk.errors import Busy, Invalid, NotFound, Unavailable

_GRACE = 3.0
"""Seconds that a short look at a device (udev's, after it was attached) may take before it counts as use."""
_ANSWER = 1.0
"""Seconds that a daemon may take to say how it is."""
_DETACH = 30.0
"""Seconds that a daemon may take to detach, and then to end."""
_LET_GO = 2.0
"""Seconds that another command may take to end when its device is gone."""
_STORE = 600.0
"""Seconds that it may take to store what the kernel still holds."""


@dataclass(frozen=True, slots=True)
class Status:
    """An attachment as it is now."""

    attachment: Attachment
    since: float
    """Unix time."""
    alive: bool
    """Its process lives: the daemon, or the gateway of a file."""
    connected: bool
    """The device is still connected as it was, or the file is still there."""
    report: Report | None
    """What the daemon says; None where there is none, or it does not answer."""


async def status(directory: RunDirectory) -> list[Status]:
    """All that is attached, oldest first.  Takes little more than a second, whatever hangs."""
    found = await asyncio.gather(*(_status(path, attachment) for path, attachment in directory.all()))
    return [each for each in found if each is not None]


async def _status(path: Path, attachment: Attachment) -> Status | None:
    """None where it was detached meanwhile."""
    process = attachment.gateway if attachment.kind == "fuse" else attachment.daemon
    alive = process is not None and process.is_alive()
    report = None
    if alive and attachment.kind == "kernel":
        try:
            report = await ask(Slot(path).control, "status", _ANSWER)
        except Unavailable:
            report = None
    try:
        since = await asyncio.to_thread(lambda: path.stat().st_mtime)
    except FileNotFoundError:
        return None
    return Status(attachment, since, alive, _is_connected(attachment), report)


async def accept(what: str, directory: RunDirectory) -> tuple[Attachment, Report]:
    """A person accepts that an attached disk lost data, or is another one: it goes on with what is there.

    Raises `NotFound`, `Invalid`, `Unavailable`.
    """
    path, attachment = _find(what, directory)
    if attachment.kind != "kernel":
        raise Invalid(f"{attachment.where} has no daemon; detach it, check what is on the disk, and attach again")
    return attachment, await ask(Slot(path).control, "accept", _DETACH)


async def detach(what: str, directory: RunDirectory, clock: Clock, force: bool = False) -> Attachment:
    """Undo an attachment: `what` is the disk's name, the device or the file.

    Data that the kernel still holds is written first.  Raises `NotFound`; `Busy` while it is mounted or otherwise in
    use, and `Unavailable` when the data cannot be written; with `force` neither stops it.  Can be repeated after a
    failure.
    """
    path, found = _find(what, directory)
    if force and found.kind == "kernel":
        await _detach_by_force(path, found, directory, clock)
        return found
    with directory.locked(path) as slot:
        try:
            attachment = slot.load()
        except FileNotFoundError:
            raise NotFound(f"{what} was detached meanwhile") from None
        if attachment.kind == "fuse":
            await _detach_file(attachment, force, clock)
            await end_gateway(attachment)
            slot.remove()
        else:
            await _detach_device(slot, attachment, clock)
    return attachment


async def _detach_by_force(path: Path, attachment: Attachment, directory: RunDirectory, clock: Clock) -> None:
    # Before the lock is asked for: a command that has it may hang because of the device, and ends only now.
    await cut(attachment)
    deadline = clock.now() + _LET_GO
    while True:
        try:
            with directory.locked(path) as slot:
                # Whoever had the lock may have forgotten the attachment, and the slot may be another's now.
                now = slot.load()
                if now.client == attachment.client:
                    await release(slot, now)
                return
        except FileNotFoundError:
            return
        except Busy:
            if not await asyncio.to_thread(path.exists):
                return
            if clock.now() > deadline:
                raise
        await clock.sleep(0.05)


async def _detach_device(slot: Slot, attachment: Attachment, clock: Clock) -> None:
    device = Device.connected_as(attachment.backend)
    if device is not None:
        await _refuse_in_use(attachment, lambda: device_users(device.name), clock)
        await _store(slot, attachment)
        await ask(slot.control, "detach", _DETACH)
    if attachment.daemon is not None and not await attachment.daemon.ended(_DETACH if device else 0.0):
        await attachment.daemon.end(_DETACH)
    await end_gateway(attachment)
    if device is not None:
        await _wait_until_free(attachment, clock)
    forget(slot, attachment)


async def _store(slot: Slot, attachment: Attachment) -> None:
    """Have the kernel send what it still holds, and the disk make it durable."""
    lose = "or lose what was not stored, with --force"
    if attachment.daemon is None or not attachment.daemon.is_alive():
        raise Unavailable(
            f"the daemon of {attachment.target} is dead; attach {attachment.disk!r} again, which takes it over, {lose}"
        )
    report = await ask(slot.control, "status", _ANSWER)
    if report.condition != "connected" and not attachment.read_only:
        raise Unavailable(f"what was written last cannot be stored: {report.cause}; mend that, {lose}")
    if not attachment.read_only:
        await _write_back(attachment)


async def _wait_until_free(attachment: Attachment, clock: Clock) -> None:
    deadline = clock.now() + _GRACE
    while Device.connected_as(attachment.backend) is not None:
        if clock.now() > deadline:
            raise Busy(
                f"the kernel has not let go of {attachment.target}; end what has it open, then detach it with --force"
            )
        await clock.sleep(0.02)


async def _detach_file(attachment: Attachment, force: bool, clock: Clock) -> None:
    file = Path(attachment.target)
    if _is_connected(attachment) and not force:
        await _refuse_in_use(attachment, lambda: file_users(file), clock)
        if not attachment.read_only and attachment.gateway is not None and attachment.gateway.is_alive():
            await _write_back(attachment)
    if attachment.fuse is not None:
        await fuse.unmount(file, force)
        # It ends by itself when the file is gone, having sent what it held.
        if force or not await attachment.fuse.ended(fuse.PATIENCE):
            await attachment.fuse.end(fuse.PATIENCE)
    if attachment.made_file:
        await asyncio.to_thread(file.unlink, missing_ok=True)


async def _refuse_in_use(attachment: Attachment, users: Callable[[], list[str]], clock: Clock) -> None:
    deadline = clock.now() + _GRACE
    while True:
        found = users()
        opened = [] if found else [f"open in process {opener}" for opener in openers(Path(attachment.target))]
        if not found and not opened:
            return
        if found or clock.now() > deadline:
            raise Busy(
                f"{attachment.target} is {', and '.join(found + opened)}; end that and detach again, or lose data with "
                "--force"
            )
        await clock.sleep(0.1)


async def _write_back(attachment: Attachment) -> None:
    try:
        await in_thread(lambda: _sync(attachment.target), _STORE, f"writing to {attachment.target}")
    except OSError as error:
        raise Unavailable(
            f"what was written to {attachment.target} last could not be stored: {error.strerror}; see that the "
            f"server at {attachment.endpoint} runs and detach again, or lose it with --force"
        ) from error


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_connected(attachment: Attachment) -> bool:
    if not attachment.target:
        return False
    if attachment.kind == "fuse":
        return is_mount_point(Path(attachment.target)) and attachment.fuse is not None and attachment.fuse.is_alive()
    return Device.connected_as(attachment.backend) is not None


def _find(what: str, directory: RunDirectory) -> tuple[Path, Attachment]:
    attached = directory.all()
    named = [(path, attachment) for path, attachment in attached if attachment.disk == what]
    # Also a link in /dev/g2disk.
    spelled = os.path.realpath(what if "/" in what or not what.startswith("nbd") else f"/dev/{what}")
    found = [(path, attachment) for path, attachment in attached if attachment.target == spelled] or named
    if not found:
        raise NotFound(f"{what} is not attached; `g2disk status` shows what is")
    if len(found) > 1:
        targets = " or ".join(attachment.where for _, attachment in found)
        raise Invalid(f"several disks called {what!r} are attached; say which: {targets}")
    return found[0]
