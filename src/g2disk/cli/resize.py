"""`g2disk resize`."""

from __future__ import annotations

from typing import Annotated

import typer

from g2disk.cli.options import DEFAULT_ENDPOINT, DiskName, Endpoint, Json, Size
from g2disk.cli.output import entry_document, exact_size, print_json, print_line, wanted_size
from g2disk.cli.running import run
from g2disk.cli.server import connected
from g2disk.errors import Invalid
from g2disk.stores.store import DiskEntry


def resize(
    name: DiskName,
    size: Size,
    shrink: Annotated[bool, typer.Option("--shrink", help="Cut off what lies behind the new end; it is lost.")] = False,
    endpoint: Endpoint = DEFAULT_ENDPOINT,
    json: Json = False,
) -> None:
    """Grow a disk by zeroes, or shrink it."""
    entry = run(_resize(endpoint, name, wanted_size(size), shrink))
    if json:
        print_json(entry_document(entry))
    else:
        print_line(f"resized {entry.name} to {exact_size(entry.size)}")


async def _resize(endpoint: str, name: str, size: int, shrink: bool) -> DiskEntry:
    async with connected(endpoint) as store:
        entry = await store.get(name)
        if size < entry.size and not shrink:
            raise Invalid(
                f"{entry.name!r} has {exact_size(entry.size)}; making it smaller loses what lies behind the new end: "
                "say --shrink if that is meant"
            )
        return await store.resize(entry.name, size, allow_shrink=shrink)
