"""What processes cost, their children included: processor time and peak memory, as the kernel counts them."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from bench.errors import BenchError

_EVERY = 0.1
"""Seconds between two looks at memory: children may end before the measurement does, and their peaks with them."""

_TICKS = os.sysconf("SC_CLK_TCK")


class Usage:
    """From the block's begin to its end: what the processes `roots` and their descendants used."""

    def __init__(self, roots: Sequence[int]) -> None:
        self._roots = roots
        self._ends = threading.Event()
        self._sampler = threading.Thread(target=self._sample, name="memory sampler")
        self.cpu_seconds = 0.0
        """Processor time, in user space and in the kernel."""
        self.peak_memory = 0
        """Bytes: the greatest sum of the peaks (VmHWM) of the processes that lived at one time.  A page that several of
        them share counts for each."""
        self.peak_is_fresh = True
        """False where the kernel did not let us begin the peaks anew; they are then those since the processes began."""

    def __enter__(self) -> Usage:
        for pid in tree(self._roots):
            self.peak_is_fresh &= _forget_peak(pid)
        self._before = cpu_seconds(self._roots)
        self._sampler.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.set()
        self._sampler.join()
        if kind is None:
            self.cpu_seconds = cpu_seconds(self._roots) - self._before
            self._look()

    def _sample(self) -> None:
        while not self._ends.wait(_EVERY):
            self._look()

    def _look(self) -> None:
        self.peak_memory = max(self.peak_memory, sum(_memory(pid, "VmHWM") for pid in tree(self._roots)))


def tree(roots: Sequence[int]) -> list[int]:
    """The processes and their living descendants."""
    found: dict[int, None] = {}
    rest = list(roots)
    while rest:
        pid = rest.pop()
        if pid not in found:
            found[pid] = None
            rest += _children(pid)
    return list(found)


def cpu_seconds(roots: Sequence[int]) -> float:
    """Processor time of the processes and of their descendants so far, ended ones included.

    Raises `BenchError` when one of `roots` has ended.
    """
    while True:
        family = tree(roots)
        spent = sum(_cpu_ticks(pid) for pid in family) / _TICKS
        for pid in roots:
            if not Path(f"/proc/{pid}").exists():
                raise BenchError(f"process {pid} has ended; start its server again, and give its new number")
        if tree(roots) == family:  # otherwise one that ended meanwhile counts twice or not at all
            return spent


def resident_memory(roots: Sequence[int]) -> int:
    """Bytes of memory that the processes and their descendants take up now (VmRSS)."""
    return sum(_memory(pid, "VmRSS") for pid in tree(roots))


def _children(pid: int) -> list[int]:
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for thread in threads for child in (thread / "children").read_text().split()]
    except OSError:  # it has ended
        return []


def _cpu_ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has ended
        return 0
    return sum(map(int, fields[11:15]))  # its own, in user space and in the kernel, and that of children that ended


def _memory(pid: int, which: str) -> int:
    try:
        found = re.search(rf"^{which}:\s*(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except OSError:  # it has ended
        return 0
    return int(found[1]) * 1024 if found else 0  # a process that is about to be reaped has none


def _forget_peak(pid: int) -> bool:
    try:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    except FileNotFoundError:  # it has ended
        return True
    except OSError:
        return False
    return True
