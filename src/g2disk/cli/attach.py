"""`g2disk attach`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from g2disk.attach.attachment import Wish
from g2disk.attach.attachment import attach as attach_disk
from g2disk.attach.gateway import Via
from g2disk.attach.records import run_directory
from g2disk.cli.options import DEFAULT_ENDPOINT, DEFAULT_TIMEOUT, DiskName, Endpoint, Json, Timeout
from g2disk.cli.output import note, print_json, print_line
from g2disk.cli.running import run
from g2disk.cli.status import attachment_document
from g2disk.clock import SystemClock
from g2disk.errors import Invalid


def attach(
    name: DiskName,
    device: Annotated[
        str, typer.Argument(metavar="[DEVICE]", help="Such as /dev/nbd0; left out: a free one.", show_default=False)
    ] = "",
    fuse: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Show the disk as this file; needs no nbd in the kernel, and no root."),
    ] = None,
    connections: Annotated[
        int, typer.Option(min=1, max=64, metavar="N", help="Connections between kernel and gateway.")
    ] = 1,
    via: Annotated[
        Via,
        typer.Option(metavar="nbd|nbdkit", help="The gateway: g2disk's own NBD server, or nbdkit with its plugin."),
    ] = Via.NBD,
    read_only: Annotated[bool, typer.Option("--read-only", help="Take no writes.")] = False,
    timeout: Timeout = DEFAULT_TIMEOUT,
    endpoint: Endpoint = DEFAULT_ENDPOINT,
    json: Json = False,
) -> None:
    """Make a block device of a disk, and print the device's path.

    A gateway process keeps running until `g2disk detach`.
    """
    if fuse is not None and device:
        raise Invalid("give a device or --fuse FILE, not both")
    wish = Wish(endpoint, name, device, fuse, connections, read_only, timeout, via)
    attachment = run(attach_disk(wish, run_directory(os.environ), SystemClock()))
    if json:
        print_json(attachment_document(attachment))
        return
    print_line(attachment.target)
    if fuse is not None:
        note(f"{attachment.target} is the disk; as root, `mount -o loop` mounts a file system on it")
