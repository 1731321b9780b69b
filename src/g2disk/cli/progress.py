"""How far a long command is, on standard error: a bar on a terminal, else a line at every tenth."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from g2disk.cli.output import note, printable
from g2disk.clock import Clock
from g2disk.units import format_size


@contextmanager
def progress(name: str, total: int, clock: Clock) -> Iterator[Callable[[int], None]]:
    """Show how `name` gets on while the block runs; what it gives is told of bytes that are done, of `total`."""
    if not sys.stderr.isatty():
        yield _Lines(name, total, clock).advance
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(printable(name), total=total)
        yield lambda count: bar.advance(task, count)
        bar.update(task, completed=total, total=total)


class _Lines:
    def __init__(self, name: str, total: int, clock: Clock) -> None:
        self._name, self._total, self._clock = name, total, clock
        self._begin = clock.now()
        self._done = self._tenths = 0

    def advance(self, count: int) -> None:
        """Tell of `count` bytes that are done."""
        self._done += count
        tenths = min(self._done * 10 // self._total, 10) if self._total else 10
        if tenths > self._tenths:
            self._tenths = tenths
            seconds = max(self._clock.now() - self._begin, 0.001)
            rate = format_size(int(self._done / seconds))
            left = seconds * max(self._total - self._done, 0) / self._done
            note(f"{self._name}: {tenths}0% of {format_size(self._total)}, {rate}/s, {left:.0f} s to go")
