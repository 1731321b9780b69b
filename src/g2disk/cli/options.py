"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from g2disk.remote.endpoint import DEFAULT_ENDPOINT, DEFAULT_TIMEOUT

Endpoint = Annotated[
    str,
    typer.Option(
        "--endpoint",
        "-e",
        envvar="G2DISK_ENDPOINT",
        metavar="HOST:PORT|unix:PATH",
        help="The target server; or several ways to it, with commas, tried in this order.",
    ),
]
"""Defaults to `DEFAULT_ENDPOINT`."""

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document; sizes are bytes.")]

Timeout = Annotated[
    float,
    typer.Option(min=1, metavar="SECONDS", help="How long a request waits for a server that is away, then fails."),
]
"""Defaults to `DEFAULT_TIMEOUT`."""

DiskName = Annotated[str, typer.Argument(metavar="NAME", help="The disk; '' is the server's default disk.")]

SnapshotName = Annotated[str, typer.Argument(metavar="NAME@SNAPSHOT", help="The disk and its snapshot.")]

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

Size = Annotated[str, typer.Argument(metavar="SIZE", help="Bytes, or with a unit: 5MiB, 10G, 1EiB, up to 8EiB.")]

__all__ = [
    "DEFAULT_ENDPOINT",
    "DEFAULT_TIMEOUT",
    "DiskName",
    "Endpoint",
    "Json",
    "Size",
    "SnapshotName",
    "Timeout",
    "Yes",
]
