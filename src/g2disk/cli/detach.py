"""`g2disk detach`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from g2disk.attach.detachment import detach as detach_disk
from g2disk.attach.records import run_directory
from g2disk.cli.options import Json
from g2disk.cli.output import print_json, print_line
from g2disk.cli.running import run
from g2disk.cli.status import attachment_document
from g2disk.clock import SystemClock


def detach(
    what: Annotated[str, typer.Argument(metavar="NAME|DEVICE|FILE", help="As `g2disk status` shows it.")],
    force: Annotated[
        bool, typer.Option("--force", help="Even while it is in use: what was not yet stored is lost.")
    ] = False,
    json: Json = False,
) -> None:
    """Undo an attach: store what the kernel still holds, then end device and gateway."""
    attachment = run(detach_disk(what, run_directory(os.environ), SystemClock(), force))
    if json:
        print_json(attachment_document(attachment))
    else:
        print_line(f"detached {attachment.disk} from {attachment.where}")
