"""Requests of a batch, done one by one with a disk's coroutines."""

from __future__ import annotations

from typing import Any

from g2disk.disk.disk import Disk
from g2disk.errors import DiskError, Invalid
from g2disk.request import CACHE, EXTENTS, FAST, FLUSH, FUA, KEEP_ALLOCATED, READ, TRIM, WRITE, ZERO, Request


async def perform(disk: Disk, request: Request) -> None:
    """Do the request with the method of `disk` that it names, and set its `data` or `error`.

    Raises nothing that a disk behind `Checked` may raise; cancellation passes through.
    """
    try:
        request.data = await _outcome(disk, request)
    except DiskError as error:
        request.data, request.error = None, error


async def _outcome(disk: Disk, request: Request) -> Any:
    offset, length, fua = request.offset, request.length, bool(request.flags & FUA)
    operation = request.operation
    if operation == READ:
        return await disk.read(offset, length)
    if operation == WRITE:
        return await disk.write(offset, request.data, fua)
    if operation == FLUSH:
        return await disk.flush()
    if operation == TRIM:
        return await disk.trim(offset, length, fua)
    if operation == ZERO:
        keep, fast = bool(request.flags & KEEP_ALLOCATED), bool(request.flags & FAST)
        return await disk.zero(offset, length, fua, may_trim=not keep, fast=fast)
    if operation == EXTENTS:
        return await disk.extents(offset, length)
    if operation == CACHE:
        return await disk.cache(offset, length)
    raise Invalid(f"there is no operation {operation}")
