"""The server that a command talks to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from g2disk.remote.endpoint import DEFAULT_TIMEOUT
from g2disk.stores.remote import RemoteStore


@asynccontextmanager
async def connected(endpoint: str, timeout: float = DEFAULT_TIMEOUT) -> AsyncIterator[RemoteStore]:
    """The disks of the server at `endpoint`, which is not asked yet; see `RemoteStore` for the timeout."""
    store = RemoteStore(endpoint, timeout)
    try:
        yield store
    finally:
        await store.close()
