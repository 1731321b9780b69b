"""`Wrapper`, the base of the layers."""

from __future__ import annotations

from collections.abc import Sequence

from g2disk.disk import Buffer
from g2disk.objects.store import ObjectEntry, ObjectStore


class Wrapper(ObjectStore):
    """An object store that hands every call to another one.  A layer overrides what it changes."""

    def __init__(self, inner: ObjectStore) -> None:
        self.inner = inner

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.inner!r})"

    @property
    def url(self) -> str:  # type: ignore[override]
        """The inner store's."""
        return self.inner.url

    async def put(self, key: str, data: Sequence[Buffer]) -> None:
        """See `ObjectStore.put`."""
        await self.inner.put(key, data)

    async def create(self, key: str, data: Sequence[Buffer]) -> None:
        """See `ObjectStore.create`."""
        await self.inner.create(key, data)

    async def get(self, key: str) -> Buffer:
        """See `ObjectStore.get`."""
        return await self.inner.get(key)

    async def get_range(self, key: str, offset: int, length: int) -> Buffer:
        """See `ObjectStore.get_range`."""
        return await self.inner.get_range(key, offset, length)

    async def list(self, prefix: str, after: str = "") -> list[ObjectEntry]:
        """See `ObjectStore.list`."""
        return await self.inner.list(prefix, after)

    async def delete(self, key: str) -> None:
        """See `ObjectStore.delete`."""
        await self.inner.delete(key)

    async def close(self) -> None:
        """See `ObjectStore.close`."""
        await self.inner.close()
