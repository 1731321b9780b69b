"""The kernel's nbd devices, connected and disconnected by nbd-client."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from g2disk.attach.processes import find_program, run
from g2disk.clock import Clock
from g2disk.disk import DiskInfo
from g2disk.errors import Busy, Denied, Invalid, Unavailable, Unsupported

PATIENCE = 30.0
"""Seconds that nbd-client or the kernel may take."""

FUSE_INSTEAD = "use `g2disk attach NAME --fuse FILE`, which needs no module"

_SYS, _DEV = Path("/sys/block"), Path("/dev")
_LARGEST_BLOCK = 4096
"""Bytes; the largest block that nbd-client can be told."""
_GRACE = 3.0
"""Seconds that a short look at a device may take."""
_TAKEN = "Failed to setup device"
"""What nbd-client says of a device that is not free (nbd-client.c, netlink_configure)."""


@dataclass(frozen=True, slots=True)
class Device:
    """One of the kernel's nbd devices, connected or not."""

    name: str
    """nbd0 and so on."""

    @classmethod
    def named(cls, text: str) -> Device:
        """The device that `text` means: /dev/nbd0 or nbd0.  Raises `Invalid`."""
        name = os.path.realpath(text).removeprefix("/dev/") if "/" in text else text
        if re.fullmatch(r"nbd\d+", name) is None:
            raise Invalid(f"'{text}' is no nbd device; name one such as /dev/nbd0, or leave it out to take a free one")
        return cls(name)

    @property
    def path(self) -> Path:
        """The device node."""
        return _DEV / self.name

    def exists(self) -> bool:
        """Whether the kernel has it."""
        return (_SYS / self.name).is_dir()

    def owner(self) -> str:
        """The pid of the process that connected it, as the kernel says, though it may have ended; empty: free."""
        try:
            return (_SYS / self.name / "pid").read_text().strip()
        except OSError:  # gone, or gone while it was read: both mean that it is not connected
            return ""

    def size(self) -> int:
        """Bytes."""
        return int((_SYS / self.name / "size").read_text()) * 512


def devices() -> list[Device]:
    """All that the kernel has, by number."""
    names = (entry.name for entry in _SYS.iterdir())
    return [Device(name) for name in sorted((name for name in names if re.fullmatch(r"nbd\d+", name)), key=_number)]


def _number(name: str) -> int:
    return int(name.removeprefix("nbd"))


async def require_kernel() -> None:
    """Make sure that devices can be attached, loading the module where this process may.

    Raises `Denied` and `Unsupported`, saying what to do instead.
    """
    if os.geteuid() != 0:
        raise Denied(f"attaching a device of the kernel takes root; run it with sudo, or {FUSE_INSTEAD}")
    if not devices():
        loading = await run(["modprobe", "nbd"], PATIENCE)
        if not devices():
            reason = f": {loading.complaint()}" if loading.status else ""
            raise Unsupported(f"this kernel has no nbd{reason}; {FUSE_INSTEAD}")
    if not any(device.path.is_block_device() for device in devices()):
        raise Unsupported(f"there are no {_DEV}/nbd* here, as in many containers; {FUSE_INSTEAD}")
    find_program("nbd-client")


def candidates(wanted: str) -> list[Device]:
    """The devices to try: the one that is `wanted`, or all free ones.  Raises `Invalid`, `Busy`."""
    if wanted:
        device = Device.named(wanted)
        if not device.exists() or not device.path.is_block_device():
            raise Invalid(f"there is no {device.path}; take one of {', '.join(str(each.path) for each in devices())}")
        if device.owner():
            raise Busy(f"{device.path} is connected already; take another device, or leave it out to take a free one")
        return [device]
    free = [device for device in devices() if device.path.is_block_device() and not device.owner()]
    if not free:
        raise Busy("all nbd devices are in use; detach one, or load the module with more (modprobe nbd nbds_max=64)")
    return free


async def connect(
    free: Sequence[Device], socket: Path, info: DiskInfo, connections: int, timeout: float, clock: Clock
) -> Device:
    """Connect the first of the devices that nobody else takes meanwhile to the gateway at `socket`, and wait until the
    kernel shows it with the disk's size.

    `timeout` is how long, in seconds, the gateway may take to answer a request.  When this fails or is cancelled, none
    is left connected.
    """
    options = ["-b", str(_block_size(info)), *(["-R"] if info.read_only else [])]
    if connections > 1:
        # With several connections the kernel sends a request again on another one when this runs out, even if the
        # first is still being executed: only after the gateway must have given up.
        options += ["-C", str(connections), "-t", str(int(timeout) + 30)]
    deadline = clock.now() + _GRACE
    while True:
        complaint = ""
        for device in free:
            complaint = await _connect(device, socket, options, info.size, clock)
            if not complaint:
                return device
            if _TAKEN not in complaint:
                raise Unavailable(f"nbd-client could not connect {device.path}: {complaint}")
        # The kernel also refuses a device that somebody merely looks at, as udev does after a change.
        if clock.now() > deadline or all(device.owner() for device in free):
            raise Busy(f"{_these(free)} taken by somebody else ({complaint}); take another device, or free one")
        await clock.sleep(0.1)


async def _connect(device: Device, socket: Path, options: Sequence[str], size: int, clock: Clock) -> str:
    """Connect this device; empty, or what nbd-client complained about."""
    pids: list[int] = []
    try:
        done = await run(["nbd-client", "-unix", socket, device.path, *options], PATIENCE, on_start=pids.append)
        if done.status:
            return done.complaint()
        await _wait_until_connected(device, size, clock)
    except BaseException:
        # nbd-client may have told the kernel before it was killed.
        if pids and device.owner() == str(pids[0]):
            await disconnect(device, clock)
        raise
    return ""


async def disconnect(device: Device, clock: Clock, patience: float = PATIENCE) -> None:
    """Disconnect, and wait until the kernel has let go.  Raises `Busy` when something keeps it open for longer than
    `patience` seconds; the device fails all I/O then, and is free as soon as it is closed.
    """
    done = await run(["nbd-client", "-d", device.path], PATIENCE)
    deadline = clock.now() + patience
    while device.owner():
        if clock.now() > deadline:
            raise Busy(
                f"the kernel has not let go of {device.path} after {patience:g} s ({done.complaint()}); "
                "end what has it open, then detach again"
            )
        await clock.sleep(0.02)


async def _wait_until_connected(device: Device, size: int, clock: Clock) -> None:
    deadline = clock.now() + PATIENCE
    while not device.owner() or device.size() != size:
        if clock.now() > deadline:
            raise Unavailable(f"{device.path} does not show the disk's {size} bytes but {device.size()}; see `dmesg`")
        await clock.sleep(0.02)


def _these(free: Sequence[Device]) -> str:
    return f"{free[0].path} is" if len(free) == 1 else f"all {len(free)} nbd devices that were free are"


def _block_size(info: DiskInfo) -> int:
    if info.minimum_block > _LARGEST_BLOCK:
        raise Unsupported(
            f"the disk's smallest block is {info.minimum_block} bytes, the kernel's client takes at most "
            f"{_LARGEST_BLOCK}; {FUSE_INSTEAD}"
        )
    return max(512, info.minimum_block)
