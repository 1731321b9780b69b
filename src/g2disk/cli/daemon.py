"""The process that `g2disk attach` starts; not for people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
import uvloop

from g2disk.allocator import keep_freed_memory
from g2disk.attach.records import Slot
from g2disk.attach.serving import serve_slot
from g2disk.cli.serving import log_to_standard_error
from g2disk.clock import SystemClock


def daemon(slot: Annotated[Path, typer.Argument(metavar="DIRECTORY", help="The attachment's.")]) -> None:
    """Be the daemon of an attachment."""
    log_to_standard_error(verbose=False)
    keep_freed_memory()
    uvloop.run(serve_slot(Slot(slot), SystemClock(), lambda: None))
