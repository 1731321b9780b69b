"""One small disk, and the same server with many disks, with many connections, and with a giant disk."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.cases import MIB
from bench.fio import Target
from bench.results import Cost
from bench.subjects.ours import G2diskDirect, python_path
from bench.usage import resident_memory
from g2disk.units import MAXIMUM_DISK_SIZE

_CROWD = str(Path(__file__).with_name("crowd.py"))
_PATIENCE = 600.0
"""Seconds that gathering a crowd may take."""


class Small(G2diskDirect):
    """One small disk, and nobody else."""

    name = "small"
    title = "one small disk"
    ours = False
    full = 1
    """What the crowd counts."""

    def __init__(self, share: float = 1.0) -> None:
        """With `share`, only that part of the crowd."""
        super().__init__()
        self.count = max(1, round(self.full * share))
        self.title = self.title.format(count=f"{self.count:,}")
        self._costs: list[Cost] = []

    def costs(self) -> list[Cost]:
        """See `Subject.costs`."""
        return self._costs

    def crowd(self, what: str, kind: str, address: str, directory: Path) -> None:
        """Run crowd.py until it is done, and note what each of `count` cost the server."""
        before = resident_memory(self.pids())
        command = [sys.executable, _CROWD, kind, address, str(self.count)]
        self.helper(kind, command, directory, python_path(), talks=True).read_line(_PATIENCE)
        self._costs.append(Cost(what, self.count, resident_memory(self.pids()) - before))


class ManyDisks(Small):
    """Beside 10,000 other disks."""

    name = "disks"
    title = "beside {count} disks"
    full = 10_000

    def start(self, directory: Path, size: int) -> Target:
        """See `Subject.start`."""
        target = super().start(directory, size)
        self.crowd("disk of 1 GiB, 4 KiB of it written", "disks", self.endpoint, directory)
        return target


class Crowded(Small):
    """Beside 1,000 idle connections of NBD clients, and 1,000 of gRPC clients."""

    name = "connections"
    title = "beside {count} idle NBD connections, and as many of gRPC"
    full = 1000

    def start(self, directory: Path, size: int) -> Target:
        """See `Subject.start`."""
        target = super().start(directory, size)
        self.crowd("idle NBD connection", "nbd", str(self.socket(directory)), directory)
        self.crowd("idle gRPC connection", "grpc", self.endpoint, directory)
        return target


class Huge(Small):
    """The largest disk that there can be, written in a million places."""

    name = "huge"
    title = "8 EiB with {count} extents"
    full = 1_000_000

    def start(self, directory: Path, size: int) -> Target:
        """See `Subject.start`."""
        target = super().start(directory, MAXIMUM_DISK_SIZE)
        stride = MAXIMUM_DISK_SIZE // self.count // MIB * MIB
        return Target(target.uri, self.count * stride, stride)

    def fill(self, target: Target) -> None:
        """See `Subject.fill`."""
        before = resident_memory(self.pids())
        super().fill(target)
        what = f"extent of 4 KiB, {target.stride >> 40} TiB from the next"
        self._costs.append(Cost(what, self.count, resident_memory(self.pids()) - before))
