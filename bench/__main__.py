"""`./dev bench`: the command line, and the only place that wires the parts together."""

from __future__ import annotations

import fnmatch
import os
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import typer

from bench import machine, report
from bench.cases import CASES, Case
from bench.errors import BenchError
from bench.results import Record, SubjectFacts, load
from bench.run import measure
from bench.subjects import SUBJECTS, G2diskPlugin, Peer, Subject
from g2disk.errors import DiskError
from g2disk.units import parse_size

ROOT = Path(__file__).resolve().parents[1]
Named = TypeVar("Named", Case, Subject)


def bench(
    rounds: Annotated[int, typer.Option(min=1, help="How often every measurement is made.")] = 5,
    seconds: Annotated[float, typer.Option(min=0.01, help="How long a measurement takes.")] = 3.0,
    size: Annotated[str, typer.Option(help="How much of every disk is read and written.")] = "256MiB",
    quick: Annotated[bool, typer.Option("--quick", help="One round of one second; prints, and keeps nothing.")] = False,
    case: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="These cases only, such as 'randread*'; may be repeated."),
    ] = None,
    subject: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="These subjects only; may be repeated.")
    ] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=NBD_URI", help="Measure this running server too. OVERWRITES its data. May be repeated."
        ),
    ] = None,
    tree: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=DIRECTORY", help="Measure our plugin of another checkout too. May be repeated."),
    ] = None,
    results: Annotated[Path, typer.Option(help="Where the raw results are kept.")] = ROOT / "bench" / "results",
    docs: Annotated[Path, typer.Option(help="Where performance.md and its plot are.")] = ROOT / "docs",
    redraw: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Measure nothing: write the page again from these results.")
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the cases and the subjects.")] = False,
) -> None:
    """Measure the NBD servers with fio, in interleaved rounds, and write docs/performance.md."""
    chosen = [
        *_select("subject", [kind() for kind in SUBJECTS], subject),
        *map(G2diskPlugin.of_tree, tree or ()),
        *map(Peer.parse, peer or ()),
    ]
    cases = _select("case", CASES, case)
    if listing:
        for name, title in [(one.name, one.title) for one in cases] + [(one.name, one.title) for one in chosen]:
            typer.echo(f"{name:<20} {title}")
        return
    if redraw is not None:
        _write(load(redraw), redraw, docs)
        return
    record = _measure(chosen, cases, 1 if quick else rounds, 1.0 if quick else seconds, parse_size(size))
    typer.echo(report.text(record))
    if not quick:
        path = results / f"{record.date.replace(':', '')}.json"
        record.save(path)
        _write(record, path, docs)


def _measure(subjects: Sequence[Subject], cases: Sequence[Case], rounds: int, seconds: float, size: int) -> Record:
    return Record(
        command=shlex.join(["./dev", "bench", *sys.argv[1:]]),
        date=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        commit=machine.commit(ROOT),
        machine=machine.describe(),
        size=size,
        seconds=seconds,
        rounds=rounds,
        subjects=[SubjectFacts(subject.name, subject.title, subject.ours) for subject in subjects],
        cases=list(cases),
        runs=measure(subjects, cases, rounds=rounds, seconds=seconds, size=size, say=_say),
    )


def _write(record: Record, raw: Path, docs: Path) -> None:
    from bench import plot  # matplotlib takes long to load, and most mistakes are found before it is needed

    plot.draw(record, docs / "img" / "performance.svg")
    link = os.path.relpath(raw.resolve(), docs.resolve())
    report.insert(docs / "performance.md", report.markdown(record, "img/performance.svg", link))
    _say(f"wrote {docs / 'performance.md'}, from {raw}")


def _select(what: str, known: Sequence[Named], patterns: Sequence[str] | None) -> list[Named]:
    """Those of `known` whose names match one of the patterns; all, where there are none."""
    if not patterns:
        return list(known)
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(one.name, pattern) for one in known):
            raise BenchError(f"there is no {what} '{pattern}'; there are {', '.join(one.name for one in known)}")
    return [one for one in known if any(fnmatch.fnmatchcase(one.name, pattern) for pattern in patterns)]


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _end(number: int, _frame: object) -> NoReturn:
    sys.exit(128 + number)


def main() -> None:
    """Run; errors become one line and exit status 1.  Every signal that ends us ends what we started, first."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    try:
        typer.run(bench)
    except (BenchError, DiskError) as error:
        _say(f"bench: error: {error}")
        sys.exit(1)


if __name__ == "__main__":
    main()
