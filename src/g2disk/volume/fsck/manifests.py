"""Finding the newest manifest that can be read, also where newer ones are damaged."""

from __future__ import annotations

from dataclasses import dataclass

from g2disk.errors import Corrupt, NotFound
from g2disk.objects.store import ObjectStore
from g2disk.volume.format.manifest import Manifest, decode_manifest
from g2disk.volume.format.names import manifest_key, manifests_prefix, parse_manifest_key
from g2disk.volume.fsck.report import Kind, Report


@dataclass(frozen=True, slots=True)
class Newest:
    """What the chain of manifests comes down to."""

    manifest: Manifest | None
    """The newest one that can be read."""
    damaged: tuple[int, ...]
    """Versions behind it, which cannot."""


async def newest_manifest(objects: ObjectStore, volume: str, report: Report) -> Newest:
    """Look through the chain from its end; what is wrong goes into `report`."""
    versions = await _versions(objects, volume)
    damaged: list[int] = []
    for version in reversed(versions):
        key = manifest_key(volume, version)
        try:
            manifest = decode_manifest(await objects.get(key), key)
        except Corrupt as error:
            report.add(
                Kind.MANIFEST, f"{error}; the version before it is taken, without snapshots that were made since", key
            )
            damaged.append(version)
        except NotFound:  # a late listing
            continue
        else:
            _check_identity(manifest, volume, version, report)
            return Newest(manifest, tuple(damaged))
    message = "there is no manifest that can be read: restore one from a copy"
    report.add(Kind.MANIFEST, message, manifests_prefix(volume))
    return Newest(None, tuple(damaged))


async def _versions(objects: ObjectStore, volume: str) -> list[int]:
    """All versions that are there, ascending; the newest ones are asked for, as a listing may be late."""
    listed = [parse_manifest_key(entry.key) for entry in await objects.list(manifests_prefix(volume))]
    versions = [parsed[1] for parsed in listed if parsed is not None]
    version = versions[-1] if versions else 0
    while await _is_there(objects, manifest_key(volume, version + 1)):
        version += 1
        versions.append(version)
    return versions


async def _is_there(objects: ObjectStore, key: str) -> bool:
    try:
        await objects.get_range(key, 0, 1)
    except NotFound:
        return False
    return True


def _check_identity(manifest: Manifest, volume: str, version: int, report: Report) -> None:
    if (manifest.volume, manifest.version) != (volume, version):
        message = f"it says that it is version {manifest.version} of volume {manifest.volume}"
        report.add(Kind.MANIFEST, message, manifest_key(volume, version))
