"""Detaching a disk, and what is attached now."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from g2disk.attach import fuse, gateway, kernel
from g2disk.attach.kernel import Device
from g2disk.attach.records import Attachment, RunDirectory
from g2disk.attach.usage import device_users, file_users, is_mount_point, openers
from g2disk.clock import Clock
from g2disk.errors import Busy, Invalid, NotFound, Unavailable

_GRACE = 3.0
"""Seconds that a short look at a device (udev's, after it was attached) may take before it counts as use."""


@dataclass(frozen=True, slots=True)
class Status:
    """An attachment as it is now."""

    attachment: Attachment
    since: float
    """Unix time."""
    gateway_alive: bool
    connected: bool
    """The device is still connected as it was, or the file is still there."""


def status(directory: RunDirectory) -> list[Status]:
    """All that is attached, oldest first."""
    return [
        Status(
            attachment,
            path.stat().st_mtime,
            attachment.gateway is not None and attachment.gateway.is_alive(),
            _is_connected(attachment),
        )
        for path, attachment in directory.all()
    ]


async def detach(what: str, directory: RunDirectory, clock: Clock, force: bool = False) -> Attachment:
    """Undo an attachment: `what` is the disk's name, the device or the file.

    Data that the kernel still holds is written first.  Raises `NotFound`; `Busy` while it is mounted or otherwise in
    use, and `Unavailable` when the data cannot be written; with `force` neither stops it.  Can be repeated after a
    failure.
    """
    path = _find(what, directory)
    with directory.locked(path) as slot:
        try:
            attachment = slot.load()
        except FileNotFoundError:
            raise NotFound(f"{what} was detached meanwhile") from None
        if attachment.kind == "kernel":
            await _detach_device(attachment, force, clock)
        else:
            await _detach_file(attachment, force, clock)
        if attachment.gateway is not None:
            await attachment.gateway.end(gateway.PATIENCE)
        slot.remove()
    return attachment


async def _detach_device(attachment: Attachment, force: bool, clock: Clock) -> None:
    if not _is_connected(attachment):
        return
    device = Device.named(attachment.target)
    if not force:
        await _refuse_in_use(attachment, lambda: device_users(device.name), clock)
        await _write_back(attachment)
        await kernel.disconnect(device, clock)
        return
    with contextlib.suppress(Busy):  # whoever uses it sees errors from now on, and frees it in the end
        await kernel.disconnect(device, clock, _GRACE)


async def _detach_file(attachment: Attachment, force: bool, clock: Clock) -> None:
    file = Path(attachment.target)
    if _is_connected(attachment) and not force:
        await _refuse_in_use(attachment, lambda: file_users(file), clock)
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
    """Have the kernel send what it still holds, and the disk make it durable."""
    if attachment.read_only or attachment.gateway is None or not attachment.gateway.is_alive():
        return
    try:
        await asyncio.to_thread(_sync, attachment.target)
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
    return Device.named(attachment.target).owner() == attachment.owner != ""


def _find(what: str, directory: RunDirectory) -> Path:
    attached = directory.all()
    named = [(path, attachment) for path, attachment in attached if attachment.disk == what]
    spelled = os.path.realpath(what if "/" in what or not what.startswith("nbd") else f"/dev/{what}")
    found = [(path, attachment) for path, attachment in attached if attachment.target == spelled] or named
    if not found:
        raise NotFound(f"{what} is not attached; `g2disk status` shows what is")
    if len(found) > 1:
        targets = " or ".join(attachment.where for _, attachment in found)
        raise Invalid(f"several disks called {what!r} are attached; say which: {targets}")
    return found[0][0]
