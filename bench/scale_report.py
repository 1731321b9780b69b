"""The part of docs/performance.md about cost that does not grow: each crowded server against the one small disk."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from bench import page
from bench.cases import Case
from bench.results import Figure, Record

_EXPLANATION = (
    "Ratios to the one small disk, measured in the same rounds: 1.10 is 10% more. Latency at depth 1 (more is slower), "
    "requests a second at depth 64 (more is faster)."
)


def markdown(record: Record, raws: Sequence[str]) -> str:
    """The generated part; `raws` are the links to the record and its parts."""
    parts = [*page.origin(record, raws), _EXPLANATION, _ratio_table(record), _cost_table(record)]
    return "\n\n".join(parts)


def text(record: Record) -> str:
    """The same tables for a terminal."""
    return "\n".join([_ratio_table(record), "", _cost_table(record), *record.notes])


def _ratio_table(record: Record) -> str:
    first, *others = record.subjects
    rows = []
    for case in record.cases:
        for title, figure in _figures(case):
            ratios = [record.ratios(other.name, first.name, case.name, figure) for other in others]
            middle = record.median(first.name, case.name, figure)
            rows.append([title, "–" if middle is None else f"{middle:,.0f}", *map(_spread, ratios)])
    return page.table(["", *(subject.title for subject in record.subjects)], rows)


def _figures(case: Case) -> Iterator[tuple[str, Figure]]:
    if case.depth == 1:
        yield f"{case.title}: median latency, µs", lambda figures: figures.p50_us
        yield f"{case.title}: 99% latency, µs", lambda figures: figures.p99_us
    else:
        yield f"{case.title}: requests a second", lambda figures: figures.iops


def _spread(ratios: Sequence[float]) -> str:
    return page.spread(ratios, statistics.median(ratios)) if ratios else "–"


def _cost_table(record: Record) -> str:
    rows = ([cost.what, f"{cost.count:,}", f"{cost.bytes / cost.count:,.0f}"] for cost in record.costs)
    return page.table(["memory of the server", "how many", "bytes each"], rows)
