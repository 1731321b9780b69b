"""`ReadOnlyDisk`, a disk that is not to be changed."""

from __future__ import annotations

from dataclasses import replace

from g2disk.disk.disk import Buffer, Done
from g2disk.disk.info import DiskInfo
from g2disk.disk.layers.wrapper import Wrapper
from g2disk.errors import ReadOnly
from g2disk.request import TRIM, WRITE, ZERO, Request

_CHANGES = (WRITE, TRIM, ZERO)
_REFUSAL = "this disk is served read-only; to change it, serve it without read-only"


class ReadOnlyDisk(Wrapper):
    """Reads pass; writes, trims and zeroes raise `ReadOnly`."""

    def info(self) -> DiskInfo:
        """The inner disk's, read-only."""
        return replace(self.inner.info(), read_only=True, trim=False, zero=False, fast_zero=False)

    def submit(self, requests: list[Request], done: Done) -> list[Request]:
        """See `Disk.submit`; what would change the disk is done, with `ReadOnly`, before this returns."""
        passing = [request for request in requests if request.operation not in _CHANGES]
        if len(passing) < len(requests):
            refused = [request for request in requests if request.operation in _CHANGES]
            for request in refused:
                request.error = ReadOnly(_REFUSAL)
            done(refused)
        return self.inner.submit(passing, done) if passing else []

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        """Raise `ReadOnly`."""
        raise ReadOnly(_REFUSAL)

    async def trim(self, offset: int, length: int, fua: bool = False) -> None:
        """Raise `ReadOnly`."""
        raise ReadOnly(_REFUSAL)

    async def zero(
        self, offset: int, length: int, fua: bool = False, may_trim: bool = True, fast: bool = False
    ) -> None:
        """Raise `ReadOnly`."""
        raise ReadOnly(_REFUSAL)
