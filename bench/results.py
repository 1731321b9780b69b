"""The record of a benchmark: every figure of every round, kept as JSON, and the medians and ratios drawn from it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from bench.cases import Case
from bench.errors import BenchError
from bench.fio import Measurement

Figure: TypeAlias = Callable[[Measurement], float | None]
"""One of a measurement's figures."""


class SubjectFacts(msgspec.Struct, frozen=True):
    """What tables say of a subject."""

    name: str
    title: str
    ours: bool


class Cost(msgspec.Struct, frozen=True):
    """Memory that many of a kind took up together."""

    what: str
    """One of them, for people."""
    count: int
    bytes: int
    """Of all."""


class Finding(msgspec.Struct, frozen=True):
    """One figure of one of the measurements in `bench.volumes`."""

    round: int
    task: str
    figure: str
    value: float


class Run(msgspec.Struct, frozen=True):
    """One subject, one case, one round."""

    round: int
    case: str
    subject: str
    figures: Measurement


class Record(msgspec.Struct, kw_only=True):
    """One benchmark."""

    part: Literal["comparison", "scale", "volumes"]
    """Of docs/performance.md."""
    command: str
    """What to type to make its like."""
    date: str
    commit: str
    machine: dict[str, str]
    size: int
    """Bytes of every disk that were read and written."""
    seconds: float
    """Of every measurement."""
    subjects: list[SubjectFacts]
    cases: list[Case]
    rounds: int = 0
    """Those that are complete."""
    runs: list[Run] = msgspec.field(default_factory=list)
    """In the order of measuring; none where a subject could not be measured in a case."""
    costs: list[Cost] = msgspec.field(default_factory=list)
    findings: list[Finding] = msgspec.field(default_factory=list)
    notes: list[str] = msgspec.field(default_factory=list)
    """What was left out, and other remarks; sentences."""

    def groups(self) -> dict[str, list[Case]]:
        """The cases by their group, in order."""
        found: dict[str, list[Case]] = {}
        for case in self.cases:
            found.setdefault(case.group, []).append(case)
        return found

    def of(self, subject: str, case: str) -> list[Measurement]:
        """The measurements of all rounds, in order."""
        return [run.figures for run in self.runs if run.subject == subject and run.case == case]

    def median(self, subject: str, case: str, figure: Figure) -> float | None:
        """Of all rounds; None where the subject was not measured, or has no such figure."""
        found = [value for measured in self.of(subject, case) if (value := figure(measured)) is not None]
        return statistics.median(found) if found else None

    def ratios(self, subject: str, other: str, case: str, figure: Figure) -> list[float]:
        """`figure` of `subject` divided by that of `other`, in each round, lowest first; empty where one of them was
        not measured.

        Measurements of one round are neighbours in time, so what disturbs a machine for longer disturbs both.
        """
        one, two = ([figure(measured) for measured in self.of(name, case)] for name in (subject, other))
        return sorted(a / b for a, b in zip(one, two, strict=bool(one and two)) if a is not None and b)

    def found(self, task: str, figure: str) -> list[float]:
        """The values of a figure in all rounds, in order."""
        return [each.value for each in self.findings if each.task == task and each.figure == figure]

    def save(self, path: Path) -> None:
        """Write as JSON that people can read."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")


def joined(records: Sequence[Record]) -> Record:
    """One record of all: measured with several commands, by the first one's machine and commit."""
    first = records[0]
    return msgspec.structs.replace(
        first,
        command="\n    ".join(record.command for record in records),
        subjects=max((record.subjects for record in records), key=len),
        cases=max((record.cases for record in records), key=len),
        rounds=max(record.rounds for record in records),
        runs=[run for record in records for run in record.runs],
        costs=[cost for record in records for cost in record.costs],
        findings=[finding for record in records for finding in record.findings],
        notes=list(dict.fromkeys(note for record in records for note in record.notes)),
    )


def load(path: Path) -> Record:
    """What `save` wrote.  Raises `BenchError`."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError) as error:
        raise BenchError(f"{path} holds no results of this benchmark: {error}") from error
