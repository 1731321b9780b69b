"""`g2disk clone`."""

from __future__ import annotations

from typing import Annotated

import typer

from g2disk.cli.options import DEFAULT_ENDPOINT, Endpoint, Json, SnapshotName
from g2disk.cli.output import entry_document, exact_size, print_json, print_line
from g2disk.cli.running import run
from g2disk.cli.server import connected
from g2disk.stores.store import DiskEntry
from g2disk.units import check_disk_name, split_snapshot


def clone(
    name: SnapshotName,
    new: Annotated[str, typer.Argument(metavar="NEW", help="The name of the new disk.")],
    endpoint: Endpoint = DEFAULT_ENDPOINT,
    json: Json = False,
) -> None:
    """Make a disk that begins as a snapshot of another, at once and whatever its size.

    The two share what neither changes, and the snapshot cannot be deleted before the clone.
    """
    entry = run(_clone(endpoint, *split_snapshot(name), check_disk_name(new)))
    if json:
        print_json(entry_document(entry))
    else:
        print_line(f"created {entry.name}, {exact_size(entry.size)}, a clone of {name}")


async def _clone(endpoint: str, disk: str, snapshot: str, new: str) -> DiskEntry:
    async with connected(endpoint) as store:
        return await store.clone(disk, snapshot, new)
