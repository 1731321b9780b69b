"""`g2disk attach`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from g2disk.allocator import keep_freed_memory
from g2disk.attach.attachment import Wish, attach_here
from g2disk.attach.attachment import attach as attach_disk
from g2disk.attach.daemon import FOR_EVER, Ending
from g2disk.attach.records import Attachment, Via, run_directory
from g2disk.cli.options import DEFAULT_ENDPOINT, DiskName, Endpoint, Json
from g2disk.cli.output import note, print_json, print_line
from g2disk.cli.running import run
from g2disk.cli.serving import log_to_standard_error
from g2disk.cli.status import attachment_document
from g2disk.clock import SystemClock
from g2disk.errors import Invalid

LEFT = 75
"""The exit code of a daemon in the foreground that left the device to the next one (EX_TEMPFAIL in sysexits.h)."""


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
        int, typer.Option(min=1, max=64, metavar="N", help="Sockets between kernel and gateway.")
    ] = 1,
    via: Annotated[
        Via,
        typer.Option(metavar="nbd|nbdkit", help="The gateway: g2disk's own, or nbdkit with its plugin."),
    ] = Via.NBD,
    read_only: Annotated[bool, typer.Option("--read-only", help="Take no writes.")] = False,
    timeout: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="How long a request waits for a server that is away, then fails; 0: for ever (--fuse: 60 s).",
        ),
    ] = 0.0,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            file_okay=False,
            help="Keep what is not flushed yet in this directory, so that it outlives a daemon that is killed.",
        ),
    ] = None,
    foreground: Annotated[
        bool,
        typer.Option(
            "--foreground", help="Be the daemon, instead of starting one; SIGTERM leaves the device to the next."
        ),
    ] = False,
    endpoint: Endpoint = DEFAULT_ENDPOINT,
    json: Json = False,
) -> None:
    """Make a block device of a disk, and print the device's path.

    A daemon answers the kernel until `g2disk detach`.  When it was killed, the same command takes the device over.
    """
    if fuse is not None and (device or foreground or record):
        raise Invalid("give --fuse FILE or a device, --foreground and --record, not both")
    if not 0 <= timeout <= FOR_EVER:  # nor what is not a number
        raise Invalid(
            f"--timeout {timeout:g} is not a number of seconds up to {FOR_EVER}; leave it out to wait for ever"
        )
    wish = Wish(endpoint, name, device, fuse, connections, read_only, timeout, via, record)
    directory = run_directory(os.environ)
    if foreground:
        log_to_standard_error(verbose=False)
        keep_freed_memory()
        work = attach_here(wish, directory, SystemClock(), lambda attachment: _show(attachment, json))
        if uvloop.run(work) is not Ending.DETACHED:
            raise typer.Exit(LEFT)
        return
    attachment = run(attach_disk(wish, directory, SystemClock()))
    _show(attachment, json)
    if fuse is not None:
        note(f"{attachment.target} is the disk; as root, `mount -o loop` mounts a file system on it")


def _show(attachment: Attachment, json: bool) -> None:
    if json:
        print_json(attachment_document(attachment))
    else:
        print_line(attachment.target)
