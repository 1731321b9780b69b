"""`Catalogue`, the names of the volumes in an object store."""

from __future__ import annotations

from g2disk.clock import Clock
from g2disk.errors import Exists, NotFound, Unavailable
from g2disk.objects.store import ObjectStore
from g2disk.volume.format.catalogue import (
    CatalogueEntry,
    StoreMark,
    decode_entry,
    decode_mark,
    encode_entry,
    encode_mark,
)
from g2disk.volume.format.names import DISKS_PREFIX, MARK_KEY, disk_key, volume_prefix

_ATTEMPTS = 8


class Catalogue:
    """Each disk's name is an object of its own, which says which volume it stands for."""

    def __init__(self, objects: ObjectStore, clock: Clock) -> None:
        self._objects = objects
        self._clock = clock

    async def check_mark(self) -> None:
        """Raise `Unsupported` or `Corrupt` where the store is marked as something that we do not know."""
        try:
            decode_mark(await self._objects.get(MARK_KEY))
        except NotFound:
            return

    async def names(self) -> list[str]:
        """The names of all disks, in order."""
        entries = await self._objects.list(DISKS_PREFIX)
        return sorted(entry.key.removeprefix(DISKS_PREFIX).removesuffix(".json") for entry in entries)

    async def find(self, name: str) -> CatalogueEntry:
        """The entry of a disk.  Raises `NotFound`, `Corrupt`."""
        try:
            return decode_entry(await self._objects.get(disk_key(name)), name)
        except NotFound:
            raise NotFound(
                f"there is no disk {name!r} in {self._objects.url}; `g2disk list` shows which there are"
            ) from None

    async def add(self, name: str, volume: str) -> None:
        """Give a volume its name.  Raises `Exists`."""
        now = self._clock.wall()
        await self._make(MARK_KEY, encode_mark(StoreMark(created=now)), only_ours=False)
        await self._make(disk_key(name), encode_entry(CatalogueEntry(volume=volume, created=now)), only_ours=True)

    async def remove(self, name: str) -> None:
        """Forget a name."""
        await self._objects.delete(disk_key(name))

    async def delete_objects(self, volume: str) -> None:
        """Delete all that belongs to a volume: first its manifests, so that nobody takes it for one that is whole."""
        prefix = volume_prefix(volume)
        for part in (f"{prefix}manifests/", prefix):
            for entry in await self._objects.list(part):
                await self._objects.delete(entry.key)

    async def _make(self, key: str, data: bytes, *, only_ours: bool) -> None:
        """Create an object; where the answer was lost, look whose it is."""
        for attempt in range(_ATTEMPTS):
            try:
                await self._objects.create(key, [data])
            except Exists:
                if only_ours and (attempt == 0 or bytes(await self._objects.get(key)) != data):
                    raise
            except Unavailable:
                if attempt == _ATTEMPTS - 1:
                    raise
                await self._clock.sleep(0.2 * 2**attempt)
                continue
            return
