"""Another passphrase or key for encrypted volumes: what is stored stays as it is, only its key is wrapped anew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

from msgspec.structs import replace

from g2disk.clock import Clock
from g2disk.errors import Denied, Invalid
from g2disk.objects.store import ObjectStore
from g2disk.threads import Runner
from g2disk.volume.catalogue import Catalogue
from g2disk.volume.chain import ManifestChain
from g2disk.volume.format.keys import SALT_LENGTH, Secret, WrappedKey, unwrap, wrap
from g2disk.volume.format.manifest import Manifest
from g2disk.volume.journal.files import DirectoryFiles


class Rekeying:
    """Changes the secret of the encrypted disks in one object store.

    A server that has such a disk open finds that somebody else changed it, and is fenced: stop it before.  One whose
    journal is below `journals` is noticed.
    """

    def __init__(self, objects: ObjectStore, journals: Path, runner: Runner, clock: Clock, random: Random) -> None:
        """`random` makes salts and tokens, and must be unpredictable."""
        self._objects, self._runner, self._clock, self._random = objects, runner, clock, random
        self._journals = journals
        self._catalogue = Catalogue(objects, clock)

    async def encrypted(self) -> Sequence[str]:
        """The names of the disks that are encrypted."""
        names = await self._catalogue.names()
        return [name for name in names if (await self._load(name))[1].encryption is not None]

    async def rekey(self, name: str, present: Secret, new: Secret) -> bool:
        """Have the disk open with `new` from now on, and no longer with `present`; False if it is so already.

        Snapshots open as their disk does; a clone has a key of its own.  Raises `NotFound`, `Invalid` where the disk is
        not encrypted, `Denied` where `present` is wrong, and `Busy` where a server is seen to have the disk open; then
        nothing is changed.
        """
        chain, manifest = await self._load(name)
        if manifest.encryption is None:
            raise Invalid(f"the disk {name!r} is not encrypted; it has no key that could change")
        try:
            data_key = await self._runner.run(unwrap, manifest.encryption, present)
        except Denied as error:
            if await self._opens(manifest.encryption, new):
                return False
            raise Denied(f"{name!r}: {error}") from error
        wrapped = await self._runner.run(wrap, data_key, new, self._random.randbytes(SALT_LENGTH))
        journal = self._journals / manifest.volume
        files = await self._runner.run(DirectoryFiles, journal, self._runner) if journal.exists() else None
        try:
            await chain.commit(replace(manifest, encryption=wrapped))
        finally:
            if files is not None:
                files.close()
        return True

    async def _load(self, name: str) -> tuple[ManifestChain, Manifest]:
        entry = await self._catalogue.find(name)
        chain = ManifestChain(self._objects, entry.volume, self._clock, self._random)
        return chain, await chain.load()

    async def _opens(self, wrapped: WrappedKey, secret: Secret) -> bool:
        try:
            await self._runner.run(unwrap, wrapped, secret)
        except Denied:
            return False
        return True
