"""Who uses a block device or a file: mounts, other devices, swap, loop devices and processes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

_SYS, _PROC, _DEV = Path("/sys/block"), Path("/proc"), Path("/dev")


def device_users(name: str) -> list[str]:
    """What uses the block device `name` ("nbd0") or a partition of it, each as the end of "… is": "mounted on /mnt",
    "used by /dev/dm-0", "used as swap space".
    """
    found: list[str] = []
    swaps = [line.split()[0] for line in _text(_PROC / "swaps").splitlines()[1:]]
    for part in (_SYS / name, *_partitions(name)):
        path = str(_DEV / part.name)
        found += (f"mounted on {where}" for where in mounted_at(_text(part / "dev").strip(), path))
        found += (f"used by {_DEV / holder}" for holder in _names(part / "holders"))
        if path in swaps:
            found.append(f"used as swap space (swapoff {path})")
    return found


def file_users(path: Path) -> list[str]:
    """What uses the file at `path` (resolved) as a disk, as `device_users` says it."""
    found: list[str] = []
    for loop in loops_on(path):
        device = _DEV / loop
        users = device_users(loop)
        found += (f"behind {device}, which is {user}" for user in users)
        if not users:
            found.append(f"behind {device} (losetup -d {device})")
    return found


def loops_on(path: Path) -> list[str]:
    """The loop devices ("loop0") over the file at `path` (resolved)."""
    return [
        name
        for name in _names(_SYS)
        if name.startswith("loop") and _text(_SYS / name / "loop/backing_file").rstrip("\n") == str(path)
    ]


def mounted_at(number: str, source: str) -> list[str]:
    """Where the block device of that number ("43:0") or that path is mounted, in this process's view of the mounts."""
    return [
        where
        for mount_number, where, _, mount_source in _mounts()
        # btrfs and others mount under a number that is no device's.
        if mount_number == number or mount_source == source
    ]


def is_mount_point(path: Path) -> bool:
    """Whether something is mounted on `path` (resolved); never touches what is mounted."""
    return any(where == str(path) for _, where, _, _ in _mounts())


def openers(path: Path) -> list[str]:
    """The processes, as "PID (NAME)", that have the file or device at `path` (resolved) open; only those that this user
    may look at.
    """
    found: list[str] = []
    for process in _names(_PROC):
        if not process.isdecimal() or int(process) == os.getpid():
            continue
        if any(
            _target(_PROC / process / "fd" / descriptor) == str(path) for descriptor in _names(_PROC / process / "fd")
        ):
            found.append(f"{process} ({_text(_PROC / process / 'comm').strip()})")
    return found


def _mounts() -> Iterator[tuple[str, str, str, str]]:
    """(device number, mount point, file system, source) of every mount; see proc(5)."""
    for line in _text(_PROC / "self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, (kind, source, *_) = before.split(" "), after.split(" ")
        yield fields[2], _unescape(fields[4]), kind, _unescape(source)


def _unescape(text: str) -> str:
    """The kernel writes spaces and the like as three octal digits."""
    raw = re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8)]), os.fsencode(text))
    return os.fsdecode(raw)


def _partitions(name: str) -> list[Path]:
    return [_SYS / name / entry for entry in _names(_SYS / name) if (_SYS / name / entry / "partition").exists()]


def _names(directory: Path) -> list[str]:
    """The sorted names in a directory; none where it is gone or not ours to look at."""
    try:
        return sorted(os.listdir(directory))
    except (FileNotFoundError, ProcessLookupError, PermissionError, NotADirectoryError):
        return []


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""


def _text(path: Path) -> str:
    """A small file of the kernel's; empty where it is gone."""
    try:
        return os.fsdecode(path.read_bytes())
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""
    except OSError:  # a device that went away while its file was read
        return ""
