"""The comparison as Markdown for docs/performance.md, and as lines for a terminal."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from bench import page
from bench.cases import Case
from bench.fio import Measurement
from bench.plot import file_name
from bench.results import Figure, Record, SubjectFacts

_Cell = Callable[[Record, SubjectFacts, Case], str]
_NONE = "–"

_LATENCY = "Microseconds: half of the requests took less, 99%, 99.9%."
_PROCESSOR = (
    "Seconds of the subject's processes for 100,000 requests, for 10⁹ bytes, and the processor cores that fio itself "
    "kept busy meanwhile."
)
_MEMORY = (
    "MiB of the subject's processes, the disk's data included where they hold it; a file on a tmpfs is not theirs."
)


def markdown(record: Record, images: str, raws: Sequence[str]) -> str:
    """The generated part.  `images` is the link to the plots' directory, `raws` those to the record and its parts."""
    parts = page.origin(record, raws)
    for group, cases in record.groups().items():
        parts += _group(record, group, cases, f"{images}/{file_name(group)}")
    return "\n\n".join(parts)


def text(record: Record) -> str:
    """The throughput and the ratios, for a terminal."""
    lines = []
    for case in record.cases:
        lines.append(case.title)
        for subject in record.subjects:
            against = [
                f"{statistics.median(ratios):.2f} x {other.name}"
                for other in record.subjects
                if subject.ours and other is not subject
                if (ratios := _ratios(record, subject, other, case))
            ]
            unit = "IOPS" if case.counts_requests else "MB/s"
            figure = f"{_throughput(record, subject, case)} {unit}"
            lines.append(f"  {subject.name:<16} {figure:>14}  {', '.join(against)}".rstrip())
    return "\n".join([*lines, *record.notes])


def _group(record: Record, group: str, cases: Sequence[Case], image: str) -> list[str]:
    unit = "Requests a second" if cases[0].counts_requests else "MB/s"
    parts = [f"### {group}", f"![{unit}, by case and subject]({image})"]
    parts += ["#### Throughput", f"{unit}.", _table(record, cases, _throughput)]
    if len(record.subjects) > 1:
        parts += [_ratio_table(record, subject, cases) for subject in record.subjects if subject.ours]
    parts += ["#### Latency", _LATENCY, _table(record, cases, _latency)]
    parts += ["#### Processor time", _PROCESSOR, _table(record, cases, _processor)]
    parts += ["#### Peak memory", _MEMORY, _table(record, cases, _memory)]
    return parts


def _table(record: Record, cases: Sequence[Case], cell: _Cell) -> str:
    rows = ([subject.title, *(cell(record, subject, case) for case in cases)] for subject in record.subjects)
    return page.table(["", *(case.label for case in cases)], rows)


def _ratio_table(record: Record, ours: SubjectFacts, cases: Sequence[Case]) -> str:
    rows = []
    for other in record.subjects:
        if other.name != ours.name:
            ratios = [_ratios(record, ours, other, case) for case in cases]
            rows.append([other.title, *(page.spread(r, statistics.median(r)) if r else _NONE for r in ratios)])
    return page.table([f"**{ours.title}**, times as fast as", *(case.label for case in cases)], rows)


def _ratios(record: Record, ours: SubjectFacts, other: SubjectFacts, case: Case) -> list[float]:
    return record.ratios(ours.name, other.name, case.name, lambda figures: figures.bytes_per_second)


def _throughput(record: Record, subject: SubjectFacts, case: Case) -> str:
    def figure(measured: Measurement) -> float:
        return measured.iops if case.counts_requests else measured.bytes_per_second / 1e6

    return _medians(record, subject, case, "{:,.0f}", figure)


def _latency(record: Record, subject: SubjectFacts, case: Case) -> str:
    return _medians(record, subject, case, "{:,.0f}", lambda m: m.p50_us, lambda m: m.p99_us, lambda m: m.p999_us)


def _processor(record: Record, subject: SubjectFacts, case: Case) -> str:
    figures: tuple[Figure, ...] = (
        lambda m: m.cpu_seconds_per_100k,
        lambda m: m.cpu_seconds_per_gb,
        lambda m: m.client_cores,
    )
    return _medians(record, subject, case, "{:.2f}", *figures)


def _memory(record: Record, subject: SubjectFacts, case: Case) -> str:
    return _medians(
        record, subject, case, "{:,.0f}", lambda m: None if m.peak_memory is None else m.peak_memory / (1 << 20)
    )


def _medians(record: Record, subject: SubjectFacts, case: Case, form: str, *figures: Figure) -> str:
    medians = [record.median(subject.name, case.name, figure) for figure in figures]
    return " / ".join(_NONE if median is None else form.format(median) for median in medians)
