"""The read cache: pieces of segments as they are stored, in memory or on a local disk.  Losing it costs only time."""

from g2disk.volume.cache.opening import open_cache
from g2disk.volume.cache.read_cache import CHUNK, ReadCache

__all__ = ["CHUNK", "ReadCache", "open_cache"]
