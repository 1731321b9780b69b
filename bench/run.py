"""The measuring itself: subjects started once, then rounds in which they take turns at every case."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from bench import fio
from bench.cases import Case
from bench.fio import Measurement
from bench.results import Run
from bench.subjects import Subject


def measure(
    subjects: Sequence[Subject],
    cases: Sequence[Case],
    *,
    rounds: int,
    seconds: float,
    size: int,
    say: Callable[[str], None],
) -> list[Run]:
    """Measure every subject in every case, `rounds` times over; all that was started has ended on return.

    Raises `BenchError`.  `say` takes lines for people.
    """
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="g2disk-bench-")))
        uris: dict[str, str] = {}
        for subject in subjects:
            say(f"starting {subject.name}")
            stack.callback(subject.stop)
            uris[subject.name] = subject.start(directory, size)
            fio.fill(uris[subject.name], size)
        runs: list[Run] = []
        for number, case, subject in turns(subjects, cases, rounds):
            figures = _watched(subject, case, uris[subject.name], size, seconds)
            runs.append(Run(number, case.name, subject.name, figures))
            say(f"round {number}/{rounds}  {case.name:<20} {subject.name:<20} {figures.iops:>9,.0f} IOPS")
        return runs


def turns(subjects: Sequence[Subject], cases: Sequence[Case], rounds: int) -> Iterator[tuple[int, Case, Subject]]:
    """(round, case, subject) in the order of measuring: neighbours in time are what is compared."""
    for number in range(1, rounds + 1):
        for case in cases:
            for subject in subjects:
                yield number, case, subject


def _watched(subject: Subject, case: Case, uri: str, size: int, seconds: float) -> Measurement:
    before = subject.cpu_seconds()
    figures = fio.measure(case, uri, size, seconds)
    after = subject.cpu_seconds()
    if before is None or after is None:
        return figures
    return msgspec.structs.replace(figures, cpu_us=(after - before) * 1e6 / figures.requests)
