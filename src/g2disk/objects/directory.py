"""`DirectoryObjects`, an object store in a directory that survives crashes and power cuts."""

from __future__ import annotations

from pathlib import Path

from g2disk.objects.store import ObjectStore


class DirectoryObjects(ObjectStore):
    """Objects as files under `directory`; any number of processes of this machine may use it at once."""

    @classmethod
    async def at(cls, directory: str | Path) -> DirectoryObjects:
        """The store in that directory, made where its parent is there.  Raises `NotFound`, `Denied`, `Invalid`."""
        raise NotImplementedError
