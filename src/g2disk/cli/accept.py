"""`g2disk accept`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from g2disk.attach.detachment import accept as accept_disk
from g2disk.attach.records import run_directory
from g2disk.cli.options import Json
from g2disk.cli.output import print_json, print_line
from g2disk.cli.running import run


def accept(
    what: Annotated[str, typer.Argument(metavar="NAME|DEVICE", help="As `g2disk status` shows it.")],
    json: Json = False,
) -> None:
    """Go on with a disk that lost data, or is another one now: its requests fail until you have."""
    attachment, report = run(accept_disk(what, run_directory(os.environ)))
    if json:
        print_json({"disk": attachment.disk, "path": attachment.target, "condition": report.condition})
    else:
        print_line(f"{attachment.where} goes on with {attachment.disk} as it is now; check what is on it")
