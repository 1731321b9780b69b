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
from typing import Annotated, Literal, NoReturn, TypeAlias, TypeVar

import typer

from bench import machine, page, plot, report, scale_report, volume_report
from bench.cases import CASES, SCALE_CASES, VOLUME_CASES, Case
from bench.errors import BenchError
from bench.results import Record, SubjectFacts, joined, load
from bench.run import measure
from bench.subjects import SCALE_SUBJECTS, SUBJECTS, VOLUME_SUBJECTS
from bench.subjects.others import Peer, name_processes
from bench.subjects.ours import G2diskPlugin
from bench.subjects.subject import Subject
from bench.volume_run import measure_volumes
from bench.volumes.tasks import TASKS
from g2disk.errors import DiskError
from g2disk.units import parse_size

ROOT = Path(__file__).resolve().parents[1]
Named = TypeVar("Named", Case, Subject)
Part: TypeAlias = Literal["comparison", "scale", "volumes"]

_PARTS = {"comparison": report, "scale": scale_report, "volumes": volume_report}


def bench(
    rounds: Annotated[int, typer.Option(min=1, help="How often every measurement is made.")] = 5,
    seconds: Annotated[float, typer.Option(min=0.01, help="How long a measurement takes.")] = 3.0,
    size: Annotated[str, typer.Option(help="How much of every disk is read and written.")] = "256MiB",
    quick: Annotated[
        bool,
        typer.Option("--quick", help="One round of one second, with --scale a hundredth of the crowd; keeps nothing."),
    ] = False,
    scale: Annotated[
        bool,
        typer.Option(
            "--scale",
            help="Measure one small disk beside many disks, beside many connections, and a giant one instead.",
        ),
    ] = False,
    volumes: Annotated[
        bool,
        typer.Option("--volumes", help="Measure volumes on object stores instead; takes some 20 GB in TMPDIR."),
    ] = False,
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
    peer_pids: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=PID,PID", help="The processes whose cost is this peer's. May be repeated."),
    ] = None,
    tree: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=DIRECTORY", help="Measure our plugin of another checkout too. May be repeated."),
    ] = None,
    results: Annotated[Path, typer.Option(help="Where the raw results are kept.")] = ROOT / "bench" / "results",
    docs: Annotated[Path, typer.Option(help="Where performance.md is.")] = ROOT / "docs",
    redraw: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Measure nothing: write the page again from these results. May be repeated."),
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the cases and the subjects.")] = False,
) -> None:
    """Measure NBD servers with fio, in interleaved rounds, and write docs/performance.md."""
    if redraw:
        _write(joined([load(each) for each in redraw]), redraw, docs)
        return
    tasks = _tasks(case) if volumes else []
    known: list[Subject] = [kind() for kind in (VOLUME_SUBJECTS if volumes else SUBJECTS)]
    if scale:
        known = [kind(0.01 if quick else 1.0) for kind in SCALE_SUBJECTS]
    peers = [Peer.parse(text) for text in peer or ()]
    name_processes(peers, peer_pids or ())
    chosen = [*_select("subject", known, subject), *map(G2diskPlugin.of_tree, tree or ()), *peers]
    cases = _select("case", _cases(scale, volumes), case, tasks)
    if listing:
        for name, title in [(one.name, one.title) for one in cases] + [(one.name, one.title) for one in chosen]:
            typer.echo(f"{name:<22} {title}")
        typer.echo("\n".join(tasks))
        return
    part: Part = "volumes" if volumes else "scale" if scale else "comparison"
    record = _new_record(part, chosen, cases, 1.0 if quick else seconds, parse_size(size))
    raw = results / f"{record.date.replace(':', '')}-{record.part}.json"
    keep = (lambda: None) if quick else (lambda: record.save(raw))
    rounds = 1 if quick else rounds
    if cases:
        measure(record, chosen, rounds, _say, keep)
    if tasks:
        measure_volumes(record, tasks, rounds, 0.05 if quick else 1.0, _say, keep)
    typer.echo(_PARTS[part].text(record))
    if not quick:
        _write(record, [raw], docs)


def _cases(scale: bool, volumes: bool) -> Sequence[Case]:
    return VOLUME_CASES if volumes else SCALE_CASES if scale else CASES


def _tasks(patterns: Sequence[str] | None) -> list[str]:
    """Those of `bench.volumes` whose names match one of the patterns; all, where there are none."""
    return [name for name in TASKS if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns or ["*"])]


def _new_record(part: Part, subjects: list[Subject], cases: list[Case], seconds: float, size: int) -> Record:
    """A record without rounds.  Subjects whose programs are not installed are taken out of `subjects`, with a note.

    Raises `BenchError` when none is left.
    """
    record = Record(
        part=part,
        command=shlex.join(["./dev", "bench", *sys.argv[1:]]),
        date=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        commit=machine.commit(ROOT),
        machine=machine.describe(),
        size=size,
        seconds=seconds,
        subjects=[],
        cases=cases,
    )
    for subject in list(subjects):
        missing = subject.missing()
        if missing:
            record.notes.append(f"{subject.title} was left out: {missing} is not installed.")
            _say(record.notes[-1])
            subjects.remove(subject)
        else:
            record.subjects.append(SubjectFacts(subject.name, subject.title, subject.ours))
    if not subjects:
        raise BenchError("no subject is left to measure; install what is missing")
    return record


def _write(record: Record, raws: Sequence[Path], docs: Path) -> None:
    link = [os.path.relpath(raw.resolve(), docs.resolve()) for raw in raws]
    if record.part == "scale":
        text = scale_report.markdown(record, link)
    elif record.part == "volumes":
        text = volume_report.markdown(record, link)
    else:
        plot.draw(record, docs / "img")
        text = report.markdown(record, "img", link)
    page.insert(docs / "performance.md", record.part, text)
    _say(f"wrote {docs / 'performance.md'}, from {', '.join(map(str, raws))}")


def _select(what: str, known: Sequence[Named], patterns: Sequence[str] | None, more: Sequence[str] = ()) -> list[Named]:
    """Those of `known` whose names match one of the patterns; all, where there are none.  A pattern may stand for one
    of `more` instead.
    """
    if not patterns:
        return list(known)
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(name, pattern) for name in (*(one.name for one in known), *more)):
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
