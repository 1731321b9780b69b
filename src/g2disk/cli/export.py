"""`g2disk export`."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer

from g2disk.cli.copying import Copy
from g2disk.cli.local import LocalFile, create_file, open_device, remove, rename
from g2disk.cli.options import DEFAULT_ENDPOINT, DEFAULT_TIMEOUT, DiskName, Endpoint, Json, Timeout
from g2disk.cli.output import copy_document, copy_line, note, print_json, print_line
from g2disk.cli.progress import progress
from g2disk.cli.running import run
from g2disk.cli.server import connected
from g2disk.clock import SystemClock
from g2disk.errors import Exists, Invalid, NotFound, from_os_error
from g2disk.stores.remote import RemoteStore


def export(
    name: DiskName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file, or with --force a block device.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file or a block device that is there.")] = False,
    verify: Annotated[bool, typer.Option(help="Read the file back and compare.")] = True,
    timeout: Timeout = DEFAULT_TIMEOUT,
    endpoint: Endpoint = DEFAULT_ENDPOINT,
    json: Json = False,
) -> None:
    """Copy a disk to a file of raw bytes: holes stay holes, and what was written is read back and compared.

    A disk that is written meanwhile gives a mixture of old and new; detach it first.
    """
    path = _target(file, force)
    size, data = run(_export(name, path, force, verify, connected(endpoint, timeout)))
    if json:
        print_json(copy_document(file, name, size, data, verify))
    else:
        print_line(f"exported {name} to {file}: {copy_line(size, data, verify)}")


def _target(file: Path, force: bool) -> Path:
    """The path behind all links, when it may be written to."""
    path = file.resolve()
    if path.exists() and not force:
        raise Exists(f"{file} is there already; take another name, or overwrite it with --force")
    if path.exists() and not (path.is_file() or path.is_block_device()):
        raise Invalid(f"{file} is neither a regular file nor a block device; take another name")
    if not path.parent.is_dir():
        raise NotFound(f"there is no directory {path.parent}; make it first")
    return path


async def _export(
    name: str, path: Path, force: bool, verify: bool, server: AbstractAsyncContextManager[RemoteStore]
) -> tuple[int, int]:
    async with server as store:
        disk = await store.open(name)
        size = disk.info().size
        async with _destination(path, size, force) as destination:
            copy = Copy(disk, destination, size, clean=not destination.is_device)
            clock = SystemClock()
            with progress(f"exporting to {path}", await copy.measure(), clock) as advance:
                await copy.copy(advance)
            if verify:
                with progress("verifying", copy.copied, clock) as advance:
                    await copy.verify(advance)
            return size, copy.copied


def _destination(path: Path, size: int, force: bool) -> AbstractAsyncContextManager[LocalFile]:
    """Where to write."""
    return _device(path, size) if path.is_block_device() else _file(path, size, force)


@asynccontextmanager
async def _file(path: Path, size: int, force: bool) -> AsyncIterator[LocalFile]:
    """A file that gets its name when the block has succeeded, and is gone when it has failed."""
    partial = path.with_name(f".{path.name[:200]}.{os.getpid()}.part")
    made = create_file(partial, size)
    try:
        try:
            yield made
        finally:
            await made.close()
        _put(partial, path, force)
    except BaseException:
        remove(partial)
        raise


@asynccontextmanager
async def _device(path: Path, size: int) -> AsyncIterator[LocalFile]:
    device = open_device(path)
    try:
        if device.length < size:
            raise Invalid(f"{path} has {device.length} bytes, the disk has {size}; take a larger device")
        try:
            yield device
        except BaseException:
            note(f"note: {path} holds only a part of the disk now; export it again before you use it")
            raise
    finally:
        await device.close()


def _put(partial: Path, path: Path, force: bool) -> None:
    """Give the complete file its name."""
    try:
        rename(partial, path, replace=force)
    except FileExistsError:
        raise Exists(f"somebody else made {path} meanwhile; take another name, or overwrite it with --force") from None
    except OSError as error:
        raise from_os_error(error, f"naming {path}") from error
