"""`g2disk serve`: a target server."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import typer
import uvloop
from prometheus_client import CollectorRegistry, start_http_server

from g2disk.allocator import keep_freed_memory
from g2disk.cli.secrets import KeyEnvironment, KeyFile, PassphraseFile
from g2disk.cli.serving import DRAIN_SECONDS, STOPPING, allow_many_files, log_to_standard_error, stop_signal
from g2disk.cli.volume_options import (
    DEFAULT_SIZE,
    Cache,
    CacheSize,
    Durability,
    Journal,
    JournalSize,
    VolumeChoices,
)
from g2disk.clock import SystemClock
from g2disk.disk import Disk
from g2disk.disk.layers.logged import Logged
from g2disk.disk.layers.metered import Metered
from g2disk.disk.layers.read_only import ReadOnlyDisk
from g2disk.errors import Busy, Invalid, NotFound, from_os_error
from g2disk.metrics import DiskMetrics
from g2disk.remote.endpoint import DEFAULT_ENDPOINT, check_endpoint
from g2disk.servers.exports import Exports
from g2disk.servers.grpc.server import GrpcServer
from g2disk.servers.nbd.exports import StoreExports
from g2disk.servers.nbd.server import NbdServer, nbd_uri
from g2disk.servers.state_metrics import StateMetrics
from g2disk.stores.opening import DEFAULT_STORE, open_store
from g2disk.stores.store import Store
from g2disk.threads import let_the_event_loop_in
from g2disk.units import check_disk_name, check_disk_size, format_size, parse_size

_log = logging.getLogger(__name__)


def serve(
    store: Annotated[
        str,
        typer.Argument(
            metavar="[STORE]",
            help="memory:, file:DIR, s3://BUCKET/PREFIX, gs://…, az://…, objects:DIR, grpc://HOST:PORT, module:Class "
            "or FILE.py:Class; left out: files in your data directory.",
        ),
    ] = DEFAULT_STORE,
    listen: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDR",
            help=f"HOST:PORT (port 0 takes a free one) or unix:PATH; may be repeated. Default: {DEFAULT_ENDPOINT}, "
            "or 0.0.0.0:$PORT where PORT is in the environment.",
        ),
    ] = None,
    nbd: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDR", help="Serve the same disks over NBD there, with no gateway in between; may be repeated."
        ),
    ] = None,
    disk: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=SIZE", help="Create this disk if it is missing; may be repeated."),
    ] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Take no writes.")] = False,
    journal: Journal = None,
    journal_size: JournalSize = DEFAULT_SIZE,
    cache: Cache = None,
    cache_size: CacheSize = DEFAULT_SIZE,
    durability: Durability = "",
    key_file: KeyFile = None,
    key_env: KeyEnvironment = "",
    passphrase_file: PassphraseFile = None,
    metrics: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Serve Prometheus metrics over HTTP there.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log every request.")] = False,
) -> None:
    """Serve the disks of a store over gRPC, and over NBD where asked to, until SIGINT or SIGTERM."""
    log_to_standard_error(verbose)
    wanted = [_parse_disk(text) for text in disk or ()]
    choices = VolumeChoices(journal, journal_size, cache, cache_size, durability, key_file, key_env, passphrase_file)
    volumes = choices.options_for(store)
    allow_many_files()
    keep_freed_memory()
    if volumes is not None:
        let_the_event_loop_in()
    addresses = _Addresses(listen or _default_listen(), nbd or [])
    opening = partial(open_store, store, read_only=read_only, volumes=volumes)
    uvloop.run(_serve(opening, addresses, wanted, read_only, _Layers(read_only, metrics, verbose)))


def _default_listen() -> list[str]:
    port = os.environ.get("PORT")
    return [f"0.0.0.0:{port}" if port else DEFAULT_ENDPOINT]


def _parse_disk(text: str) -> tuple[str, int]:
    name, equals, size = text.partition("=")
    if not equals:
        raise Invalid(f"--disk {text} has no size; write NAME=SIZE, such as {name or 'default'}=10GiB")
    return check_disk_name(name), check_disk_size(parse_size(size))


@dataclass(frozen=True, slots=True)
class _Addresses:
    """Where to listen."""

    grpc: Sequence[str]
    nbd: Sequence[str]


class _Layers:
    """Wraps every disk in what the options ask for."""

    def __init__(self, read_only: bool, metrics: str | None, verbose: bool) -> None:
        self._read_only, self._verbose = read_only, verbose
        self._metrics: DiskMetrics | None = None
        if metrics is not None:
            self._registry = CollectorRegistry()
            self._metrics = DiskMetrics(self._registry)
            _start_metrics(metrics, self._registry)

    def watch(self, exports: Exports) -> None:
        """Have the metrics tell the disks' state, too."""
        if self._metrics is not None:
            self._registry.register(StateMetrics(exports))

    def __call__(self, name: str, disk: Disk) -> Disk:
        if self._read_only:
            disk = ReadOnlyDisk(disk)
        if self._metrics is not None:
            disk = Metered(disk, self._metrics, name, SystemClock())
        if self._verbose:
            disk = Logged(disk, name)
        return disk


