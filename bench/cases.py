"""The cases: what fio asks every subject for.  To add one, add it to `CASES`."""

from __future__ import annotations

import msgspec

KIB, MIB = 1 << 10, 1 << 20


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One workload."""

    name: str
    """On the command line and in results."""
    group: str
    """What it has in common with the cases that it is plotted beside."""
    label: str
    """What sets it apart from them."""
    rw: str
    """As fio calls it: randread, randwrite, read, write, randrw, …"""
    block: int
    """Bytes a request."""
    depth: int
    """Requests in flight, a connection."""
    connections: int = 1
    read_share: int = 100
    """Of mixed workloads: percent of the requests that read."""

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.group}, {self.label}"

    @property
    def counts_requests(self) -> bool:
        """Whether its figure is requests a second (small blocks) or bytes a second."""
        return self.block < 64 * KIB


def _random(rw: str, verb: str, depth: int) -> Case:
    name, group = f"{rw}-4k-qd{depth}", f"4 KiB random {verb}"
    return Case(name=name, group=group, label=f"depth {depth}", rw=rw, block=4 * KIB, depth=depth)


def _sequential(rw: str) -> Case:
    return Case(name=f"{rw}-1m", group="1 MiB sequential", label=f"{rw}, depth 4", rw=rw, block=MIB, depth=4)


CASES: tuple[Case, ...] = (
    *(_random("randread", "read", depth) for depth in (1, 16, 64)),
    *(_random("randwrite", "write", depth) for depth in (1, 16, 64)),
    *(_sequential(rw) for rw in ("read", "write")),
)
