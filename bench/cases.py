"""The cases: what fio asks every subject for.  To add one, add it to `CASES`."""

from __future__ import annotations

import msgspec

KIB, MIB = 1 << 10, 1 << 20
DEPTHS = (1, 4, 16, 64, 128)


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
    fsync: int = 0
    """A flush after so many writes; 0 for none."""
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
    return Case(name=name, group=group, label=f"depth {depth}", rw=rw, block=4 * KIB, depth=depth, read_share=70)


def _sequential(rw: str, block: int, depth: int) -> Case:
    size = f"{block // KIB} KiB" if block < MIB else f"{block // MIB} MiB"
    name = f"{rw}-{size[:-2].replace(' ', '').lower()}"
    return Case(name=name, group=f"{size} sequential", label=f"{rw}, depth {depth}", rw=rw, block=block, depth=depth)


FOUR_CONNECTIONS = Case(
    name="randread-4k-qd16-conn4",
    group="4 KiB random read on four connections",
    label="depth 16 on each",
    rw="randread",
    block=4 * KIB,
    depth=16,
    connections=4,
)

CASES: tuple[Case, ...] = (
    *(_random("randread", "read", depth) for depth in DEPTHS),
    *(_random("randwrite", "write", depth) for depth in DEPTHS),
    *(_random("randrw", "70% read, 30% write", depth) for depth in DEPTHS),
    FOUR_CONNECTIONS,
    *(_sequential(rw, 64 * KIB, 16) for rw in ("read", "write")),
    *(_sequential(rw, MIB, 4) for rw in ("read", "write")),
)

FSYNC_CASE = Case(
    name="fsync-4k-qd32",
    group="4 KiB random write, a flush after every 32",
    label="depth 32",
    rw="randwrite",
    block=4 * KIB,
    depth=32,
    fsync=32,
)

VOLUME_CASES: tuple[Case, ...] = (
    *(_random("randwrite", "write", depth) for depth in (1, 16, 64)),
    FSYNC_CASE,
    *(_random("randread", "read", depth) for depth in (1, 16, 64)),
)
"""Of `--volumes`, where fio measures."""

SCALE_CASES: tuple[Case, ...] = tuple(
    _random(rw, verb, depth) for rw, verb in (("randread", "read"), ("randwrite", "write")) for depth in (1, 64)
)
"""Of `--scale`: latency at depth 1, throughput at depth 64."""
