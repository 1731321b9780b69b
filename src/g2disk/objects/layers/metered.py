"""`Metered`, an object store whose calls are counted, with an estimate of what they cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from g2disk.disk import Buffer
from g2disk.errors import DiskError, Exists, NotFound
from g2disk.objects.layers.wrapper import Wrapper
from g2disk.objects.store import ObjectEntry, ObjectStore

_PAGE = 1000
"""Keys that a store lists with one request: S3 and Google Cloud Storage 1,000, Azure 5,000."""


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars for a request; an estimate, see docs/object-stores.md.  Deletes are free."""

    dated: str
    """Month of the price list, "2025-06"."""
    put: float
    """Put, create or list."""
    get: float
    """Get."""


PRICES: dict[str, Prices] = {
    "s3": Prices("2025-06", 5.0e-6, 4.0e-7),
    "gs": Prices("2025-06", 5.0e-6, 4.0e-7),
    "az": Prices("2025-06", 6.5e-6, 5.0e-7),
}
"""By the URL's scheme: list prices of the standard class in a cheap region."""

FREE = Prices("", 0.0, 0.0)
"""For a store that costs nothing a request."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What was asked of a store since it was opened; each attempt counts, also one that failed."""

    puts: int = 0
    """Put and create requests."""
    gets: int = 0
    """Get requests, of whole objects and of ranges."""
    lists: int = 0
    """List requests (one for each thousand keys)."""
    deletes: int = 0
    """Delete requests."""
    bytes_put: int = 0
    """Bytes of the puts that succeeded."""
    bytes_got: int = 0
    """Bytes of the gets that succeeded."""
    errors: int = 0
    """Requests of all kinds that failed; a get of what is not there has not failed, nor has a create of what is."""
    cost: float = 0.0
    """US dollars for these requests; an estimate, without what storage and traffic cost."""


class Metered(Wrapper):
    """Counts what is asked of the inner store.  Stands under the layers that repeat: each attempt costs."""

    def __init__(self, inner: ObjectStore, prices: Prices | None = None) -> None:
        super().__init__(inner)
        self._prices = prices or PRICES.get(inner.url.partition(":")[0], FREE)
        self._counts: Counter[str] = Counter()

    def usage(self) -> Usage:
        """What was asked up to now."""
        usage, prices = Usage(**self._counts), self._prices
        return replace(usage, cost=(usage.puts + usage.lists) * prices.put + usage.gets * prices.get)

    async def put(self, key: str, data: Sequence[Buffer]) -> None:
        """See `ObjectStore.put`."""
        with self._counting(puts=1):
            await self.inner.put(key, data)
        self._count(bytes_put=_total(data))

    async def create(self, key: str, data: Sequence[Buffer]) -> None:
        """See `ObjectStore.create`."""
        with self._counting(puts=1):
            await self.inner.create(key, data)
        self._count(bytes_put=_total(data))

    async def get(self, key: str) -> Buffer:
        """See `ObjectStore.get`."""
        with self._counting(gets=1):
            data = await self.inner.get(key)
        self._count(bytes_got=len(data))
        return data

    async def get_range(self, key: str, offset: int, length: int) -> Buffer:
        """See `ObjectStore.get_range`."""
        with self._counting(gets=1):
            data = await self.inner.get_range(key, offset, length)
        self._count(bytes_got=len(data))
        return data

    async def list(self, prefix: str, after: str = "") -> list[ObjectEntry]:
        """See `ObjectStore.list`."""
        with self._counting(lists=1):
            found = await self.inner.list(prefix, after)
        self._count(lists=max(len(found) - 1, 0) // _PAGE)
        return found

    async def delete(self, key: str) -> None:
        """See `ObjectStore.delete`."""
        with self._counting(deletes=1):
            await self.inner.delete(key)

    def _count(self, **counts: int) -> None:
        for name, count in counts.items():
            self._counts[name] += count

    @contextmanager
    def _counting(self, **counts: int) -> Iterator[None]:
        self._count(**counts)
        try:
            yield
        except (NotFound, Exists):
            raise
        except DiskError:
            self._count(errors=1)
            raise


def _total(data: Sequence[Buffer]) -> int:
    return sum(len(part) for part in data)
