"""Attaching a disk: the steps, and how they are undone."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from g2disk.attach import fuse, gateway, kernel
from g2disk.attach.records import Attachment, RunDirectory, Slot
from g2disk.clock import Clock
from g2disk.disk import DiskInfo
from g2disk.errors import Busy, Unsupported
from g2disk.remote.disk import RemoteDisk
from g2disk.remote.endpoint import DEFAULT_TIMEOUT, check_endpoint
from g2disk.servers.gateway import can_share
from g2disk.stores.remote import RemoteStore
from g2disk.units import DEFAULT_DISK


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be attached, and how."""

    endpoint: str
    disk: str
    """Empty: the server's default disk."""
    device: str = ""
    """Empty: a free one."""
    file: Path | None = None
    """Show the disk as this file, by FUSE, instead of a device."""
    connections: int = 1
    read_only: bool = False
    timeout: float = DEFAULT_TIMEOUT
    """Seconds that a request waits for a server that is away, before it fails."""
    via: gateway.Via = gateway.Via.NBD


async def attach(wish: Wish, directory: RunDirectory, clock: Clock) -> Attachment:
    """Attach a disk.  When this fails or is cancelled, all that it started is undone.

    Raises `Denied`, `Unsupported`, `Busy`, `Invalid`, `NotFound` and `Unavailable`, each saying what to do.
    """
    if wish.device:
        kernel.Device.named(wish.device)
    if wish.file is None:
        await kernel.require_kernel()
        kernel.candidates(wish.device)
    else:
        fuse.require_fuse()
    name, info = await _describe(wish)
    attachment = Attachment(
        disk=name or DEFAULT_DISK,
        endpoint=gateway.absolute(wish.endpoint),
        identity=info.identity,
        size=info.size,
        read_only=info.read_only,
        kind="kernel" if wish.file is None else "fuse",
    )
    with directory.new() as slot:
        async with AsyncExitStack() as undo:
            undo.callback(slot.remove)
            with directory.exclusive():
                _refuse_twice(attachment, directory)
                slot.save(attachment)
            source = gateway.Source(wish.endpoint, name, wish.timeout, wish.read_only)
            process = gateway.start_gateway(slot, source, wish.via)
            undo.push_async_callback(process.end, gateway.PATIENCE)
            attachment = slot.save(msgspec.structs.replace(attachment, gateway=process))
            await gateway.wait_for_gateway(slot, process, clock)
            finish = _attach_device if wish.file is None else _attach_file
            attachment = await finish(wish, slot, attachment, info, undo, clock)
            undo.pop_all()
    return attachment


async def _attach_device(
    wish: Wish, slot: Slot, attachment: Attachment, info: DiskInfo, undo: AsyncExitStack, clock: Clock
) -> Attachment:
    free = kernel.candidates(wish.device)
    device = await kernel.connect(free, slot.socket, info, wish.connections, wish.timeout, clock)
    undo.push_async_callback(kernel.disconnect, device, clock)
    return slot.save(msgspec.structs.replace(attachment, target=str(device.path), owner=device.owner()))


async def _attach_file(
    wish: Wish, slot: Slot, attachment: Attachment, info: DiskInfo, undo: AsyncExitStack, clock: Clock
) -> Attachment:
    assert wish.file is not None
    file = wish.file.resolve()
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
    check_endpoint(wish.endpoint)
    store = RemoteStore(wish.endpoint, wish.timeout)
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
    for _, there in directory.all():
        same = (
            there.identity == wanted.identity
            if wanted.identity
            else (there.endpoint, there.disk) == (wanted.endpoint, wanted.disk)
        )
        if same:
            raise Busy(
                f"the disk {wanted.disk!r} is attached already, as {there.where}; use that, or `g2disk detach "
                f"{there.disk}` first"
            )
