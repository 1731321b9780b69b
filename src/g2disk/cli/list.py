"""`g2disk list`."""

from __future__ import annotations

from collections.abc import Sequence

from g2disk.cli.options import DEFAULT_ENDPOINT, Endpoint, Json
from g2disk.cli.output import entry_document, note, print_json, print_table
from g2disk.cli.running import run
from g2disk.cli.server import connected
from g2disk.stores.store import DiskEntry
from g2disk.units import format_size


def list_disks(endpoint: Endpoint = DEFAULT_ENDPOINT, json: Json = False) -> None:
    """List the disks of a server."""
    entries, default = run(_list(endpoint))
    if json:
        print_json({"disks": [entry_document(entry) for entry in entries], "default_disk": default or None})
    elif entries:
        print_table(
            ("NAME", "SIZE", "ALLOCATED", "ACCESS", "DESCRIPTION"),
            [
                (
                    entry.name,
                    format_size(entry.size),
                    format_size(entry.allocated),
                    "read" if entry.read_only else "write",
                    entry.description,
                )
                for entry in entries
            ],
        )
    else:
        note(f"{endpoint} holds no disk; make one with `g2disk create NAME SIZE`")


async def _list(endpoint: str) -> tuple[Sequence[DiskEntry], str]:
    async with connected(endpoint) as store:
        return await store.list_with_default()
