"""The measurements of `bench.volumes`, each phase in a process of its own."""

from __future__ import annotations

import fnmatch
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from bench.processes import output_of
from bench.results import Finding, Record
from bench.volumes.tasks import ONCE, TASKS

_PATIENCE = 300.0
"""Seconds that a phase may take."""


def measure_volumes(
    record: Record,
    patterns: Sequence[str],
    rounds: int,
    share: float,
    say: Callable[[str], None],
    keep: Callable[[], None],
) -> None:
    """Measure all that match one of the patterns, in rounds; `keep` is called after each.  Raises `BenchError`."""
    for number in range(1, rounds + 1):
        for task in TASKS:
            chosen = any(fnmatch.fnmatchcase(task, pattern) for pattern in patterns)
            if chosen and (number == 1 or task not in ONCE):
                found = _measure(task, share)
                record.findings += [Finding(number, task, figure, value) for figure, value in found.items()]
                say(f"round {number}  {task:<20} " + ", ".join(f"{name} {value:,.4g}" for name, value in found.items()))
        record.rounds = max(record.rounds, number)
        keep()


def _measure(task: str, share: float) -> dict[str, float]:
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="g2disk-bench-") as directory:
        Path(directory, "work").mkdir()
        for number in range(len(TASKS[task])):
            command = [sys.executable, "-m", "bench.volumes", task, str(number), f"{directory}/work", str(share)]
            found |= msgspec.json.decode(output_of(command, _PATIENCE) or "{}", type=dict[str, float])
    return found
