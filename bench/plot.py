"""The plot: a panel for each group of cases, a mark for each subject, whiskers from the worst round to the best.

Marks on a logarithmic scale, as subjects lie far apart; bars would need a zero.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.cases import Case
from bench.fio import Measurement
from bench.results import Record

_COLOURS = (
    "#0b6e99",
    "#d9822b",
    "#6b7785",
    "#4f8a4f",
    "#a4508b",
    "#a08a3c",
    "#444b6e",
    "#d1495b",
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
_INCH = 0.19
"""Height of a mark's row."""


def draw(record: Record, path: Path) -> None:
    """Write the plot of a record as SVG.  The same record gives the same bytes."""
    groups: dict[str, list[Case]] = {}
    for case in record.cases:
        groups.setdefault(case.group, []).append(case)
    rows = [len(cases) * (len(record.subjects) + 1) for cases in groups.values()]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9, 0.6 + 0.75 * len(groups) + _INCH * sum(rows)), layout="constrained")
        panels = figure.subplots(len(groups), 1, squeeze=False, height_ratios=rows)[:, 0]
        for panel, (group, cases) in zip(panels, groups.items(), strict=True):
            _draw_group(panel, record, group, cases)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=min(3, len(labels)), frameon=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="svg", facecolor="white", metadata={"Date": None})


def _draw_group(panel: Any, record: Record, group: str, cases: list[Case]) -> None:
    step = len(record.subjects) + 1
    for place, subject in enumerate(record.subjects):
        rounds = [[_figure(case, measured) for measured in record.of(subject.name, case.name)] for case in cases]
        middles = [statistics.median(figures) for figures in rounds]
        below = [middle - min(figures) for middle, figures in zip(middles, rounds, strict=True)]
        above = [max(figures) - middle for middle, figures in zip(middles, rounds, strict=True)]
        heights = [at * step + place for at in range(len(cases))]
        panel.errorbar(
            middles,
            heights,
            xerr=[below, above],
            fmt=_MARKS[place % len(_MARKS)],
            color=_COLOURS[place % len(_COLOURS)],
            elinewidth=1.5,
            markersize=5,
            label=subject.title,
        )
        for height, middle, figures in zip(heights, middles, rounds, strict=True):
            panel.annotate(
                f"{middle:,.0f}", (max(figures), height), (7, 0), textcoords="offset points", va="center", fontsize=8
            )
    panel.set_title(group, loc="left", fontsize=11, fontweight="bold")
    panel.set_xlabel("requests a second" if cases[0].counts_requests else "MB/s", loc="right", fontsize=9)
    panel.set_xscale("log")
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    panel.grid(axis="x", color="#dddddd", linewidth=0.8)
    panel.set_axisbelow(True)
    panel.set_yticks([at * step + (step - 2) / 2 for at in range(len(cases))], [case.label for case in cases])
    panel.tick_params(axis="y", length=0)
    panel.set_ylim(len(cases) * step - 1, -1)
    for at in range(1, len(cases)):
        panel.axhline(at * step - 1, color="#bbbbbb", linewidth=0.8)
    low, high = panel.get_xlim()
    panel.set_xlim(10 ** int(len(str(int(low))) - 1), high * 1.6)


def _figure(case: Case, measured: Measurement) -> float:
    return measured.iops if case.counts_requests else measured.bytes_per_second / 1e6
