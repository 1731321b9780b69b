"""The benchmark: what it reads from fio, how it takes turns, what it writes, and that it leaves nothing running."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

import pytest
from bench import fio, plot, report
from bench.cases import CASES, KIB, Case
from bench.errors import BenchError
from bench.fio import Measurement
from bench.processes import can_connect, running
from bench.results import Record, Run, SubjectFacts, load
from bench.run import measure, turns
from bench.subjects import NbdkitMemory, Peer, Subject
from tests.support.processes import ROOT, wait_until

FIO_SAYS = """fio: connected to NBD server
{"fio version": "fio-3.33", "jobs": [{"jobname": "x", "error": %d, "mixed": {"bw_bytes": 8192000, "iops": 2000.5,
"total_ios": %d, "clat_ns": {"percentile": {"50.000000": 480000, "99.000000": 1200500, "99.900000": 5000000}}}}]}
"""


def measured(speed: float) -> Measurement:
    return Measurement(
        requests=9, iops=speed, bytes_per_second=speed * 4 * KIB, p50_us=1, p99_us=2, p999_us=3, cpu_us=4
    )


def record(speeds: dict[str, Sequence[float]], cases: Sequence[Case] = CASES[:1]) -> Record:
    rounds = len(next(iter(speeds.values())))
    return Record(
        command="./dev bench",
        date="2026-01-02T03:04:05Z",
        commit="abc",
        machine={"processor": "some"},
        size=1 << 20,
        seconds=1.0,
        rounds=rounds,
        subjects=[SubjectFacts(name, f"the {name}", name == "ours") for name in speeds],
        cases=list(cases),
        runs=[
            Run(number + 1, case.name, name, measured(speeds[name][number]))
            for number in range(rounds)
            for case in cases
            for name in speeds
        ],
    )


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=50)


def test_figures_are_read_from_fios_json() -> None:
    """Notes before the JSON are passed over; nanoseconds become microseconds."""
    assert fio.parse(FIO_SAYS % (0, 6000)) == Measurement(
        requests=6000, iops=2000.5, bytes_per_second=8192000, p50_us=480, p99_us=1200.5, p999_us=5000
    )


@pytest.mark.parametrize(
    "output", ["", "fio: no such engine", "{}", '{"jobs": []}', FIO_SAYS % (5, 9), FIO_SAYS % (0, 0)]
)
def test_a_failed_run_is_an_error_and_never_a_figure(output: str) -> None:
    """No report, an error inside it, and a run without a single answer are refused."""
    with pytest.raises(BenchError):
        fio.parse(output)


def test_subjects_take_turns_at_every_case_in_every_round() -> None:
    """A B A B …: what is compared is measured next to each other."""
    subjects = [Peer("a", "nbd://h"), Peer("b", "nbd://h")]

    order = [(number, case.name, subject.name) for number, case, subject in turns(subjects, CASES[:2], 2)]

    one, two = (case.name for case in CASES[:2])
    assert [(1, one, "a"), (1, one, "b"), (1, two, "a"), (1, two, "b")] == order[:4]
    assert [(2, case, subject) for _, case, subject in order[:4]] == order[4:]


def test_ratios_compare_rounds_and_not_medians() -> None:
    """A machine that was slow for one whole round changes no ratio."""
    made = record({"ours": [100, 10, 120], "other": [50, 5, 60]})

    assert [2, 2, 2] == made.ratios("ours", "other", CASES[0].name)
    assert 50 == made.median("other", CASES[0].name, lambda figures: figures.iops)


def test_results_are_kept_whole(tmp_path: Path) -> None:
    """What is loaded is what was saved; another file is refused with its name."""
    made = record({"ours": [1.5, 2.5]}, CASES)
    made.save(tmp_path / "new" / "r.json")
    (tmp_path / "odd.json").write_text("{}")

    assert made == load(tmp_path / "new" / "r.json")
    with pytest.raises(BenchError, match=r"odd\.json"):
        load(tmp_path / "odd.json")


def test_the_page_keeps_what_people_wrote(tmp_path: Path) -> None:
    """Only what stands between the marks is replaced, and a second time gives the same page."""
    page = tmp_path / "performance.md"
    page.write_text(f"above\n{report.BEGIN}\nold\n{report.END}\nbelow\n")

    report.insert(page, "new")
    once = page.read_text()
    report.insert(page, "new")

    assert f"above\n{report.BEGIN}\n\nnew\n\n{report.END}\nbelow\n" == once == page.read_text()


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    """The error names the page."""
    page = tmp_path / "performance.md"
    page.write_text("by hand\n")

    with pytest.raises(BenchError, match=r"performance\.md"):
        report.insert(page, "new")
    assert "by hand\n" == page.read_text()


def test_tables_hold_medians_and_ratios() -> None:
    """Requests a second for small blocks, MB/s for large ones, ratios with their spread, the command beside them."""
    text = report.markdown(record({"ours": [3000, 1000, 2000], "other": [1000, 1000, 1000]}, CASES), "i.svg", "r.json")

    assert "| 4 KiB random read, depth 1 | 2,000 IOPS | 1,000 IOPS |" in text
    assert "| 1 MiB sequential, read, depth 4 | 8 MB/s | 4 MB/s |" in text
    assert "| 4 KiB random read, depth 1 | 2.00 (1.00 to 3.00) |" in text
    assert "    ./dev bench" in text.splitlines()


def test_the_plot_shows_every_subject_and_is_the_same_for_the_same_record(tmp_path: Path) -> None:
    """SVG that parses, the same bytes twice, and other bytes when a subject is missing."""
    speeds = {f"s{number}": [1000.0 + number, 2000.0] for number in range(10)}
    for name, chosen in (("a", 10), ("b", 10), ("c", 9)):
        plot.draw(record(dict(list(speeds.items())[:chosen]), CASES), tmp_path / f"{name}.svg")
    a, b, c = ((tmp_path / f"{name}.svg").read_bytes() for name in "abc")

    assert a == b != c
    assert ET.fromstring(a).tag.endswith("svg")


class Failing(NbdkitMemory):
    """Comes up and then finds that it cannot go on."""

    name = "failing"
    pid = 0

    def start(self, directory: Path, size: int) -> str:
        super().start(directory, size)
        self.pid = self._processes[0].popen.pid
        raise BenchError("no further")


def test_what_a_failing_subject_had_started_is_ended() -> None:
    """The error arrives, and no process is left of this subject or of those before it."""
    good, bad = NbdkitMemory(), Failing()
    pids: list[int] = []

    def say(line: str) -> None:
        pids.extend(process.popen.pid for process in good._processes)

    with pytest.raises(BenchError, match="no further"):
        measure([good, bad], CASES[:1], rounds=1, seconds=0.1, size=1 << 20, say=say)
    assert [] == [pid for pid in (*pids, bad.pid) if Path(f"/proc/{pid}").exists()]
    assert pids


def test_a_program_that_ends_early_is_an_error_with_what_it_said(tmp_path: Path) -> None:
    """Waiting for it does not last until the patience is over."""
    with running("talker", ["sh", "-c", "echo no room >&2; exit 3"], tmp_path) as process:
        with pytest.raises(BenchError, match="talker ended before it listened; it wrote: no room"):
            process.wait_until("it listened", lambda: False)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_nothing_outlives_the_benchmark(tmp_path: Path, number: signal.Signals) -> None:
    """However it is ended, its servers and fio end with it."""
    command = [sys.executable, "-m", "bench", "--subject", "g2disk-plugin", "--case", "read-1m", "--seconds", "40"]
    with subprocess.Popen(
        [*command, "--size", "1MiB", "--results", str(tmp_path), "--docs", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        wait_until("fio measures", lambda: any("--time_based" in line for line in descendants(tmp_path)))
        assert {"fio", "g2disk", "nbdkit"} <= {Path(word).name for line in descendants(tmp_path) for word in line[:2]}
        process.send_signal(number)
    wait_until("all have ended", lambda: not descendants(tmp_path))


def descendants(directory: Path) -> list[list[str]]:
    """The command lines of the processes that were started with this TMPDIR."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"TMPDIR={directory}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.append((entry / "cmdline").read_bytes().decode().split("\0"))
        except OSError:  # it has ended, or belongs to somebody else
            continue
    return found


