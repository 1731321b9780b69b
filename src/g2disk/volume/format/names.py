"""The keys of a volume's objects in its store.

    disks/NAME.json                                      the catalogue's entry of a disk
    volumes/ID/manifests/<version>                       a version of the volume's manifest
    volumes/ID/segments/<number>-<epoch>                 a segment
    volumes/ID/maps/<number>-<epoch>                     map pages

Versions and numbers have 16 hexadecimal digits, epochs 8, so that keys sort as their numbers do.  ID is 32 of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MARK_KEY = "g2disk.json"
"""Of the object that says what the store is."""
DISKS_PREFIX = "disks/"
VOLUMES_PREFIX = "volumes/"

_MANIFEST = re.compile(r"volumes/([0-9a-f]{32})/manifests/([0-9a-f]{16})")
_OBJECT = re.compile(r"volumes/([0-9a-f]{32})/(segments|maps)/([0-9a-f]{16})-([0-9a-f]{8})")


@dataclass(frozen=True, slots=True, order=True)
class SegmentName:
    """Which segment it is, among those of one volume."""

    number: int
    """From 1 up; never used twice by a volume and what it was cloned from, but for segments of fenced epochs."""
    epoch: int
    """Of the writer."""

    def key(self, volume: str) -> str:
        """Its key, where it belongs to `volume`."""
        return f"volumes/{volume}/segments/{self.number:016x}-{self.epoch:08x}"


@dataclass(frozen=True, slots=True, order=True)
class MapName:
    """Which map object it is, among those of one volume."""

    number: int
    epoch: int

    def key(self, volume: str) -> str:
        """Its key, where it belongs to `volume`."""
        return f"volumes/{volume}/maps/{self.number:016x}-{self.epoch:08x}"


def disk_key(name: str) -> str:
    """Of the catalogue's entry of the disk `name`."""
    return f"{DISKS_PREFIX}{name}.json"


def manifest_key(volume: str, version: int) -> str:
    """Of that version of the volume's manifest."""
    return f"{manifests_prefix(volume)}{version:016x}"


def manifests_prefix(volume: str) -> str:
    """What the keys of all its manifests begin with."""
    return f"{VOLUMES_PREFIX}{volume}/manifests/"


def segments_prefix(volume: str) -> str:
    """What the keys of all its segments begin with."""
    return f"{VOLUMES_PREFIX}{volume}/segments/"


def maps_prefix(volume: str) -> str:
    """What the keys of all its map objects begin with."""
    return f"{VOLUMES_PREFIX}{volume}/maps/"


def volume_prefix(volume: str) -> str:
    """What the keys of all its objects begin with, but for its catalogue's entry."""
    return f"{VOLUMES_PREFIX}{volume}/"


def parse_manifest_key(key: str) -> tuple[str, int] | None:
    """The volume and the version that `key` names; None where it is no manifest's."""
    match = _MANIFEST.fullmatch(key)
    return (match[1], int(match[2], 16)) if match else None


def parse_object_key(key: str) -> tuple[str, SegmentName | MapName] | None:
    """The volume and the object that `key` names; None where it is neither a segment's nor a map object's."""
    match = _OBJECT.fullmatch(key)
    if match is None:
        return None
    kind = SegmentName if match[2] == "segments" else MapName
    return match[1], kind(int(match[3], 16), int(match[4], 16))
