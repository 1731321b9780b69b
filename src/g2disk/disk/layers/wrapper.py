"""`Wrapper`, the base of all layers."""

from __future__ import annotations

from g2disk.disk.disk import Buffer, Disk
from g2disk.disk.info import DiskInfo, Extent


class Wrapper(Disk):
    """A disk that hands every request to another one.  A layer overrides what it changes."""

    def __init__(self, inner: Disk) -> None:
        self.inner = inner

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.inner!r})"

    # Facts have one source, the inner disk: nothing is to be assigned here.
    @property
    def size(self) -> int:  # type: ignore[override]
        """Bytes, as the inner disk says."""
        return self.info().size

    @property
    def identity(self) -> str:  # type: ignore[override]
        """The inner disk's: a layer shows the same bytes."""
        return self.info().identity

    @property
    def minimum_block(self) -> int:  # type: ignore[override]
        """Bytes, as the inner disk says."""
        return self.info().minimum_block

    async def read(self, offset: int, length: int) -> Buffer:
        """See `Disk.read`."""
        return await self.inner.read(offset, length)

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        """See `Disk.write`."""
        await self.inner.write(offset, data, fua)

    async def flush(self) -> None:
        """See `Disk.flush`."""
        await self.inner.flush()

    async def trim(self, offset: int, length: int, fua: bool = False) -> None:
        """See `Disk.trim`."""
        await self.inner.trim(offset, length, fua)

    async def zero(
        self, offset: int, length: int, fua: bool = False, may_trim: bool = True, fast: bool = False
    ) -> None:
        """See `Disk.zero`."""
        await self.inner.zero(offset, length, fua, may_trim, fast)

    async def extents(self, offset: int, length: int) -> list[Extent]:
        """See `Disk.extents`."""
        return await self.inner.extents(offset, length)

    async def cache(self, offset: int, length: int) -> None:
        """See `Disk.cache`."""
        await self.inner.cache(offset, length)

    async def close(self) -> None:
        """See `Disk.close`."""
        await self.inner.close()

    def info(self) -> DiskInfo:
        """See `Disk.info`."""
        return self.inner.info()


def innermost(disk: Disk) -> Disk:
    """The disk that all layers around it hand their requests to in the end."""
    while isinstance(disk, Wrapper):
        disk = disk.inner
    return disk
