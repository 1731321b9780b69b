"""`PageSource` and `PageWriter`: map pages in the object store.

A map object is nothing but sealed pages, one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from g2disk.disk import Buffer
from g2disk.objects.store import ObjectStore
from g2disk.threads import Runner
from g2disk.units import MIB
from g2disk.volume.format.manifest import PageReference
from g2disk.volume.format.names import MapName
from g2disk.volume.format.pages import References
from g2disk.volume.format.sealing import Sealer

OBJECT_BYTES = 32 * MIB
"""A map object ends with the page that reaches this."""


def page_context(reference_key: str, offset: int) -> str:
    """What a page is sealed under: its object's key in the store, and where it stands there."""
    return f"{reference_key}@{offset}"


class PageSource:
    """Reads pages."""

    def __init__(self, objects: ObjectStore, sealer: Sealer, key_of: Callable[[MapName], str]) -> None:
        """`key_of` says under which key a map object is stored: that of the volume that owns it."""
        self._objects = objects
        self._sealer = sealer
        self._key_of = key_of

    async def load(self, reference: PageReference) -> Buffer:
        """One page.  Raises `Corrupt`, also where its object is gone, and what the store raises."""
        raise NotImplementedError

    async def load_many(self, references: References) -> Sequence[Buffer]:
        """Several, in the order of `references`; those that stand close together are got together."""
        raise NotImplementedError


class PageWriter:
    """Writes the pages of one checkpoint."""

    def __init__(
        self, objects: ObjectStore, sealer: Sealer, runner: Runner, volume: str, epoch: int, number: int
    ) -> None:
        """`number`: of the first map object.  It is never used again, whether or not the checkpoint comes to an end."""
        self._objects = objects
        self._sealer = sealer
        self._runner = runner
        self._volume = volume
        self._epoch = epoch
        self.next = number
        """The number of the map object after those that were begun: the manifest's `next_map`."""

    async def add(self, pages: Sequence[bytes]) -> list[PageReference]:
        """Seal and write pages; where they will be.  They are stored for certain when `finish` has returned."""
        raise NotImplementedError

    async def finish(self) -> None:
        """Return when all pages are stored."""
        raise NotImplementedError
