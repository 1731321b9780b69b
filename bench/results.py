"""The record of a benchmark: every figure of every round, kept as JSON, and the medians and ratios drawn from it."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path

import msgspec

from bench.cases import Case
from bench.errors import BenchError
from bench.fio import Measurement


class SubjectFacts(msgspec.Struct, frozen=True):
    """What tables say of a subject."""

    name: str
    title: str
    ours: bool


class Run(msgspec.Struct, frozen=True):
    """One subject, one case, one round."""

    round: int
    case: str
    subject: str
    figures: Measurement


class Record(msgspec.Struct, kw_only=True):
    """One benchmark."""

    command: str
    """What to type to make its like."""
    date: str
    commit: str
    machine: dict[str, str]
    size: int
    """Bytes of every disk that were read and written."""
    seconds: float
    """Of every measurement."""
    rounds: int
    subjects: list[SubjectFacts]
    cases: list[Case]
    runs: list[Run]

    def of(self, subject: str, case: str) -> list[Measurement]:
        """The measurements of all rounds, in order."""
        return [run.figures for run in self.runs if run.subject == subject and run.case == case]

    def median(self, subject: str, case: str, figure: Callable[[Measurement], float]) -> float:
        """Of all rounds."""
        return statistics.median(figure(measured) for measured in self.of(subject, case))

    def ratios(self, subject: str, other: str, case: str) -> list[float]:
        """How many times faster `subject` was than `other`, in each round, lowest first.

        Measurements of one round are neighbours in time, so what disturbs a machine for longer disturbs both.
        """
        pairs = zip(self.of(subject, case), self.of(other, case), strict=True)
        return sorted(one.bytes_per_second / two.bytes_per_second for one, two in pairs)

    def save(self, path: Path) -> None:
        """Write as JSON that people can read."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")


def load(path: Path) -> Record:
    """What `save` wrote.  Raises `BenchError`."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError) as error:
        raise BenchError(f"{path} holds no results of this benchmark: {error}") from error
