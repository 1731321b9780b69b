"""`g2disk create`."""

from __future__ import annotations

from typing import Annotated

import typer

from g2disk.cli.options import DEFAULT_ENDPOINT, Endpoint, Json, Size
from g2disk.cli.output import entry_document, exact_size, print_json, print_line, wanted_size
from g2disk.cli.running import run
from g2disk.cli.server import connected
from g2disk.stores.store import DiskEntry
from g2disk.units import parse_size


def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Letters, digits, '.', '_' and '-'.")],
    size: Size,
    description: Annotated[str, typer.Option(help="One line for people.")] = "",
    block_size: Annotated[
        str,
        typer.Option(metavar="SIZE", help="On an object store: 4KiB to 64KiB, and 4KiB where it is left out."),
    ] = "",
    compression: Annotated[
        str, typer.Option(metavar="none|lz4|zstd", help="On an object store: how what is stored is compressed.")
    ] = "",
    encrypt: Annotated[
        bool,
        typer.Option(
            "--encrypt", help="On an object store: encrypt what is stored, with the key the server was given."
        ),
    ] = False,
    endpoint: Endpoint = DEFAULT_ENDPOINT,
    json: Json = False,
) -> None:
    """Make a disk of zeroes; it takes up space as it is written."""
    options = {
        "block-size": str(parse_size(block_size)) if block_size else "",
        "compression": compression,
        "encrypt": "yes" if encrypt else "",
    }
    chosen = {option: value for option, value in options.items() if value}
    entry = run(_create(endpoint, name, wanted_size(size), description, chosen))
    if json:
        print_json(entry_document(entry))
    else:
        print_line(f"created {entry.name}, {exact_size(entry.size)}{', encrypted' if encrypt else ''}")


async def _create(endpoint: str, name: str, size: int, description: str, options: dict[str, str]) -> DiskEntry:
    async with connected(endpoint) as store:
        return await store.create(name, size, description, options)
