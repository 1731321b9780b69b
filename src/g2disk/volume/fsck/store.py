"""Checking a whole store: its disks, what clones and parents say of each other, and volumes without a name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from g2disk.errors import Corrupt, Denied, NotFound
from g2disk.objects.layers.retrying import Retrying
from g2disk.volume.catalogue import Catalogue
from g2disk.volume.chain import ManifestChain
from g2disk.volume.format.keys import Secret, unwrap
from g2disk.volume.format.manifest import Manifest
from g2disk.volume.format.names import MARK_KEY, VOLUMES_PREFIX, disk_key, manifests_prefix, volume_prefix
from g2disk.volume.fsck.manifests import newest_manifest
from g2disk.volume.fsck.repair import Tools, check_volume, repair_volume
from g2disk.volume.fsck.report import Kind, Report

PATIENCE = 30.0
"""Seconds that requests are repeated."""
LEFTOVER_SECONDS = 86400.0
"""A volume without a name is left alone for so long: it may be on its way to get one."""


class StoreCheck:
    """Checks the volumes of one store; with `repair`, what can be mended is."""

    def __init__(self, tools: Tools, secret: Secret | None, *, data: bool = False, repair: bool = False) -> None:
        objects = Retrying(tools.objects, tools.clock, tools.random, PATIENCE)
        self._tools = Tools(objects, tools.runner, tools.clock, tools.random)
        self._objects = objects
        self._catalogue = Catalogue(objects, tools.clock)
        self._secret = secret
        self._data = data
        self._repair = repair

    async def check(self, names: Sequence[str] = ()) -> AsyncIterator[Report]:
        """A report for each disk that is named; for all, and for the volumes that no name leads to, if none is.

        Raises `NotFound`, and `Denied` where a disk is encrypted and the key is missing or wrong.
        """
        try:
            await self._catalogue.check_mark()
        except Corrupt:
            message = f"{MARK_KEY} in {self._objects.url} is damaged: delete that object, the next disk makes it anew"
            raise Corrupt(message) from None
        volumes: set[str] = set()
        nameless: list[str] = []
        for name in names or await self._catalogue.names():
            try:
                volume = (await self._catalogue.find(name)).volume
            except Corrupt:
                report = Report("", name)
                message = "the disk's entry is damaged: delete that object, and --repair names what it stood for"
                report.add(Kind.MANIFEST, message, disk_key(name))
                nameless.append(name)
                yield report
                continue
            volumes.add(volume)
            yield await self._check(volume, name)
        if not names:
            for volume in sorted(await self._volumes() - volumes):
                yield await self._leftover(volume, nameless)

    async def _check(self, volume: str, name: str) -> Report:
        report = Report(volume, name)
        manifest = (await newest_manifest(self._objects, volume, Report(volume))).manifest
        key = await self._key(manifest, name) if manifest is not None else None
        if self._repair:
            await repair_volume(self._tools, report, key, data=self._data)
        else:
            await check_volume(self._tools, report, key, data=self._data)
        if manifest is not None:
            await self._check_parent(manifest, report)
        return report

    async def _key(self, manifest: Manifest, name: str) -> bytes | None:
        if manifest.encryption is None:
            return None
        if self._secret is None:
            raise Denied(
                f"the disk {name!r} is encrypted: give its key, with --key-file, --key-env or --passphrase-file"
            )
        try:
            return await self._tools.runner.run(unwrap, manifest.encryption, self._secret)
        except Denied as error:
            raise Denied(f"{name!r}: {error}") from error

    async def _check_parent(self, manifest: Manifest, report: Report) -> None:
        """A clone must be noted by its parent, or the parent may delete what the clone needs."""
        if len(manifest.ancestry) < 2:
            return
        parent = manifest.ancestry[-2].volume
        noted = False
        try:
            newest = await newest_manifest(self._objects, parent, Report(parent))
        except NotFound:
            newest = None
        if newest is not None and newest.manifest is not None:
            noted = any(manifest.volume in snapshot.clones for snapshot in newest.manifest.snapshots)
        if not noted:
            message = f"it is a clone of volume {parent}, which does not know it: copy it to a disk of its own"
            report.add(Kind.CLONE, message, manifests_prefix(parent))

    async def _volumes(self) -> set[str]:
        """The ids of all volumes of which there is anything."""
        prefix = len(VOLUMES_PREFIX)
        return {entry.key[prefix : prefix + 32] for entry in await self._objects.list(VOLUMES_PREFIX)}

    async def _leftover(self, volume: str, nameless: Sequence[str]) -> Report:
        """A volume that no disk stands for: what is left of one that was being made, or deleted, when a server ended.

        It is deleted if it is old, and nobody can miss it: it has no manifest, or was never opened and no clone needs
        it.  One that was opened may be a disk whose entry was lost, or is one of the damaged entries, of `nameless`.
        """
        report = Report(volume)
        entries = await self._objects.list(volume_prefix(volume))
        young = max((entry.modified for entry in entries), default=0.0) > self._tools.clock.wall() - LEFTOVER_SECONDS
        size = sum(entry.size for entry in entries)
        message = f"no disk stands for volume {volume}, of {len(entries)} objects and {size} bytes"
        newest = await newest_manifest(self._objects, volume, Report(volume))
        kind, repaired = Kind.ORPHAN, ""
        if nameless:
            kind = Kind.MANIFEST
            message += f"; it may be {' or '.join(nameless)}, whose entry is damaged"
        elif young:
            message += "; it may be on its way, look again tomorrow"
        elif await self._needed(newest.manifest):
            kind = Kind.CLONE
            message += "; a clone needs it"
        elif newest.manifest is None and newest.damaged:
            kind = Kind.MANIFEST
            message += "; none of its manifests can be read, so nobody can tell what it is: it stays"
        elif newest.manifest is not None and newest.manifest.epochs:
            kind = Kind.MANIFEST
            found = f"found-{volume[:8]}"
            if self._repair:
                await self._catalogue.add(found, volume)
                repaired = f"it is the disk {found} now: look what it is, and delete it if nobody misses it"
            else:
                message += f", and it was in use; --repair names it {found}"
        elif self._repair:
            await self._catalogue.delete_objects(volume)
            repaired = "deleted"
        else:
            message += "; --repair deletes it"
        report.add(kind, message, volume_prefix(volume), repaired)
        return report

    async def _needed(self, manifest: Manifest | None) -> bool:
        """Whether a snapshot of it has a clone that is there."""
        if manifest is None:
            return False
        for clone in (clone for snapshot in manifest.snapshots for clone in snapshot.clones):
            try:
                await ManifestChain(self._objects, clone, self._tools.clock, self._tools.random).load()
            except NotFound:
                continue
            return True
        return False
