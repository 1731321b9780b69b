"""The kernel's nbd devices as /sys and /dev show them, and the links to them in /dev/g2disk."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from g2disk.attach.processes import run
from g2disk.errors import Busy, Denied, Invalid, Unsupported
from g2disk.units import check_disk_name

PATIENCE = 30.0
"""Seconds that the kernel may take."""

FUSE_INSTEAD = "use `g2disk attach NAME --fuse FILE`, which needs no module"

LINKS = Path("/dev/g2disk")
"""Where attached disks are found by name."""

_SYS, _DEV = Path("/sys/block"), Path("/dev")
_LARGEST_BLOCK = 4096
"""Bytes; the largest block that all kernels take, a page."""


@dataclass(frozen=True, slots=True)
class Device:
    """One of the kernel's nbd devices, connected or not."""

    index: int

    @classmethod
    def named(cls, text: str) -> Device:
        """The device that `text` means: /dev/nbd0 or nbd0.  Raises `Invalid`."""
        name = os.path.realpath(text).removeprefix("/dev/") if "/" in text else text
        if re.fullmatch(r"nbd\d+", name) is None:
            raise Invalid(f"'{text}' is no nbd device; name one such as /dev/nbd0, or leave it out to take a free one")
        return cls(int(name.removeprefix("nbd")))

    @classmethod
    def connected_as(cls, backend: str) -> Device | None:
        """The device that is connected with this backend identifier, if there is one."""
        return next((device for device in devices() if backend and device.backend() == backend), None)

    @property
    def name(self) -> str:
        """nbd0 and so on."""
        return f"nbd{self.index}"

    @property
    def path(self) -> Path:
        """The device node."""
        return _DEV / self.name

    def exists(self) -> bool:
        """Whether the kernel has it."""
        return (_SYS / self.name).is_dir()

    def is_connected(self) -> bool:
        """Whether somebody connected it."""
        return bool(self._read("pid"))

    def backend(self) -> str:
        """The backend identifier that it was connected with; empty where there is none."""
        return self._read("backend")

    def size(self) -> int:
        """Bytes."""
        return int(self._read("size") or 0) * 512

    def _read(self, name: str) -> str:
        try:
            return (_SYS / self.name / name).read_text().strip()
        except OSError:  # gone, or gone while it was read: both mean that it is not connected
            return ""


def devices() -> list[Device]:
    """All that the kernel has, by number."""
    names = (entry.name for entry in _SYS.iterdir())
    return sorted((Device.named(name) for name in names if re.fullmatch(r"nbd\d+", name)), key=lambda each: each.index)


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


def check_free(wanted: str) -> None:
    """Raise `Invalid` where the device that is `wanted` is not there, and `Busy` where it is connected."""
    device = Device.named(wanted)
    if not device.exists() or not device.path.is_block_device():
        raise Invalid(f"there is no {device.path}; take one of {', '.join(str(each.path) for each in devices())}")
    if device.is_connected():
        raise Busy(f"{device.path} is connected already; take another device, or leave it out to take a free one")


def checked_block_size(minimum: int) -> int:
    """The size of the device's blocks, in bytes, for a disk whose smallest block is `minimum` bytes.  Raises
    `Unsupported` where that is larger than a page.
    """
    if minimum > _LARGEST_BLOCK:
        raise Unsupported(
            f"the disk's smallest block is {minimum} bytes, the kernel's client takes at most {_LARGEST_BLOCK}; "
            f"{FUSE_INSTEAD}"
        )
    return max(512, minimum)


def make_link(name: str, device: Device) -> Path | None:
    """Have /dev/g2disk/NAME mean the device; None where the name cannot be a file's, or means another connected
    device.
    """
    link = LINKS / name
    if not _can_be_file(name) or (_linked(link) not in (None, device) and _is_taken(link)):
        return None
    LINKS.mkdir(exist_ok=True)
    new = LINKS / f".{name}.{device.name}"
    new.unlink(missing_ok=True)
    new.symlink_to(device.path)
    new.replace(link)
    return link


def remove_link(name: str, device: Device) -> None:
    """Undo `make_link`."""
    link = LINKS / name
    if _can_be_file(name) and _linked(link) == device:
        link.unlink(missing_ok=True)


def _linked(link: Path) -> Device | None:
    """The device that a link of ours means."""
    try:
        target = os.readlink(link)
    except OSError:
        return None
    return Device.named(target) if re.fullmatch(r"/dev/nbd\d+", target) else None


def _is_taken(link: Path) -> bool:
    device = _linked(link)
    return device is not None and device.is_connected()


def _can_be_file(name: str) -> bool:
    try:
        check_disk_name(name)
    except Invalid:
        return False
    return True
