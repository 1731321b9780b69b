"""The measuring itself: subjects started once, then rounds in which they take turns at every case."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from bench import fio
from bench.cases import Case
from bench.fio import Measurement, Target
from bench.results import Record, Run
from bench.subjects.subject import Subject
from bench.usage import Usage

Say = Callable[[str], None]
"""Takes lines for people."""


def measure(record: Record, subjects: Sequence[Subject], rounds: int, say: Say, keep: Callable[[], None]) -> None:
    """Measure every subject in every case of the record, `rounds` times over; all that was started has ended on return.

    The record grows by whole rounds, and `keep` is called after each.  Raises `BenchError`.
    """
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="g2disk-bench-")))
        targets: dict[str, Target] = {}
        for subject in subjects:
            say(f"starting {subject.name}")
            stack.callback(subject.stop)
            targets[subject.name] = subject.start(directory, record.size)
            subject.fill(targets[subject.name])
            subject.rest()
            record.costs += subject.costs()
        lacking = _lacking(record, subjects, targets, say)
        for number in range(1, rounds + 1):
            record.runs += [
                _turn(record, number, case, subject, targets[subject.name], say)
                for case, subject in turns(subjects, record.cases, number)
                if subject.is_for(case) and (case.name, subject.name) not in lacking
            ]
            record.rounds = number
            keep()


def turns(subjects: Sequence[Subject], cases: Sequence[Case], number: int) -> list[tuple[Case, Subject]]:
    """(case, subject) in the order of a round: neighbours in time are what is compared, and who is first changes from
    round to round.
    """
    first = (number - 1) % len(subjects)
    return [(case, subject) for case in cases for subject in (*subjects[first:], *subjects[:first])]


def _lacking(record: Record, subjects: Sequence[Subject], targets: dict[str, Target], say: Say) -> set[tuple[str, str]]:
    """The (case, subject) that cannot be measured; the record gets a note for each."""
    found = set()
    for case in record.cases:
        for subject in subjects:
            lacks = subject.lacks(case, targets[subject.name]) if subject.is_for(case) else ""
            if lacks:
                found.add((case.name, subject.name))
                record.notes.append(f"{subject.title} was not measured in “{case.title}”: {lacks}.")
                say(record.notes[-1])
    return found


def _turn(record: Record, number: int, case: Case, subject: Subject, target: Target, say: Say) -> Run:
    figures = _watched(record, subject, case, target)
    subject.rest()
    speed = f"{figures.iops:>9,.0f} IOPS {figures.bytes_per_second / 1e6:>7,.0f} MB/s"
    say(f"round {number}  {case.name:<22} {subject.name:<16} {speed}")
    return Run(number, case.name, subject.name, figures)


def _watched(record: Record, subject: Subject, case: Case, target: Target) -> Measurement:
    pids = subject.pids()
    if not pids:
        return fio.measure(case, target, record.seconds)
    with Usage(pids) as usage:
        figures = fio.measure(case, target, record.seconds)
    note = f"Peak memory of {subject.title} is that since it started, as the kernel let nobody begin it anew."
    if not usage.peak_is_fresh and note not in record.notes:
        record.notes.append(note)
    return msgspec.structs.replace(figures, cpu_seconds=usage.cpu_seconds, peak_memory=usage.peak_memory)
