"""`g2disk plugin`: where the nbdkit plugin is."""

from __future__ import annotations

from pathlib import Path

import typer

import g2disk.servers.nbdkit


def plugin() -> None:
    """Print the path of the nbdkit plugin.

    Use it so: nbdkit -f -t 64 -U /tmp/g2disk.sock python "$(g2disk plugin)" endpoint=localhost:8080
    [disk=NAME] [timeout=SECONDS] [readonly=BOOL]
    """
    typer.echo(Path(g2disk.servers.nbdkit.__file__).with_name("plugin.py"))
