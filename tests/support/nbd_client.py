"""libnbd's client, opened on a socket."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbd


@contextlib.contextmanager
def connected(socket: Path, export: str = "", **options: Any) -> Iterator[Any]:
    """A libnbd handle on the export; requests are sent as they are asked for, without libnbd's own checks."""
    handle = nbd.NBD()
    handle.set_export_name(export)
    handle.add_meta_context(nbd.CONTEXT_BASE_ALLOCATION)
    handle.set_strict_mode(0)
    for name, value in options.items():
        getattr(handle, f"set_{name}")(value)
    handle.connect_unix(str(socket))
    try:
        yield handle
    finally:
        with contextlib.suppress(nbd.Error):
            handle.shutdown()


def allocation(handle: Any, offset: int, length: int) -> list[tuple[int, int]]:
    """(length, state) of base:allocation."""
    found: list[int] = []

    def take(_context: str, _offset: int, entries: list[int], _error: Any) -> int:
        found.extend(entries)
        return 0

    handle.block_status(length, offset, take)
    return list(zip(found[::2], found[1::2], strict=True))