def test_the_whole_benchmark_runs(tmp_path: Path) -> None:
    """Every subject, and a smaller server that runs already: page, plot and results are made."""
    socket = tmp_path / "peer.sock"
    with running("peer", ["nbdkit", "-f", "-U", str(socket), "memory", "1M"], tmp_path) as process:
        process.wait_until("it listened", lambda: socket.exists() and can_connect(socket))
        where = ("--results", str(tmp_path / "raw"), "--docs", str(tmp_path / "docs"))
        case = ("--case", "randwrite-4k-qd16", "--rounds", "2", "--seconds", "0.1", "--size", "4MiB")
        done = bench(*case, *where, "--peer", f"small=nbd+unix:///?socket={socket}")

    assert 0 == done.returncode, done.stderr
    (raw,) = (tmp_path / "raw").iterdir()
    kept = load(raw)
    assert ["g2disk-plugin", "unary-plugin", "nbdkit-memory", "small"] == [subject.name for subject in kept.subjects]
    assert [2] * 4 == [len(kept.of(subject.name, "randwrite-4k-qd16")) for subject in kept.subjects]
    assert all(figures.cpu_us for figures in kept.of("g2disk-plugin", "randwrite-4k-qd16"))
    assert [None] * 2 == [figures.cpu_us for figures in kept.of("small", "randwrite-4k-qd16")]
    assert f"](../raw/{raw.name})" in (tmp_path / "docs" / "performance.md").read_text()
    assert (tmp_path / "docs" / "img" / "performance.svg").stat().st_size > 1000
    again = bench("--redraw", str(raw), "--docs", str(tmp_path / "again"))
    assert 0 == again.returncode, again.stderr
    assert json.loads(raw.read_text())["command"] in (tmp_path / "again" / "performance.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--case", "nothing*"], "there is no case 'nothing*'"),
        (["--subject", "nobody"], "there is no subject 'nobody'"),
        (["--peer", "x"], "NAME=NBD_URI"),
        (["--peer", "x=http://h"], "NAME=NBD_URI"),
        (["--tree", "x=/nonexistent"], "NAME=DIRECTORY"),
        (["--size", "much"], "'much' is not a size"),
        (["--redraw", "/nonexistent"], "/nonexistent holds no results"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], says: str) -> None:
    """Before anything is started."""
    done = bench(*arguments)

    assert 1 == done.returncode
    assert says in done.stderr
    assert 1 == len(done.stderr.splitlines())


def test_every_case_and_subject_has_a_name_of_its_own() -> None:
    """Names are keys of the results."""
    names = [case.name for case in CASES]

    assert len(set(names)) == len(names)
    assert {1, 16, 64} <= {case.depth for case in CASES if case.block == 4 * KIB}
    assert issubclass(NbdkitMemory, Subject)
