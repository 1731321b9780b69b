"""The format of `disk.json`, which describes one disk of a file store.

    {"format": 1, "name": "a", "size": 1048576, "identity": "8f14…", "description": "", "losses": 0}

    format       1
    name         the disk's name, which is also the name of its directory
    size         bytes, see `g2disk.units`
    identity     see `g2disk.disk.DiskInfo.identity`
    description  one line for people, may be empty
    losses       how often writes that had been acknowledged and not flushed may have been lost; see `instance`

Anything else is `Corrupt`.
"""

from __future__ import annotations

import hashlib
from typing import Annotated

import msgspec

from g2disk.errors import Corrupt, Invalid
from g2disk.units import check_disk_name, check_disk_size

FORMAT = 1


class Metadata(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One disk's description; the fields are those of the format."""

    format: int = FORMAT
    name: str
    size: int
    identity: Annotated[str, msgspec.Meta(min_length=1)]
    description: str = ""
    losses: Annotated[int, msgspec.Meta(ge=0)] = 0


class _Version(msgspec.Struct):
    format: int


def encode(metadata: Metadata) -> bytes:
    """The content of `disk.json`."""
    return msgspec.json.format(msgspec.json.encode(metadata)) + b"\n"


def decode(content: bytes, path: str) -> Metadata:
    """What `encode` was given.  Raises `Corrupt`, naming the file by `path`."""
    try:
        version = msgspec.json.decode(content, type=_Version).format
        if version != FORMAT:
            raise Corrupt(f"{path} has format {version}, and this g2disk reads {FORMAT}; use the g2disk that wrote it")
        metadata = msgspec.json.decode(content, type=Metadata)
        check_disk_name(metadata.name)
        check_disk_size(metadata.size)
    except (msgspec.DecodeError, UnicodeDecodeError, Invalid) as error:
        raise Corrupt(f"{path} does not describe a disk: {error}; restore it from a copy") from error
    return metadata


def instance(metadata: Metadata, boot: str, device: int, inode: int) -> str:
    """The write verifier of a disk whose data is in that file, while the system runs that was booted as `boot`.

    What was written to a file and not flushed is in the kernel's page cache.  It survives the end of the server, also
    by kill -9, and a new server finds it there; it is lost when the system itself stops.  So the instance follows from
    the boot, and a mere restart of the server leaves it as it is.  It follows from the file too, since one that was
    restored from a copy is not the one that was written to, and from the number of losses, which goes up when the
    kernel says that it could not write the file out: it forgets then what it had.
    """
    text = f"{boot} {metadata.identity} {device} {inode} {metadata.losses}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]
