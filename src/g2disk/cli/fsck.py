"""`g2disk fsck`."""

from __future__ import annotations

import random
from typing import Annotated, Any

import typer

from g2disk.cli.exit_codes import EXIT_CODE
from g2disk.cli.options import Json
from g2disk.cli.output import note, print_json, print_line
from g2disk.cli.running import run
from g2disk.cli.secrets import KeyEnvironment, KeyFile, PassphraseFile, secret_of
from g2disk.clock import SystemClock
from g2disk.errors import Corrupt, NotFound
from g2disk.objects.opening import open_object_store
from g2disk.threads import Crew
from g2disk.units import format_size
from g2disk.volume.format.keys import Secret
from g2disk.volume.fsck.repair import Tools
from g2disk.volume.fsck.report import Finding, Report
from g2disk.volume.fsck.store import StoreCheck

_THREADS = 8


def fsck(
    store: Annotated[str, typer.Argument(metavar="STORE", help="s3://BUCKET/PREFIX, gs://…, az://… or objects:DIR.")],
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="The disks; left out: the whole store.")
    ] = None,
    data: Annotated[bool, typer.Option("--data", help="Read all data, too, and check each block's checksum.")] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what can be mended. Stop the server before: it would be fenced.")
    ] = False,
    key_file: KeyFile = None,
    key_env: KeyEnvironment = "",
    passphrase_file: PassphraseFile = None,
    json: Json = False,
) -> None:
    """Check disks on an object store: manifests, maps, segments, counts; what nothing needs; clones and their parents.

    Reads only, unless --repair is given, and may run while the disks are served. What is wrong is said, and which bytes
    cannot be read any more. A repair makes maps anew from the segments alone, counts anew, and deletes what nothing
    needs; what is lost stays lost.
    """
    secret = secret_of(key_file, key_env, passphrase_file)
    reports = run(_fsck(store, names or [], secret, data, repair, say=not json))
    if json:
        print_json({"clean": all(_whole(report) for report in reports), "disks": [_document(one) for one in reports]})
    if not all(_whole(report) for report in reports):
        raise typer.Exit(EXIT_CODE[Corrupt])


async def _fsck(
    url: str, names: list[str], secret: Secret | None, data: bool, repair: bool, *, say: bool
) -> list[Report]:
    objects = await open_object_store(url, make=False)
    crew = Crew(_THREADS, "g2disk-fsck")
    reports: list[Report] = []
    try:
        tools = Tools(objects, crew, SystemClock(), random.SystemRandom())
        async for report in StoreCheck(tools, secret, data=data, repair=repair).check(names):
            reports.append(report)
            if say:
                _print(report, data)
        if not reports:
            raise NotFound(f"there is no disk in {url}; is that the right place?")
        return reports
    finally:
        crew.stop()
        await objects.close()


def _whole(report: Report) -> bool:
    """Whether nothing is wrong, or not any more."""
    return not report.lost and all(finding.repaired or finding.harmless for finding in report.findings)


def _print(report: Report, data: bool) -> None:
    name = report.name or f"volume {report.volume}"
    for finding in report.findings:
        print_line(f"{name}: {finding.kind.value}: {_line(finding)}")
    for lost in report.lost:
        which = f"{name}@{lost.snapshot}" if lost.snapshot else name
        end = lost.offset + lost.length
        print_line(f"{which}: lost: bytes {lost.offset} to {end}, {format_size(lost.length)}")
    read = f", {report.blocks} blocks read" if data else ""
    if report.moving:
        note(f"{name} was being changed all the time: check it again when there is less to do, or stop its server")
    state = "clean" if report.clean else "damaged, and repaired" if _whole(report) else "damaged"
    stored = f"{report.segments} segments, {format_size(report.stored_bytes)}{read}"
    print_line(f"{name}: {state}: {stored}")


def _line(finding: Finding) -> str:
    key = f" ({finding.key})" if finding.key and finding.key not in finding.message else ""
    done = f": {finding.repaired}" if finding.repaired else ""
    return f"{finding.message}{key}{done}"


def _document(report: Report) -> dict[str, Any]:
    return {
        "name": report.name,
        "volume": report.volume,
        "version": report.version,
        "clean": report.clean,
        "moving": report.moving,
        "segments": report.segments,
        "blocks": report.blocks,
        "stored_bytes": report.stored_bytes,
        "findings": [
            {"kind": one.kind.value, "message": one.message, "key": one.key, "repaired": one.repaired}
            for one in report.findings
        ],
        "lost": [{"snapshot": lost.snapshot, "offset": lost.offset, "length": lost.length} for lost in report.lost],
    }
