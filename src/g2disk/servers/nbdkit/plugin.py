"""The nbdkit plugin.

    nbdkit python "$(g2disk plugin)" endpoint=HOST:PORT [disk=NAME] [timeout=SECONDS] [readonly=BOOL] [record=DIR]

The other parameters (`g2disk.servers.nbdkit.parameters`) are for who takes over another gateway's device.
nbdkit loads this file into a Python of its own and calls its functions by their names, from many threads
(nbdkit-python-plugin(3)).  Handles are `g2disk.disk.Disk` objects.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

import nbdkit


def _fail(message: str) -> NoReturn:
    """End nbdkit with one line; an exception would come with a traceback."""
    print(f"nbdkit: g2disk: error: {message}", file=sys.stderr, flush=True)  # noqa: T201
    os._exit(1)


def _find_packages() -> None:
    """Put the environment that g2disk was installed into before nbdkit's own on sys.path."""
    home = Path(__file__).resolve().parents[3]
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    if home.name == "site-packages":
        if home.parent.name.startswith("python3") and home.parent.name != version:
            _fail(
                f"g2disk is installed for {home.parent.name}, and nbdkit runs {version}; "
                f"install g2disk in an environment made by {version} -m venv"
            )
        sys.path.insert(0, str(home))
        return
    environments = [Path(os.environ["VIRTUAL_ENV"])] if "VIRTUAL_ENV" in os.environ else []
    for environment in (*environments, home.parent / ".venv"):
        packages = environment / "lib" / version / "site-packages"
        if packages.is_dir():
            sys.path[:0] = [str(home), str(packages)]
            return
    _fail(f"there is no environment of {version}, which nbdkit runs, beside {home}; make it with ./dev setup")


_find_packages()

from g2disk.disk import Buffer, Disk  # noqa: E402
from g2disk.errors import DiskError  # noqa: E402
from g2disk.nbd.errors import nbd_errno  # noqa: E402
from g2disk.request import (  # noqa: E402
    CACHE,
    EXTENTS,
    FAST,
    FLUSH,
    FUA,
    KEEP_ALLOCATED,
    READ,
    TRIM,
    WRITE,
    ZERO,
    Request,
)
from g2disk.servers.nbdkit.parameters import HELP, Parameters  # noqa: E402

API_VERSION = 2

_MOST_PREFERRED = 32 << 20
"""Bytes; nbdkit refuses every client of a disk whose preferred block is larger."""

_parameters = Parameters()
_gateway: Any = None
_format_exception = traceback.format_exception


def _one_line(*arguments: Any, **options: Any) -> list[str]:
    """Nbdkit prints what this gives for a failed call; errors of g2disk are messages, not bugs."""
    for argument in arguments:
        if isinstance(argument, DiskError):
            return [str(argument)]
    return _format_exception(*arguments, **options)


traceback.format_exception = _one_line


class _Log(logging.Handler):
    """Warnings go to standard error, the rest to nbdkit's debug log (nbdkit -v)."""

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        if record.levelno >= logging.WARNING:
            print(f"nbdkit: g2disk: {line}", file=sys.stderr, flush=True)  # noqa: T201
        else:
            nbdkit.debug(f"g2disk: {line}")


def _perform(disk: Disk, operation: int, flags: int, offset: int, length: int, data: Any = None) -> Any:
    """Have the disk do a request on the gateway's loop; its errors become NBD's."""
    request = Request(operation, flags, offset, length, data=data)
    try:
        return _gateway.bridge.perform(disk, request)
    except DiskError as error:
        nbdkit.set_error(nbd_errno(error, writing=operation == WRITE))
        raise


def config(key: str, value: str) -> None:
    """One parameter of the command line."""
    try:
        _parameters.set(key, value)
    except DiskError as error:
        _fail(str(error))


def config_complete() -> None:
    """All parameters were given."""
    try:
        _parameters.check()
    except DiskError as error:
        _fail(str(error))


def dump_plugin() -> None:
    """`nbdkit python PLUGIN --dump-plugin`."""
    from importlib.metadata import version

    print(f"g2disk_version={version('g2disk')}", flush=True)  # noqa: T201
    for line in HELP.splitlines():
        print(f"g2disk_parameter_{line}", flush=True)  # noqa: T201


def thread_model() -> int:
    """Requests run on many threads at once."""
    return int(nbdkit.THREAD_MODEL_PARALLEL)


def get_ready() -> None:
    """Look whether server and disk are there, in a process of its own, while a person still reads standard error.

    Who takes over a device waits for the server instead.
    """
    if _parameters.client:
        return
    child = os.fork()
    if child == 0:
        from g2disk.servers.nbdkit.gateway import check_server

        problem = check_server(_parameters)
        if problem:
            _fail(problem)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status != 0:
        os._exit(1)


