"""`g2disk import`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer

from g2disk.cancellation import to_the_end
from g2disk.cli.copying import Copy
from g2disk.cli.local import LocalFile, open_source
from g2disk.cli.options import DEFAULT_ENDPOINT, DEFAULT_TIMEOUT, Endpoint, Json, Timeout
from g2disk.cli.output import copy_document, copy_line, note, print_json, print_line
from g2disk.cli.progress import progress
from g2disk.cli.running import run
from g2disk.cli.server import connected
from g2disk.clock import SystemClock
from g2disk.disk import Disk
from g2disk.errors import DiskError, Exists, Invalid, NotFound, ReadOnly
from g2disk.stores.remote import RemoteStore
from g2disk.units import SECTOR, check_disk_name, check_disk_size


def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A regular file or a block device, with raw bytes.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="The disk; it is made.")],
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite a disk that is there; behind FILE's end it is zeroed.")
    ] = False,
    verify: Annotated[bool, typer.Option(help="Read the disk back and compare.")] = True,
    timeout: Timeout = DEFAULT_TIMEOUT,
    endpoint: Endpoint = DEFAULT_ENDPOINT,
    json: Json = False,
) -> None:
    """Copy a file to a new disk: holes and zeroes stay holes, and what was written is read back and compared."""
    size, data = run(_import(file, check_disk_name(name), force, verify, connected(endpoint, timeout)))
    if json:
        print_json(copy_document(file, name, size, data, verify))
    else:
        print_line(f"imported {file} to {name}: {copy_line(size, data, verify)}")


async def _import(
    file: Path, name: str, force: bool, verify: bool, server: AbstractAsyncContextManager[RemoteStore]
) -> tuple[int, int]:
    source = open_source(file)
    try:
        async with server as store, _destination(store, source, file, name, force) as (disk, clean):
            source.size = disk.info().size
            copy = Copy(source, disk, source.size, clean)
            clock = SystemClock()
            with progress(f"importing {file}", await copy.measure(), clock) as advance:
                await copy.copy(advance)
            if verify:
                with progress("verifying", copy.copied, clock) as advance:
                    await copy.verify(advance)
            return source.size, copy.copied
    finally:
        await source.close()


@asynccontextmanager
async def _destination(
    store: RemoteStore, source: LocalFile, file: Path, name: str, force: bool
) -> AsyncIterator[tuple[Disk, bool]]:
    """The disk, and whether it is all zeroes.  When the block fails, a disk that was made for it is deleted."""
    if not source.length:
        raise Invalid(f"{file} is empty, and a disk cannot be; give a file with data")
    try:
        there = await store.get(name)
    except NotFound:
        there = None
    if there is None:
        await _create(store, name, check_disk_size(-(-source.length // SECTOR) * SECTOR))
        try:
            yield await store.open(name), True
        except BaseException:
            await _remove(store, name)
            raise
        return
    if not force:
        raise Exists(f"there is a disk {name!r} already; take another name, or overwrite it with --force")
    if there.read_only:
        raise ReadOnly(f"the disk {name!r} takes no writes; take another name")
    if there.size < source.length:
        raise Invalid(
            f"{file} has {source.length} bytes, more than the {there.size} of the disk {name!r}; "
            f"`g2disk resize {name} SIZE` makes it larger"
        )
    try:
        yield await store.open(name), False
    except BaseException:
        note(f"note: the disk {name!r} holds only a part of {file} now; import it again before you use it")
        raise


async def _create(store: RemoteStore, name: str, size: int) -> None:
    try:
        await to_the_end(store.create(name, size))
    except asyncio.CancelledError as cancelled:
        if cancelled.__cause__ is None:  # it was made
            await _remove(store, name)
        raise


async def _remove(store: RemoteStore, name: str) -> None:
    try:
        await store.delete(name)
    except DiskError as error:
        note(f"note: the disk {name!r} is left half filled ({error}); `g2disk delete {name}`, then repeat")
