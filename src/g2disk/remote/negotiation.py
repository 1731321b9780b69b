"""Which protocol a target server speaks: g2disk.v1 in sessions, else call by call, else the reference protocol."""

from __future__ import annotations

import logging

from g2disk.errors import Unsupported
from g2disk.remote.connection import Connection, UnknownMethod
from g2disk.remote.disk import RemoteDisk
from g2disk.remote.reference import ReferenceDisk
from g2disk.remote.terms import Terms
from g2disk.units import DEFAULT_DISK

log = logging.getLogger(__name__)


async def open_remote_disk(
    connection: Connection, name: str = "", wait: bool = False, terms: Terms | None = None
) -> RemoteDisk | ReferenceDisk:
    """The disk called `name` at the server (empty: its default disk), by the best protocol that it speaks.

    Without `wait` a server that is away is an error at once, with it after the connection's timeout.  Raises
    `NotFound`, `Unavailable`, `Corrupt`, and `Unsupported` where the server is no target server at all.
    """
    try:
        disk = await RemoteDisk.open(connection, name, wait, terms)
    except UnknownMethod:
        if name not in ("", DEFAULT_DISK):
            raise Unsupported(
                f"the server at {connection.endpoint} does not speak g2disk.v1, and has no disks with names; "
                "leave the name out to use its only disk by the reference protocol"
            ) from None
    else:
        log.info("= %s speaks %s", connection.endpoint, disk.protocol)
        return disk
    try:
        only = await ReferenceDisk.open(connection, wait)
    except UnknownMethod as error:
        raise Unsupported(
            f"the server at {connection.endpoint} is no g2disk target server; check the address"
        ) from error
    log.info("= %s speaks the reference protocol: no flush, so nothing is known to be durable", connection.endpoint)
    return only
