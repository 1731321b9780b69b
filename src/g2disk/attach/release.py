"""Letting go of an attachment, whatever hangs."""

from __future__ import annotations

import contextlib
import signal

from g2disk.attach import gateway
from g2disk.attach.device import Device, remove_link
from g2disk.attach.netlink import ask_kernel
from g2disk.attach.records import Attachment, Slot
from g2disk.errors import Unavailable

_KILL = 1.0
"""Seconds that a process may take to end after SIGKILL."""
_KERNEL = 10.0
"""Seconds that the kernel may take to fail what it cannot do any more."""


async def release(slot: Slot, attachment: Attachment) -> None:
    """`cut` the attachment off, and forget it."""
    await cut(attachment)
    forget(slot, attachment)


async def cut(attachment: Attachment) -> None:
    """Kill the attachment's processes and disconnect its device; what was not stored is lost.

    Whoever uses the device sees errors from now on.  It takes no lock: nothing is meant but these processes and the
    device with this backend identifier.  Raises `Unavailable` where the kernel does not let go.
    """
    processes = [process for process in (attachment.daemon, attachment.gateway) if process is not None]
    for process in processes:
        await process.send(signal.SIGKILL, _KILL)
    await disconnect(attachment)
    # What is stuck in the kernel because of the device ends only now.
    for process in processes:
        if not await process.send(signal.SIGKILL, _KILL):
            raise Unavailable(f"process {process.pid} did not end within {_KILL:g} s of being killed; see `dmesg`")
    # It may have connected the device as its last deed.
    await disconnect(attachment)


async def disconnect(attachment: Attachment) -> None:
    """Have the kernel end the attachment's device, if it has one."""
    device = Device.connected_as(attachment.backend)
    if device is not None:
        await ask_kernel(lambda family: family.disconnect(device.index), _KERNEL, "disconnecting")
        remove_link(attachment.disk, device)


def forget(slot: Slot, attachment: Attachment) -> None:
    """Remove all that is kept of an attachment, what was not flushed too."""
    if attachment.kind == "kernel" and attachment.target:
        device = Device.named(attachment.target)
        # Where it was disconnected by hand, the link would sooner or later name somebody else's disk.
        if device.backend() in ("", attachment.backend):
            remove_link(attachment.disk, device)
    if attachment.record:
        record = slot.unflushed_at(attachment)
        with contextlib.suppress(OSError):  # what stays there is in nobody's way
            for file in record.glob("unflushed*"):
                file.unlink()
            record.rmdir()
    slot.remove()


async def end_gateway(attachment: Attachment) -> None:
    """End the process that serves a file, or nbdkit, if there is one; it stores what it can."""
    if attachment.gateway is not None:
        await attachment.gateway.end(gateway.PATIENCE)
