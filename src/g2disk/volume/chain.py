"""`ManifestChain`, the versions of a volume's manifest in the object store: the one thing decided by compare-and-set."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from g2disk.clock import Clock

if TYPE_CHECKING:
    from g2disk.objects.store import ObjectStore
    from g2disk.volume.format.manifest import Manifest


class ManifestChain:
    """The chain of one volume.  `objects` repeats what fails for a while by itself, `create` excepted."""

    def __init__(self, objects: ObjectStore, volume: str, clock: Clock, random: Random) -> None:
        self._objects = objects
        self._volume = volume
        self._clock = clock
        self._random = random

    async def load(self) -> Manifest:
        """The newest manifest.  Raises `NotFound` where there is none, `Corrupt`, and what the store raises."""
        raise NotImplementedError

    async def commit(self, manifest: Manifest) -> Manifest:
        """Make `manifest` the next version, and return it as it was stored, with its version and token.

        Waits while the store cannot be reached.  Raises `Fenced` where another writer has taken the version.
        """
        raise NotImplementedError

    async def check(self) -> None:
        """Return if no newer version than ours is there.  Raises `Fenced`; `Unavailable` where nobody knows."""
        raise NotImplementedError
