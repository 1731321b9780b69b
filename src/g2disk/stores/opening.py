"""URL -> store."""

from __future__ import annotations

from g2disk.errors import Invalid
from g2disk.remote.endpoint import DEFAULT_TIMEOUT
from g2disk.stores.file import FileStore
from g2disk.stores.memory import MemoryStore
from g2disk.stores.python import load_python, names_python
from g2disk.stores.remote import RemoteStore
from g2disk.stores.store import Store

_SCHEMES = ("memory", "file", "grpc")

DEFAULT_STORE = "file:"
"""Durable, in the user's data directory."""


async def open_store(url: str = DEFAULT_STORE, *, read_only: bool = False, timeout: float = DEFAULT_TIMEOUT) -> Store:
    """The store that `url` names:

    memory:                     sparse disks in memory, gone with the process
    file:DIR                    sparse files in DIR; without DIR, in the user's data directory
    grpc://HOST:PORT            the disks of another target server; also grpc://unix:PATH
    module:Class, FILE.py:Class a disk of one's own; arguments as ?name=value&name=value

    The caller closes it.  Raises `Invalid`, `Busy`, `Denied`, `ReadOnly`, `NotFound`.
    """
    scheme, colon, rest = url.partition(":")
    if url == "memory:":
        return MemoryStore()
    if scheme == "file" and colon:
        return await FileStore.at(rest or None, read_only=read_only)
    if scheme == "grpc" and rest.startswith("//"):
        return RemoteStore(rest.removeprefix("//"), timeout)
    if scheme not in _SCHEMES and names_python(url):
        return await load_python(url)
    raise Invalid(f"'{url}' is no store; write memory:, file:DIR, grpc://HOST:PORT, module:Class or FILE.py:Class")
