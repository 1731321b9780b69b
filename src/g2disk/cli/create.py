"""`g2disk create`."""

from __future__ import annotations

from typing import Annotated

import typer

from g2disk.cli.options import DEFAULT_ENDPOINT, Endpoint, Json, Size
from g2disk.cli.output import entry_document, exact_size, print_json, print_line, wanted_size
from g2disk.cli.running import run
from g2disk.cli.server import connected
from g2disk.stores.store import DiskEntry


def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Letters, digits, '.', '_' and '-'.")],
    size: Size,
    description: Annotated[str, typer.Option(help="One line for people.")] = "",
    endpoint: Endpoint = DEFAULT_ENDPOINT,
    json: Json = False,
) -> None:
    """Make a disk of zeroes; it takes up space as it is written."""
    entry = run(_create(endpoint, name, wanted_size(size), description))
    if json:
        print_json(entry_document(entry))
    else:
        print_line(f"created {entry.name}, {exact_size(entry.size)}")


async def _create(endpoint: str, name: str, size: int, description: str) -> DiskEntry:
    async with connected(endpoint) as store:
        return await store.create(name, size, description)
