"""`open_cache`, the cache that the settings ask for."""

from __future__ import annotations

import logging
from pathlib import Path

from g2disk.errors import Busy
from g2disk.units import MIB
from g2disk.volume.cache.directory import DirectoryCache
from g2disk.volume.cache.memory import MemoryCache
from g2disk.volume.cache.read_cache import ReadCache

_log = logging.getLogger(__name__)

_INSTEAD = 64 * MIB


def open_cache(directory: Path | None, size: int) -> ReadCache:
    """A cache of up to `size` bytes, in `directory` where one is given, else in memory.  Blocks.

    Where another process has the directory it is one in memory, of 64 MiB at most, and a line in the log says so.
    Raises `Invalid`, `Denied`, `OutOfSpace`, `Unavailable`: the directory cannot be used.
    """
    if directory is None:
        return MemoryCache(size)
    try:
        return DirectoryCache(directory, size)
    except Busy as error:
        _log.warning("! %s; going on with a cache in memory", error)
        return MemoryCache(min(size, _INSTEAD))
