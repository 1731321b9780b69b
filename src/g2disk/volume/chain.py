"""`ManifestChain`, the versions of a volume's manifest in the object store: all that is decided by compare-and-set."""

from __future__ import annotations

from collections import deque
from random import Random

import msgspec

from g2disk.clock import Clock
from g2disk.disk import Buffer
from g2disk.errors import Denied, Exists, Fenced, NotFound, OutOfSpace, Unavailable
from g2disk.objects.layers.repeating import pause
from g2disk.objects.store import ObjectStore
from g2disk.volume.format.manifest import Manifest, decode_manifest, encode_manifest
from g2disk.volume.format.names import manifest_key, manifests_prefix

KEPT_VERSIONS = 256
"""Old manifests that `tidy` always leaves."""
KEPT_SECONDS = 86400.0
"""The age, by the store's clock, below which `tidy` leaves a manifest."""


class ManifestChain:
    """The chain of one volume, versions 1, 2, ... without gaps, of which the oldest may be deleted.

    `objects` repeats what fails for a while by itself, `create` excepted.  One commit at a time; the caller sees to it.
    """

    def __init__(self, objects: ObjectStore, volume: str, clock: Clock, random: Random) -> None:
        self._objects = objects
        self._volume = volume
        self._clock = clock
        self._random = random
        self._version = 0
        self._tokens: deque[str] = deque(maxlen=64)
        """Of manifests of our own."""
        self._broken_off = False

    @property
    def version(self) -> int:
        """The newest version that this chain has loaded or committed."""
        return self._version

    async def load(self) -> Manifest:
        """The newest manifest.  Raises `NotFound` where there is none, `Corrupt`, and what the store raises.

        A listing may be late, so what follows its last version is asked for one by one.
        """
        entries = await self._objects.list(manifests_prefix(self._volume))
        version = int(entries[-1].key.rpartition("/")[2], 16) if entries else 0
        newest = await self._find(version) if version else None
        while (later := await self._find(version + 1)) is not None:
            newest, version = later, version + 1
        if newest is None:
            if version:
                raise Unavailable(f"the store listed manifest {version} of volume {self._volume} and has none; repeat")
            raise NotFound(
                f"the volume {self._volume} is not there; its objects were deleted, or the prefix is another"
            )
        self._version = version
        return newest

    async def commit(self, manifest: Manifest) -> Manifest:
        """Make `manifest` the next version, and return it as it was stored, with its version and token.

        Waits while the store cannot be reached.  Raises `Fenced` where another writer has taken the version.  When it
        was cancelled nobody knows the outcome, and later commits raise `Fenced`.
        """
        if self._broken_off:
            raise Fenced(f"a commit of volume {self._volume} was broken off; open the volume again")
        token = f"{self._random.getrandbits(128):032x}"
        stored = msgspec.structs.replace(manifest, version=self._version + 1, token=token)
        self._tokens.append(token)
        self._broken_off = True
        await self._create(stored, token)
        self._broken_off = False
        self._version = stored.version
        return stored

    async def check(self) -> None:
        """Return if no version is there that is newer than ours.  Raises `Fenced`."""
        version = self._version + 1
        while (later := await self._find(version)) is not None:
            if later.token not in self._tokens:
                raise self._fenced(later)
            version += 1

    async def tidy(self) -> None:
        """Delete versions that are neither among the newest nor young, the oldest first."""
        entries = await self._objects.list(manifests_prefix(self._volume))
        if not entries:
            return
        newest = entries[-1].modified
        for entry in entries[:-KEPT_VERSIONS]:
            version = int(entry.key.rpartition("/")[2], 16)
            if newest - entry.modified < KEPT_SECONDS or version > self._version - KEPT_VERSIONS:
                return
            await self._objects.delete(entry.key)

    async def _create(self, manifest: Manifest, token: str) -> None:
        """Create until it is known who has the version.  The same bytes each time: they may come true late."""
        data: list[Buffer] = [encode_manifest(manifest)]
        attempts = 0
        while True:
            try:
                await self._objects.create(manifest_key(self._volume, manifest.version), data)
            except Exists:
                there = await self._find(manifest.version)
                if there is not None and there.token == token:
                    return  # an earlier attempt, whose answer was lost
                self._broken_off = False
                raise self._fenced(there) from None
            except (Unavailable, Denied, OutOfSpace):
                attempts += 1
                await self._clock.sleep(pause(attempts, self._random))
            else:
                return

    async def _find(self, version: int) -> Manifest | None:
        key = manifest_key(self._volume, version)
        try:
            return decode_manifest(await self._objects.get(key), key)
        except NotFound:
            return None

    def _fenced(self, other: Manifest | None) -> Fenced:
        epoch = f" (epoch {other.epoch})" if other is not None else ""
        return Fenced(f"the volume {self._volume} was opened by another writer{epoch}; stop this one")
