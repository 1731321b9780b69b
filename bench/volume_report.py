"""The part of docs/performance.md about volumes: fio's cases first, then what is measured without a client."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bench import page
from bench.results import Record, SubjectFacts

_NONE = "–"
_EXPLANATION = (
    "fio, 4 KiB requests a second; the ratios are those of the volume to the others, of each round: the middle, the "
    "lowest and the highest. Before the next subject's turn all that a volume has taken is in its store."
)
_MEASURED = "Without a client, in processes of their own; the middle of the rounds, with the lowest and the highest."


@dataclass(frozen=True, slots=True)
class _Row:
    """One line: a figure divided by `unit`, or its ratio to `against`."""

    what: str
    task: str
    figure: str
    against: str = ""
    unit: float = 1.0
    form: str = "{:,.0f}"
    aim: str = ""


def _pair(what: str, task: str, kind: str, aim: str) -> tuple[_Row, ...]:
    volume, bare = f"{kind}-volume", f"{kind}-bare"
    return (
        _Row(f"{what}: bare store, MB/s", task, bare, unit=1e6),
        _Row(f"{what}: volume, MB/s", task, volume, unit=1e6),
        _Row(f"{what}: ratio", task, volume, bare, form="{:.2f}", aim=aim),
    )


def _giant(what: str, task: str) -> tuple[_Row, ...]:
    return (
        _Row(f"{what}: opening from the checkpoint, ms", task, "open", unit=1e-3, form="{:.1f}", aim="< 1000"),
        _Row(f"{what}: first read, ms", task, "first-read", unit=1e-3, form="{:.1f}"),
        _Row(f"{what}: peak memory of the process then, MB", task, "opened-memory", unit=1e6),
        _Row(f"{what}: peak memory after 5,000 scattered reads, MB", task, "memory", unit=1e6, aim="< 300"),
        _Row(f"{what}: peak memory of the process that wrote it, MB", task, "fill-memory", unit=1e6, aim="< 300"),
        _Row(f"{what}: snapshot, ms", task, "snapshot", unit=1e-3, form="{:.1f}", aim="< 100"),
        _Row(f"{what}: clone, ms", task, "clone", unit=1e-3, form="{:.1f}", aim="< 100"),
        _Row(f"{what}: map in the store for each GiB written, MB", task, "map", unit=1e6, form="{:.2f}"),
    )


_ROWS: tuple[_Row, ...] = (
    _Row("32 writes, 1 flush: bare `pwrite` and `fdatasync`, writes a second", "syncs", "bare"),
    _Row("32 writes, 1 flush: volume, writes a second", "syncs", "volume"),
    _Row("32 writes, 1 flush: ratio", "syncs", "volume", "bare", form="{:.2f}", aim=">= 0.60"),
    _Row("32 writes, 1 flush: bare, middle of all, µs", "syncs", "bare-middle", unit=1e-6),
    _Row("32 writes, 1 flush: volume, middle of all, µs", "syncs", "volume-middle", unit=1e-6),
    _Row("32 writes, 1 flush: ratio of the middles", "syncs", "bare-middle", "volume-middle", form="{:.2f}"),
    *_pair("sequential write, S3 (moto)", "streams-s3", "write", ">= 0.80"),
    *_pair("cold sequential read, S3 (moto)", "streams-s3", "read", ">= 0.80"),
    *_pair("sequential write, `objects:DIR`, journal in memory", "streams", "write", ">= 0.80"),
    *_pair("cold sequential read, `objects:DIR`", "streams", "read", ">= 0.80"),
    *_pair("sequential write, `objects:DIR`, journal on the same device", "streams-one-device", "write", ""),
    _Row("4 KiB random writes: MiB written for each put", "uncollected", "mib-per-put", form="{:.1f}", aim=">= 8"),
    _Row("write amplification, no garbage collected", "uncollected", "amplification", form="{:.3f}", aim="< 1.3"),
    _Row("write amplification, garbage collected", "collected", "amplification", form="{:.2f}", aim="< 2.5"),
    _Row("… live part of what is stored, at its lowest", "collected", "lowest-live", form="{:.2f}"),
    _Row("… live part of what is stored, in the end", "collected", "live", form="{:.2f}", aim=">= 0.75"),
    _Row("map for each GiB written at random in 1 GiB, MB", "uncollected", "map-random", unit=1e6, form="{:.2f}"),
    _Row("map for each GiB written in sequence, MB", "uncollected", "map-sequential", unit=1e6, form="{:.2f}"),
    *_giant("8 EiB, 10 GiB in pieces of 1 MiB", "giant"),
    *_giant("8 EiB, 1 GiB in pieces of 4 KiB", "giant-blocks"),
    _Row("recovery, s for each GiB of journal (1 MiB writes)", "recovery", "open", form="{:.2f}"),
    _Row("… until all of it is in the store, s", "recovery", "stored", form="{:.2f}"),
    _Row("recovery, s for each GiB of journal (4 KiB writes)", "recovery-blocks", "open", form="{:.2f}"),
    _Row("… until all of it is in the store, s", "recovery-blocks", "stored", form="{:.2f}"),
)


def markdown(record: Record, raws: Sequence[str]) -> str:
    """The generated part; `raws` are the links to the record and its parts."""
    parts = page.origin(record, raws)
    if record.runs:
        parts += [_EXPLANATION, _speeds(record)]
    if record.findings:
        parts += [_MEASURED, _findings(record)]
    return "\n\n".join(parts)


def text(record: Record) -> str:
    """The same tables for a terminal."""
    return "\n".join([*([_speeds(record), ""] if record.runs else []), _findings(record), *record.notes])


def _speeds(record: Record) -> str:
    ours = next((subject for subject in record.subjects if subject.ours), record.subjects[0])
    others = [subject for subject in record.subjects if subject is not ours]
    heads = ["", *(subject.title for subject in record.subjects), *(f"volume / {other.title}" for other in others)]
    rows = []
    for case in record.cases:
        speeds = [record.median(subject.name, case.name, lambda m: m.iops) for subject in record.subjects]
        ratios = [_ratio(record, ours, other, case.name) for other in others]
        rows.append([case.title, *(_NONE if speed is None else f"{speed:,.0f}" for speed in speeds), *ratios])
    return page.table(heads, rows)


def _ratio(record: Record, ours: SubjectFacts, other: SubjectFacts, case: str) -> str:
    ratios = record.ratios(ours.name, other.name, case, lambda m: m.iops)
    return page.spread(ratios, statistics.median(ratios)) if ratios else _NONE


def _findings(record: Record) -> str:
    rows = [[row.what, _range(values, row.form), row.aim] for row in _ROWS if (values := _values(record, row))]
    return page.table(["", "measured", "aim"], rows)


def _values(record: Record, row: _Row) -> list[float]:
    found = record.found(row.task, row.figure)
    if row.against:
        return sorted(a / b for a, b in zip(found, record.found(row.task, row.against), strict=True))
    return sorted(value / row.unit for value in found)


def _range(values: Sequence[float], form: str) -> str:
    middle = form.format(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({form.format(values[0])} to {form.format(values[-1])})"
