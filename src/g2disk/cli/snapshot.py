"""`g2disk snapshot create`, `list` and `delete`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer

from g2disk.cli.asking import ask, check_somebody_is_there
from g2disk.cli.options import DEFAULT_ENDPOINT, DiskName, Endpoint, Json, SnapshotName, Yes
from g2disk.cli.output import exact_size, iso_time, local_time, note, print_json, print_line, print_table
from g2disk.cli.running import run
from g2disk.cli.server import connected
from g2disk.stores.store import SnapshotEntry
from g2disk.units import check_disk_name, format_size, split_snapshot

SETTINGS = {"help_option_names": ["-h", "--help"]}

snapshot = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings=SETTINGS,
    help="Keep a disk as it is now: create, list and delete snapshots.",
)


@snapshot.command("create", context_settings=SETTINGS)
def create(name: SnapshotName, endpoint: Endpoint = DEFAULT_ENDPOINT, json: Json = False) -> None:
    """Keep a disk as it is now, under a name; it goes on being used meanwhile.

    The snapshot holds every write that the server had answered. To a file system that is mounted meanwhile it is as a
    power cut: run `sync`, or `fsfreeze`, before.
    """
    entry = run(_create(endpoint, *split_snapshot(name)))
    if json:
        print_json(_document(entry))
    else:
        print_line(f"created {name}, {exact_size(entry.size)}")


@snapshot.command("list", context_settings=SETTINGS)
def list_snapshots(name: DiskName, endpoint: Endpoint = DEFAULT_ENDPOINT, json: Json = False) -> None:
    """List the snapshots of a disk, the oldest first."""
    entries = run(_list(endpoint, name))
    if json:
        print_json({"snapshots": [_document(entry) for entry in entries]})
    elif entries:
        rows = [
            (entry.name, local_time(entry.created), format_size(entry.size), str(entry.clones)) for entry in entries
        ]
        print_table(("SNAPSHOT", "CREATED", "SIZE", "CLONES"), rows)
    else:
        note(f"{name} has no snapshots; make one with `g2disk snapshot create {name or 'NAME'}@SNAPSHOT`")


@snapshot.command("delete", context_settings=SETTINGS)
def delete(name: SnapshotName, yes: Yes = False, endpoint: Endpoint = DEFAULT_ENDPOINT, json: Json = False) -> None:
    """Forget a snapshot, so that the space of what was overwritten since is freed; the disk stays as it is."""
    disk, snapshot = split_snapshot(name)
    if not yes:
        check_somebody_is_there(f"whether the snapshot {name!r} is to be deleted")
        ask(f"Delete the snapshot {name}? What only it holds is lost.", "nothing was deleted")
    run(_delete(endpoint, disk, snapshot))
    if json:
        print_json({"deleted": name})
    else:
        print_line(f"deleted {name}")


async def _create(endpoint: str, disk: str, snapshot: str) -> SnapshotEntry:
    async with connected(endpoint) as store:
        return await store.create_snapshot(disk, snapshot)


async def _list(endpoint: str, disk: str) -> Sequence[SnapshotEntry]:
    async with connected(endpoint) as store:
        return await store.snapshots(check_disk_name(disk) if disk else await store.default_name())


async def _delete(endpoint: str, disk: str, snapshot: str) -> None:
    async with connected(endpoint) as store:
        await store.delete_snapshot(disk, snapshot)


def _document(entry: SnapshotEntry) -> dict[str, Any]:
    return {"name": entry.name, "created": iso_time(entry.created), "size": entry.size, "clones": entry.clones}
