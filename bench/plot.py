"""The plots: one for each group of cases, a mark for each subject, whiskers from the worst round to the best.

Marks on a logarithmic scale, as subjects lie far apart; bars would need a zero.  Lines join depths, and nothing else.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.cases import Case
from bench.fio import Measurement
from bench.results import Record, SubjectFacts

_COLOURS = (
    "#0b6e99",
    "#d1495b",
    "#d9822b",
    "#6b7785",
    "#4f8a4f",
    "#a4508b",
    "#a08a3c",
    "#444b6e",
    "#3aa6c9",
    "#7d5a4f",
)
_MARKS = "osD^vPX<>*"
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "g2disk",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_WIDTH = 0.5
"""Of the band that a case's marks share, in cases: side by side, they do not cover one another."""


def file_name(group: str) -> str:
    """Of the group's plot."""
    return f"performance-{re.sub(r'[^a-z0-9]+', '-', group.lower())}.svg"


def draw(record: Record, directory: Path) -> None:
    """Write the plots of a record as SVG, in place of those that are there.  The same record gives the same bytes."""
    import matplotlib as mpl  # it takes long to load, and most mistakes are found before it is needed
    from matplotlib.figure import Figure

    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob("performance*.svg"):
        old.unlink()
    for group, cases in record.groups().items():
        with mpl.rc_context(_STYLE):
            figure = Figure(figsize=(9, 4.5), layout="constrained")
            _draw_group(figure.subplots(), record, group, cases)
            figure.legend(loc="outside right center", frameon=False, fontsize=9)
            figure.savefig(directory / file_name(group), format="svg", facecolor="white", metadata={"Date": None})


def _draw_group(panel: Any, record: Record, group: str, cases: Sequence[Case]) -> None:
    for place, subject in enumerate(record.subjects):
        shift = _WIDTH * ((place + 0.5) / len(record.subjects) - 0.5)
        _draw_subject(panel, record, subject, cases, place, shift)
    panel.set_title(group, loc="left", fontsize=11, fontweight="bold")
    panel.set_ylabel("requests a second" if cases[0].counts_requests else "MB/s")
    panel.set_yscale("log")
    panel.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    panel.yaxis.set_minor_formatter(lambda value, _: f"{value:,.0f}" if f"{value:.0e}"[0] in "25" else "")
    panel.tick_params(axis="y", which="minor", labelsize=8)
    panel.grid(axis="y", which="both", color="#e4e4e4", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.set_xticks(range(len(cases)), [case.label for case in cases])
    panel.set_xlim(-0.5, len(cases) - 0.5)


def _draw_subject(
    panel: Any, record: Record, subject: SubjectFacts, cases: Sequence[Case], place: int, shift: float
) -> None:
    rounds = [[_figure(case, measured) for measured in record.of(subject.name, case.name)] for case in cases]
    points = [(at + shift, sorted(figures)) for at, figures in enumerate(rounds) if figures]
    middles = [statistics.median(figures) for _, figures in points]
    below = [middle - figures[0] for middle, (_, figures) in zip(middles, points, strict=True)]
    above = [figures[-1] - middle for middle, (_, figures) in zip(middles, points, strict=True)]
    is_curve = len({case.rw for case in cases}) == 1
    panel.errorbar(
        [where for where, _ in points],
        middles,
        yerr=[below, above],
        fmt=_MARKS[place % len(_MARKS)] + ("-" if is_curve else ""),
        color=_COLOURS[place % len(_COLOURS)],
        linewidth=0.8,
        elinewidth=1.5,
        markersize=5,
        label=subject.title,
    )


def _figure(case: Case, measured: Measurement) -> float:
    return measured.iops if case.counts_requests else measured.bytes_per_second / 1e6
