"""Repairing a volume: what can be told anew is made anew, what is lost stays lost and is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace as replaced
from random import Random

from msgspec.structs import replace

from g2disk.clock import Clock
from g2disk.errors import Busy, Exists, NotFound
from g2disk.objects.store import ObjectStore
from g2disk.threads import Runner
from g2disk.volume.chain import ManifestChain
from g2disk.volume.format.manifest import Manifest, encode_manifest
from g2disk.volume.format.names import manifest_key
from g2disk.volume.fsck.check import Checker, Found, sealer_of
from g2disk.volume.fsck.rebuild import Rebuilder
from g2disk.volume.fsck.report import Kind, Report

_ATTEMPTS = 5
"""Of checks of a volume that is being changed."""
_REBUILT = "the map was made anew from the segments"


@dataclass(frozen=True, slots=True)
class Tools:
    """What checking and repairing work with."""

    objects: ObjectStore
    runner: Runner
    clock: Clock
    random: Random


async def check_volume(tools: Tools, report: Report, key: bytes | None, *, data: bool) -> Found:
    """Check a volume; where a writer has committed something meanwhile, check it again, a few times.

    Nothing is deleted that the newest manifest needs, so what is found is true if that is still the newest.  Nothing is
    changed.  Raises `Denied`, and what the store raises.
    """
    attempts = _ATTEMPTS
    while True:
        attempt = Report(report.volume, report.name)
        found = await Checker(tools.objects, tools.runner, attempt, key, data).check()
        attempt.moving = not attempt.clean and await _moved(tools, found)
        attempts -= 1
        if not attempt.moving or not attempts:
            break
    _take(report, attempt)
    return found


async def repair_volume(tools: Tools, report: Report, key: bytes | None, *, data: bool) -> None:
    """Check a volume, and repair what can be.

    A writer that is active is fenced.  The journal of the last writer stays valid.  The report says what was found, and
    what was done about it; what is lost is what cannot be read afterwards.
    """
    found = await check_volume(tools, report, key, data=data)
    manifest = found.manifest
    if manifest is None or (report.clean and not found.orphans):
        return
    chain = ManifestChain(tools.objects, manifest.volume, tools.clock, tools.random)
    if found.damaged_manifests:
        await _supersede(tools, manifest, max(found.damaged_manifests) + 1)
        _done(report, {Kind.MANIFEST}, f"version {manifest.version} was taken up again")
    present = await chain.load()
    if replace(present, version=manifest.version, token=manifest.token) != manifest:
        raise Busy(f"volume {manifest.volume} was changed meanwhile; stop its server, and try again")
    claimed = await chain.commit(replace(present, epoch=present.epoch + 1))
    broken = _broken(found, report)
    if broken or any(finding.kind is Kind.COUNT for finding in report.findings):
        rebuilder = Rebuilder(tools.objects, tools.runner, sealer_of(claimed, key), claimed, found)
        await chain.commit(await rebuilder.rebuild(broken))
        _done(report, {Kind.MAP, Kind.LOCATION}, _REBUILT)
        _done(report, {Kind.COUNT}, "counted anew")
    after = Report(report.volume, report.name)
    left = await Checker(tools.objects, tools.runner, after, key, data).check()
    for orphan in left.orphans:  # the old maps are among them
        await tools.objects.delete(orphan)
    _done(report, {Kind.ORPHAN}, "deleted")
    report.lost = sorted({*after.lost, *(lost for lost in report.lost if _stays(lost.snapshot, broken, report))})
    report.version = after.version


def _stays(snapshot: str, broken: Sequence[str], report: Report) -> bool:
    """Whether what was lost of a head is lost although a new map does not say so: its segments are gone, and the map
    that pointed to them was made anew.
    """
    gone = any(finding.kind is Kind.SEGMENT for finding in report.findings)
    return gone and snapshot in broken


def _broken(found: Found, report: Report) -> list[str]:
    """The heads that need a new map."""
    wrong = any(finding.kind is Kind.LOCATION for finding in report.findings)
    names = []
    for each in found.heads:
        expected = sum(run.end - run.first for run in each.head.runs)
        behind = sum(index.name.number < each.head.next for index in each.runs)
        if wrong or not each.map.whole or behind < expected:
            names.append(each.name)
    return names


async def _moved(tools: Tools, found: Found) -> bool:
    """Whether there is a newer manifest by now than those that were seen."""
    if found.manifest is None:
        return False
    newest = max((found.manifest.version, *found.damaged_manifests))
    try:
        await tools.objects.get_range(manifest_key(found.manifest.volume, newest + 1), 0, 1)
    except NotFound:
        return False
    return True


async def _supersede(tools: Tools, manifest: Manifest, version: int) -> None:
    """Put the last manifest that can be read behind those that cannot.

    They stay: a version that was once given is not given again, lest a writer that knows it goes on behind it.
    """
    again = replace(manifest, version=version, token=f"{tools.random.getrandbits(128):032x}")
    try:
        await tools.objects.create(manifest_key(manifest.volume, version), [encode_manifest(again)])
    except Exists:
        raise Busy(f"volume {manifest.volume} is in use; stop its server, and try again") from None


def _done(report: Report, kinds: set[Kind], what: str) -> None:
    report.findings = [
        replaced(finding, repaired=what) if finding.kind in kinds and not finding.repaired else finding
        for finding in report.findings
    ]


def _take(report: Report, other: Report) -> None:
    report.version, report.findings, report.lost = other.version, other.findings, other.lost
    report.segments, report.blocks, report.stored_bytes = other.segments, other.blocks, other.stored_bytes
    report.moving = other.moving
