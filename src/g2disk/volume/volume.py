"""`Volume`, a disk on an object store with a journal in front of it; the package's docstring says how it stays safe."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from g2disk.disk import Buffer, Disk
from g2disk.volume.resources import Resources
from g2disk.volume.settings import Settings
from g2disk.volume.state import VolumeState

if TYPE_CHECKING:
    import numpy as np

    from g2disk.objects.store import ObjectStore
    from g2disk.volume.chain import ManifestChain
    from g2disk.volume.format.manifest import Head, Manifest
    from g2disk.volume.map.block_map import BlockMap
    from g2disk.volume.map.table import SegmentTable


class Volume(Disk):
    """A volume that is open for writing; the only one, or it is fenced.

    What LIFECYCLE may use: `map`, `table`, `chain`, `manifest`, `objects`, `changing`, and the methods that say so.
    """

    map: BlockMap
    chain: ManifestChain
    manifest: Manifest
    """The newest one, as it was committed; replaced only by who holds `changing`."""
    objects: ObjectStore
    """Waits and repeats as long as it takes, `create` excepted."""
    changing: asyncio.Lock
    """Held by who commits a manifest or lets a segment take effect."""

    @classmethod
    async def open(cls, volume: str, resources: Resources, settings: Settings, key: bytes | None) -> Volume:
        """Open for writing: claim the next epoch, accept what the one before left, replay the journal.

        `key` is the data key, unwrapped, of an encrypted volume.  Raises `NotFound`, `Denied` (a wrong key), `Busy`
        (the journal is in use), `Fenced` (the journal holds flushed data that a later writer did not know), `Corrupt`.
        """
        raise NotImplementedError

    @property
    def table(self) -> SegmentTable:
        """The segment table that belongs to `map`."""
        return self.map.table

    def state(self) -> VolumeState:
        """What the volume says of itself now."""
        raise NotImplementedError

    async def drain(self) -> None:
        """Return when everything that was acknowledged before is in the object store and has taken effect."""
        raise NotImplementedError

    async def checkpoint(self) -> None:
        """Write what changed of the map into the store, and commit a manifest that begins there."""
        raise NotImplementedError

    async def resize(self, size: int) -> None:
        """Grow, or shrink when asked twice for the same size: the first time raises `Invalid`, which says so."""
        raise NotImplementedError

    async def settle_to_store(self) -> Head:
        """Pack and put everything up to now, let it take effect, and return the head that describes exactly this point.

        The caller holds `changing`, and goes on holding it until it has committed a manifest with that head.
        """
        raise NotImplementedError

    async def commit(self, manifest: Manifest) -> None:
        """Commit `manifest`, made from `self.manifest`.  The caller holds `changing`.  Raises `Fenced`."""
        raise NotImplementedError

    async def put_collected(self, extents: Sequence[tuple[int, Buffer]], expected: np.ndarray) -> int:
        """Store blocks that garbage collection moves (first block and data, ascending) in a segment of their own.

        `expected` is each block's location as it was read.  Blocks that were written since are left out, also those
        that only the journal knows.  The caller does not hold `changing`.  Returns how many blocks moved when the
        segment has taken effect.
        """
        raise NotImplementedError

    async def rebase(self, head: Head) -> None:
        """Go back to `head`, a snapshot's: everything written since is given up; numbers go on.

        The caller does not hold `changing`.  No request is answered meanwhile.
        """
        raise NotImplementedError