def _start_metrics(address: str, registry: CollectorRegistry) -> None:
    if address.startswith("unix:"):
        raise Invalid(f"metrics are served over HTTP on a port, not on {address}; write HOST:PORT")
    host, _, port = check_endpoint(address).rpartition(":")
    try:
        start_http_server(int(port), host.strip("[]"), registry)
    except OSError as error:
        raise from_os_error(error, f"cannot serve metrics on {address}") from error


async def _serve(
    opening: Callable[[], Awaitable[Store]],
    listen: _Addresses,
    wanted: Sequence[tuple[str, int]],
    read_only: bool,
    layers: _Layers,
) -> None:
    store = await opening()
    try:
        for name, size in wanted:
            await _create_if_missing(store, name, size, read_only)
        stop = stop_signal()
        exports = Exports(store, layers)
        layers.watch(exports)
        server, nbd_server = GrpcServer(exports, listen.grpc), NbdServer(StoreExports(exports), listen.nbd)
        addresses = await server.start()
        try:
            nbd_addresses = await nbd_server.start()
            where = ", ".join(addresses + [f"NBD {address}" for address in nbd_addresses])
            next_step = _next_step_nbd(nbd_addresses[0]) if nbd_addresses else _next_step(addresses[0])
            typer.echo(f"g2disk: serving {await _summary(store)} on {where}; {next_step}")
            await stop.wait()
            # Logged, as that never fails: Ctrl-C may have ended who reads it, and requests are finished all the same.
            _log.info(STOPPING)
        finally:
            async with asyncio.TaskGroup() as drains:
                drains.create_task(nbd_server.drain(DRAIN_SECONDS))
                drains.create_task(server.drain(DRAIN_SECONDS))
    finally:
        await store.close()


async def _create_if_missing(store: Store, name: str, size: int, read_only: bool) -> None:
    try:
        entry = await store.get(name)
    except NotFound:
        if read_only:
            raise NotFound(f"there is no disk {name!r} in {store.url}, and --read-only creates none") from None
        await store.create(name, size)
        return
    if entry.size != size:
        raise Busy(
            f"the disk {name!r} in {store.url} has {entry.size} bytes, not {size}; "
            f"leave --disk out, or change its size with `g2disk resize {name}` while the server runs"
        )


async def _summary(store: Store) -> str:
    entries = await store.list()
    if len(entries) == 1:
        return f"{store.url} ({entries[0].name}, {format_size(entries[0].size)})"
    return f"{store.url} ({len(entries)} disks)"


def _next_step(address: str) -> str:
    return f"next: g2disk nbd --endpoint {shlex.quote(address)} --listen unix:/tmp/g2disk.sock"


def _next_step_nbd(address: str) -> str:
    return f"next: nbdinfo {shlex.quote(nbd_uri(address))}"
