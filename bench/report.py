"""docs/performance.md: tables drawn from a record, between two marks; what stands outside them is kept."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bench.cases import Case
from bench.errors import BenchError
from bench.results import Record, SubjectFacts
from g2disk.units import format_size

BEGIN = "<!-- written by ./dev bench: begin -->"
END = "<!-- written by ./dev bench: end -->"
_SKELETON = f"# Performance\n\n{BEGIN}\n{END}\n"


def insert(page: Path, text: str) -> None:
    """Put `text` between the page's marks; a page that is not there is made.  Raises `BenchError`."""
    before = page.read_text() if page.exists() else _SKELETON
    head, begin, rest = before.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise BenchError(f"{page} lacks the lines {BEGIN} and {END}; put them where the tables belong")
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(f"{head}{BEGIN}\n\n{text.strip()}\n\n{END}{tail}")


def markdown(record: Record, image: str, raw: str) -> str:
    """The part between the marks.  `image` and `raw` are links to the plot and to the record."""
    parts = [
        f"Made on {record.date} at commit {record.commit or 'unknown'} with",
        f"    {record.command}",
        f"Medians of {record.rounds} interleaved rounds of {record.seconds:g} s on {format_size(record.size)} "
        f"of every disk. Every figure of every round: [{Path(raw).name}]({raw}).",
        _table(("machine", ""), record.machine.items()),
        f"![Requests and bytes a second, by case and subject]({image})",
        "## Throughput",
        _figures(record, _throughput),
    ]
    if len(record.subjects) > 1:
        for subject in record.subjects:
            if subject.ours:
                parts += [f"## Ratios: {subject.title}", _ratios(record, subject)]
    parts += ["## Latency", "Microseconds: the median, and what 99% of the requests stayed below."]
    parts += [_figures(record, _latency)]
    parts += ["## Processor time", "Microseconds a request, of the NBD server and of the target server behind it."]
    parts += [_figures(record, _processor)]
    return "\n\n".join(parts)


def text(record: Record) -> str:
    """The throughput and the ratios, for a terminal."""
    lines = []
    for case in record.cases:
        lines.append(case.title)
        for subject in record.subjects:
            against = [
                f"{statistics.median(record.ratios(subject.name, other.name, case.name)):.2f} x {other.name}"
                for other in record.subjects
                if subject.ours and other is not subject
            ]
            lines.append(
                f"  {subject.name:<20} {_throughput(record, subject, case):>14}  {', '.join(against)}".rstrip()
            )
    return "\n".join(lines)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(heads) - 1)] if len(heads) > 2 else ["---"] * len(heads)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, rule, *rows))


def _figures(record: Record, cell: Callable[[Record, SubjectFacts, Case], str]) -> str:
    heads = ["case", *(subject.title for subject in record.subjects)]
    return _table(heads, ([case.title, *(cell(record, s, case) for s in record.subjects)] for case in record.cases))


def _ratios(record: Record, ours: SubjectFacts) -> str:
    others = [subject for subject in record.subjects if subject.name != ours.name]
    heads = ["times as fast as", *(subject.title for subject in others)]
    rows = (
        [case.title, *(_spread(record.ratios(ours.name, other.name, case.name)) for other in others)]
        for case in record.cases
    )
    return _table(heads, rows)


def _spread(ratios: Sequence[float]) -> str:
    middle = f"{statistics.median(ratios):.2f}"
    return middle if len(ratios) == 1 else f"{middle} ({ratios[0]:.2f} to {ratios[-1]:.2f})"


def _throughput(record: Record, subject: SubjectFacts, case: Case) -> str:
    if case.counts_requests:
        return f"{record.median(subject.name, case.name, lambda m: m.iops):,.0f} IOPS"
    return f"{record.median(subject.name, case.name, lambda m: m.bytes_per_second) / 1e6:,.0f} MB/s"


def _latency(record: Record, subject: SubjectFacts, case: Case) -> str:
    p50 = record.median(subject.name, case.name, lambda m: m.p50_us)
    p99 = record.median(subject.name, case.name, lambda m: m.p99_us)
    return f"{p50:,.0f} / {p99:,.0f}"


def _processor(record: Record, subject: SubjectFacts, case: Case) -> str:
    spent = [m.cpu_us for m in record.of(subject.name, case.name) if m.cpu_us is not None]
    return f"{statistics.median(spent):,.0f}" if spent else "unknown"
