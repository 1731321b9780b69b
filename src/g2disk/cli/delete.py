"""`g2disk delete`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from g2disk.cli.exit_codes import DECLINED
from g2disk.cli.options import DEFAULT_ENDPOINT, Endpoint, Json
from g2disk.cli.output import exact_size, note, print_json, print_line, printable
from g2disk.cli.running import run
from g2disk.cli.server import connected
from g2disk.errors import Invalid
from g2disk.stores.store import DiskEntry


def delete(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The disk.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    endpoint: Endpoint = DEFAULT_ENDPOINT,
    json: Json = False,
) -> None:
    """Remove a disk and all that is on it."""
    if not yes:
        if not sys.stdin.isatty():
            raise Invalid(f"nobody is there to ask whether {name!r} is to be deleted; say --yes if it is")
        entry = run(_get(endpoint, name))
        question = f"Delete {entry.name}, {exact_size(entry.size)}, at {endpoint}, with all that is on it?"
        if not typer.confirm(printable(question), err=True):
            note("nothing was deleted")
            raise typer.Exit(DECLINED)
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