def after_fork() -> None:
    """The event loop and its thread start here: threads do not survive the fork by which nbdkit becomes a daemon."""
    global _gateway  # noqa: PLW0603
    from g2disk.allocator import keep_freed_memory
    from g2disk.servers.nbdkit.gateway import ThreadedGateway

    keep_freed_memory()
    logging.basicConfig(level=logging.INFO, handlers=[_Log()], format="%(message)s")
    try:
        _gateway = ThreadedGateway(_parameters)
    except DiskError as error:
        _fail(str(error))


def cleanup() -> None:
    """Nbdkit ends; no connection is open."""
    if _gateway is not None:
        _gateway.close()


def list_exports(_readonly: bool, _is_tls: bool) -> Iterable[tuple[str, str]]:
    """The store's disks."""
    return list(_gateway.list())


def default_export(_readonly: bool, _is_tls: bool) -> str:
    """The disk for clients that name none."""
    return str(_gateway.default())


def open(_readonly: bool) -> Disk:  # noqa: A001
    """A client connects; the handle is the disk."""
    disk: Disk = _gateway.open(nbdkit.export_name())
    return disk


def export_description(disk: Disk) -> str:
    """One line for people."""
    return disk.info().description


def get_size(disk: Disk) -> int:
    """Bytes."""
    return disk.info().size


def block_size(disk: Disk) -> tuple[int, int, int]:
    """Minimum, preferred and maximum, in bytes."""
    info = disk.info()
    preferred = min(max(info.preferred_block, 512), info.maximum_request, _MOST_PREFERRED)
    return info.minimum_block, preferred, info.maximum_request


def is_rotational(disk: Disk) -> bool:
    """Whether seeking is slow."""
    return disk.info().rotational


def can_write(disk: Disk) -> bool:
    """Whether writes are taken."""
    return not (disk.info().read_only or _parameters.readonly)


def can_flush(disk: Disk) -> bool:
    """Whether the server can tell what is durable."""
    return disk.info().flush


def can_fua(disk: Disk) -> int:
    """FUA travels to the server, where there is a flush to compare it with."""
    return int(nbdkit.FUA_NATIVE if disk.info().flush else nbdkit.FUA_NONE)


def can_trim(disk: Disk) -> bool:
    """Whether space can be given back."""
    return disk.info().trim


def can_zero(disk: Disk) -> bool:
    """Whether zeroing costs less than writing; nbdkit writes zeroes where it does not."""
    return disk.info().zero


def can_fast_zero(disk: Disk) -> bool:
    """Whether a zero request may ask for speed or nothing."""
    return disk.info().fast_zero


def can_extents(disk: Disk) -> bool:
    """Whether holes are known."""
    return disk.info().extents


def can_cache(disk: Disk) -> int:
    """Whether a hint makes later reads faster."""
    return int(nbdkit.CACHE_NATIVE if disk.info().cache else nbdkit.CACHE_NONE)


def can_multi_conn(disk: Disk) -> bool:
    """Whether one flush covers all connections."""
    from g2disk.servers.gateway import can_share

    return can_share(disk.info())


def pread(disk: Disk, buf: memoryview, offset: int, _flags: int) -> None:
    """Fill `buf` from the disk."""
    buf[:] = _perform(disk, READ, 0, offset, len(buf))


def pwrite(disk: Disk, buf: Buffer, offset: int, flags: int) -> None:
    """Store `buf` on the disk."""
    _perform(disk, WRITE, _fua(flags), offset, len(buf), buf)


def flush(disk: Disk, _flags: int) -> None:
    """Make durable what was answered."""
    _perform(disk, FLUSH, 0, 0, 0)


def trim(disk: Disk, count: int, offset: int, flags: int) -> None:
    """Give back space."""
    _perform(disk, TRIM, _fua(flags), offset, count)


def zero(disk: Disk, count: int, offset: int, flags: int) -> None:
    """Make a range read as zeroes."""
    keep = 0 if flags & nbdkit.FLAG_MAY_TRIM else KEEP_ALLOCATED
    fast = FAST if flags & nbdkit.FLAG_FAST_ZERO else 0
    _perform(disk, ZERO, _fua(flags) | keep | fast, offset, count)


def extents(disk: Disk, count: int, offset: int, _flags: int) -> Iterable[tuple[int, int, int]]:
    """Where data and holes are."""
    return [
        (extent.offset, extent.length, extent.hole * nbdkit.EXTENT_HOLE | extent.zero * nbdkit.EXTENT_ZERO)
        for extent in _perform(disk, EXTENTS, 0, offset, count)
    ]


def cache(disk: Disk, count: int, offset: int, _flags: int) -> None:
    """The range will be read soon."""
    _perform(disk, CACHE, 0, offset, count)


def _fua(flags: int) -> int:
    return FUA if flags & nbdkit.FLAG_FUA else 0
