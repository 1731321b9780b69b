"""`g2disk rollback`."""

from __future__ import annotations

from g2disk.cli.asking import ask, check_somebody_is_there
from g2disk.cli.options import DEFAULT_ENDPOINT, Endpoint, Json, SnapshotName, Yes
from g2disk.cli.output import entry_document, exact_size, print_json, print_line
from g2disk.cli.running import run
from g2disk.cli.server import connected
from g2disk.stores.store import DiskEntry
from g2disk.units import split_snapshot


def rollback(name: SnapshotName, yes: Yes = False, endpoint: Endpoint = DEFAULT_ENDPOINT, json: Json = False) -> None:
    """Make a disk what it was at a snapshot; what was written since is lost, and its snapshots stay.

    Unmount and detach it first: a file system that has it open does not expect other bytes under it.
    """
    disk, snapshot = split_snapshot(name)
    if not yes:
        check_somebody_is_there(f"whether {disk!r} is to go back to {name!r}")
        question = f"Make {disk} what it was at {name}? What was written since is lost; nothing may have it open."
        ask(question, "nothing was changed")
    entry = run(_rollback(endpoint, disk, snapshot))
    if json:
        print_json(entry_document(entry))
    else:
        print_line(f"{entry.name}, {exact_size(entry.size)}, is what it was at {name}")


async def _rollback(endpoint: str, disk: str, snapshot: str) -> DiskEntry:
    async with connected(endpoint) as store:
        return await store.rollback(disk, snapshot)
