"""The server that a command talks to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from g2disk.stores.remote import RemoteStore


@asynccontextmanager
async def connected(endpoint: str) -> AsyncIterator[RemoteStore]:
    """The disks of the server at `endpoint`, which is not asked yet."""
    store = RemoteStore(endpoint)
    try:
        yield store
    finally:
        await store.close()
