"""A disk as a file: nbdfuse, mounted over it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from g2disk.attach.processes import Process, find_program, last_error, run, start
from g2disk.attach.records import Slot
from g2disk.attach.usage import is_mount_point
from g2disk.clock import Clock
from g2disk.errors import Busy, Exists, Invalid, NotFound, Unavailable, Unsupported, from_os_error

PATIENCE = 30.0
"""Seconds that nbdfuse may take to get ready or to end."""


def require_fuse() -> None:
    """Raise `Unsupported` where FUSE is not there."""
    if not Path("/dev/fuse").exists():
        raise Unsupported("this kernel has no FUSE (/dev/fuse is missing); modprobe fuse, as root")
    find_program("nbdfuse")
    find_program("fusermount3")


def resolved(file: Path) -> Path:
    """The path that the kernel shows it with."""
    return file.resolve()


def prepare_file(file: Path) -> bool:
    """Make sure that `file` (resolved) can be mounted over; whether it was created for that.

    An existing file's content is hidden while the disk is attached.
    """
    if is_mount_point(file):
        raise Busy(f"something is mounted on {file} already; take another file, or detach what is there")
    try:
        file.touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        if not file.is_file():
            raise Exists(f"{file} is not a regular file; take a new name, the file is made then") from None
        return False
    except FileNotFoundError:
        raise NotFound(f"there is no directory {file.parent}; make it first") from None
    except OSError as error:
        raise from_os_error(error, f"making {file}") from error
    return True


def start_fuse(slot: Slot, file: Path, connections: int, read_only: bool) -> Process:
    """Start showing the gateway's disk as `file`; it is not ready yet."""
    options = ["-C", str(connections), *(["-r"] if read_only else [])]
    return start(["nbdfuse", *options, file, "--unix", slot.socket], slot.fuse_log)


async def wait_for_fuse(slot: Slot, fuse: Process, file: Path, size: int, clock: Clock) -> None:
    """Return when the file is there.  Raises `Unavailable` with what nbdfuse said when it ends instead."""
    deadline = clock.now() + PATIENCE
    while not is_mount_point(file):
        if not fuse.is_alive():
            raise Unavailable(f"nbdfuse did not start: {last_error(slot.fuse_log)}")
        if clock.now() > deadline:
            raise Unavailable(f"nbdfuse did not get ready within {PATIENCE:g} s: {last_error(slot.fuse_log)}")
        await clock.sleep(0.02)
    shown = (await asyncio.to_thread(file.stat)).st_size
    if shown != size:
        raise Invalid(f"{file} shows {shown} of the disk's {size} bytes; look into {slot.fuse_log}")


async def unmount(file: Path, force: bool) -> None:
    """Take the file away again.  With `force`, also from under whoever has it open.  Raises `Busy`."""
    if not is_mount_point(file):
        return
    done = await run(["fusermount3", "-u", *(["-z"] if force else []), file], PATIENCE)
    if is_mount_point(file):
        if os.geteuid() == 0:
            done = await run(["umount", *(["-l"] if force else []), file], PATIENCE)
        if is_mount_point(file):
            raise Busy(f"{file} cannot be unmounted: {done.complaint()}; end what uses it (see `fuser -m {file}`)")
