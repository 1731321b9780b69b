"""Sizes as people write them, and the names that disks may have."""

from __future__ import annotations

import re

from g2disk.errors import Invalid

SECTOR = 512
"""Every disk's size, in bytes, is a multiple of this."""

DEFAULT_DISK = "default"
"""The disk that the empty name stands for, where a store holds more than one."""

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30

MAXIMUM_DISK_SIZE = (1 << 63) - 4096
"""The largest disk, in bytes: offsets in NBD servers and in the kernel are signed 64-bit numbers, so 2^63 itself does
not fit; this is the largest whole number of 4 KiB blocks below it."""

_SUFFIXES = "BKMGTPE"
_SIZE = re.compile(r"(?P<number>[0-9]{1,20}(?:\.[0-9]{1,20})?)\s*(?:(?P<unit>[KMGTPE])(?:iB|B)?|B)?", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def parse_size(text: str) -> int:
    """The number of bytes that `text` names: 512, 5MiB, 10G, 1.5TiB; units are powers of 1024.

    8EiB gives `MAXIMUM_DISK_SIZE`, the 4 KiB less that make it addressable.  Raises `Invalid`.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise Invalid(f"'{text}' is not a size; write bytes or a unit, such as 4096, 5MiB, 10G or 1EiB")
    whole, _, fraction = match["number"].partition(".")
    factor = 1 << (10 * _SUFFIXES.index((match["unit"] or "B").upper()))
    size = int(whole) * factor
    if fraction:
        part, rest = divmod(int(fraction) * factor, 10 ** len(fraction))
        if rest:
            raise Invalid(f"'{text}' is not a whole number of bytes; use a smaller unit")
        size += part
    return MAXIMUM_DISK_SIZE if size == 1 << 63 else size


def format_size(size: int) -> str:
    """`size` bytes for people: exact ("5MiB") where a unit divides it, else to three digits ("1.46GiB")."""
    if size == MAXIMUM_DISK_SIZE:
        return "8EiB-4KiB"
    power = min(max(size.bit_length() - 1, 0) // 10, len(_SUFFIXES) - 1)
    if power == 0:
        return f"{size}B"
    value = size / (1 << (10 * power))
    number = f"{value:.0f}" if size % (1 << (10 * power)) == 0 else f"{value:.{2 if value < 100 else 0}f}"
    return f"{number}{_SUFFIXES[power]}iB"


def check_disk_size(size: int) -> int:
    """`size` itself if a disk can have it, else raises `Invalid` saying what is possible."""
    if size <= 0:
        raise Invalid(f"a disk of {size} bytes cannot be; the smallest is {SECTOR} bytes")
    if size > MAXIMUM_DISK_SIZE:
        raise Invalid(f"a disk of {size} bytes is too large; the largest is {MAXIMUM_DISK_SIZE} bytes (8EiB-4KiB)")
    if size % SECTOR:
        below, above = size - size % SECTOR, size - size % SECTOR + SECTOR
        raise Invalid(
            f"a disk's size is a multiple of {SECTOR} bytes; take {f'{below} or {above}' if below else above}"
        )
    return size


def check_disk_name(name: str) -> str:
    """`name` itself if a disk can be called so, else raises `Invalid` saying what is possible."""
    return _check_name(name, "disk")


def check_snapshot_name(name: str) -> str:
    """`name` itself if a snapshot can be called so, which is as for disks."""
    return _check_name(name, "snapshot")


def _check_name(name: str, kind: str) -> str:
    if _NAME.fullmatch(name) is None:
        shown = name if len(name) <= 40 else f"{name[:40]}…"
        if kind == "disk" and "@" in name:
            raise Invalid(f"{shown!r} cannot be a disk's name: NAME@SNAPSHOT is a snapshot, give NAME alone")
        raise Invalid(
            f"{shown!r} cannot be a {kind}'s name; take 1 to 128 letters, digits, '.', '_' or '-', "
            "the first a letter or a digit"
        )
    return name


def check_export_name(name: str) -> str:
    """`name` itself if it can name a disk, or as NAME@SNAPSHOT a snapshot of one; else raises `Invalid`."""
    for part in name.split("@", 1):
        check_disk_name(part)
    return name


def split_snapshot(name: str) -> tuple[str, str]:
    """The disk and the snapshot that NAME@SNAPSHOT names.  Raises `Invalid`."""
    disk, at, snapshot = name.partition("@")
    if not at:
        raise Invalid(f"{name!r} names no snapshot; write NAME@SNAPSHOT, such as {disk or 'disk'}@before")
    return check_disk_name(disk), check_snapshot_name(snapshot)
