"""`open_cache`, the cache that the settings ask for."""

from __future__ import annotations

from pathlib import Path

from g2disk.volume.cache.read_cache import ReadCache


def open_cache(directory: Path | None, size: int) -> ReadCache:
    """A cache of up to `size` bytes, in `directory` where one is given, else in memory.  Blocks.

    Where another process has the directory it is one in memory, of 64 MiB at most, and a line in the log says so.
    Raises `Invalid`, `Denied`, `OutOfSpace`, `Unavailable`: the directory cannot be used.
    """
    raise NotImplementedError
