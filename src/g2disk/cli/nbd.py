"""`g2disk nbd`: a gateway that serves a target server's disks over NBD."""

from __future__ import annotations

import logging
import math
import shlex
from typing import Annotated

import typer
import uvloop

from g2disk.allocator import keep_freed_memory
from g2disk.cli.options import DEFAULT_ENDPOINT, Endpoint
from g2disk.cli.serving import DRAIN_SECONDS, STOPPING, allow_many_files, log_to_standard_error, stop_signal
from g2disk.servers.gateway import Gateway
from g2disk.servers.nbd.server import NbdServer, nbd_uri

_log = logging.getLogger(__name__)

DEFAULT_LISTEN = "127.0.0.1:10809"
"""NBD's own port."""


def nbd(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="The disks to serve; left out: all of the server.")
    ] = None,
    listen: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDR",
            help=f"unix:PATH or HOST:PORT (port 0 takes a free one); may be repeated. Default: {DEFAULT_LISTEN}.",
        ),
    ] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Take no writes.")] = False,
    timeout: Annotated[
        float,
        typer.Option(min=0, metavar="SECONDS", help="How long a request waits for a server that is away; 0: for ever."),
    ] = 0.0,
    endpoint: Endpoint = DEFAULT_ENDPOINT,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
) -> None:
    """Serve disks of a target server over NBD, until SIGINT or SIGTERM."""
    log_to_standard_error(verbose)
    allow_many_files()
    keep_freed_memory()
    uvloop.run(_serve(endpoint, timeout or math.inf, names or [], read_only, listen or [DEFAULT_LISTEN]))


async def _serve(endpoint: str, timeout: float, names: list[str], read_only: bool, listen: list[str]) -> None:
    gateway = Gateway(endpoint, timeout, names, read_only=read_only)
    try:
        stop = stop_signal()
        exports = await gateway.list()
        server = NbdServer(gateway, listen)
        try:
            addresses = await server.start()
            what = exports[0][0] if len(exports) == 1 else f"{len(exports)} disks"
            uri = nbd_uri(addresses[0], names[0] if names else "")
            where = ", ".join(addresses)
            typer.echo(f"g2disk: serving {what} of {endpoint} over NBD on {where}; next: nbdinfo {shlex.quote(uri)}")
            await stop.wait()
            _log.info(STOPPING)
        finally:
            await server.drain(DRAIN_SECONDS, gateway.close)
    finally:
        await gateway.close()
