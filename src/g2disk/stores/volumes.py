"""`VolumeStore`, volumes on one object store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from g2disk.disk import Disk
from g2disk.stores.store import DiskEntry, Store
from g2disk.units import GIB
from g2disk.volume.settings import Settings

if TYPE_CHECKING:
    from g2disk.volume.format.keys import KeySource


@dataclass(frozen=True, slots=True)
class VolumeStoreOptions:
    """What a person chooses beside the store's URL."""

    journal: Path | None = None
    """The directory for the journals, one subdirectory a volume; None: in the user's data directory."""
    cache: Path | None = None
    """The directory of the read cache; None: in memory."""
    cache_size: int = GIB
    """Bytes; with a cache in memory at most 256 MiB of them are used."""
    key: KeySource | None = None
    """Opens encrypted volumes, and encrypts those that are created with `encrypt`."""
    settings: Settings = field(default_factory=Settings)


class VolumeStore(Store):
    """The volumes under one prefix of an object store.

    A volume is opened for writing when it is asked for, and then stays open.  `NAME@SNAPSHOT` is a read-only disk.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    @classmethod
    async def at(cls, url: str, options: VolumeStoreOptions | None = None) -> VolumeStore:
        """The store at `url` (s3://…, gs://…, az://…, objects:DIR), after a probe of what it can do.

        Raises `Invalid`, `Unsupported`, `Denied`, `Unavailable`.
        """
        raise NotImplementedError

    async def list(self) -> Sequence[DiskEntry]:
        """See `Store.list`."""
        raise NotImplementedError

    async def open(self, name: str) -> Disk:
        """See `Store.open`.  Raises `Denied` for a wrong key, `Busy`, `Fenced`, `Corrupt`, too."""
        raise NotImplementedError
