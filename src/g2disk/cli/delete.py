"""`g2disk delete`."""

from __future__ import annotations

from typing import Annotated

import typer

from g2disk.cli.asking import ask, check_somebody_is_there
from g2disk.cli.options import DEFAULT_ENDPOINT, Endpoint, Json, Yes
from g2disk.cli.output import exact_size, print_json, print_line
from g2disk.cli.running import run
from g2disk.cli.server import connected
from g2disk.stores.store import DiskEntry


def delete(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The disk.")],
    yes: Yes = False,
    endpoint: Endpoint = DEFAULT_ENDPOINT,
    json: Json = False,
) -> None:
    """Remove a disk and all that is on it."""
    if not yes:
        check_somebody_is_there(f"whether {name!r} is to be deleted")
        entry = run(_get(endpoint, name))
        question = f"Delete {entry.name}, {exact_size(entry.size)}, at {endpoint}, with all that is on it?"
        ask(question, "nothing was deleted")
    run(_delete(endpoint, name))
    if json:
        print_json({"deleted": name})
    else:
        print_line(f"deleted {name}")


async def _get(endpoint: str, name: str) -> DiskEntry:
    async with connected(endpoint) as store:
        return await store.get(name)


async def _delete(endpoint: str, name: str) -> None:
    async with connected(endpoint) as store:
        await store.delete(name)
