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
from bench import __main__ as command_line
from bench import fio, page, plot, report, scale_report, usage
from bench.cases import CASES, FOUR_CONNECTIONS, KIB, SCALE_CASES, Case
from bench.errors import BenchError
from bench.fio import Measurement, Target
from bench.processes import can_connect, running
from bench.results import Cost, Record, Run, SubjectFacts, load
from bench.run import measure, turns
from bench.subjects import SCALE_SUBJECTS, SUBJECTS
from bench.subjects.others import NbdkitMemory, NbdServer, Peer
from bench.subjects.subject import Subject
from bench.usage import Usage
from tests.support.processes import ROOT, wait_until

FIO_SAYS = """fio: connected to NBD server
{"fio version": "fio-3.33", "jobs": [{"jobname": "x", "error": %d, "usr_cpu": 15.5, "sys_cpu": 10.0,
"job options": {"numjobs": "4"}, "mixed": {"bw_bytes": 8192000, "iops": 2000.5, "io_bytes": 24576000,
"total_ios": %d, "clat_ns": {"percentile": {"50.000000": 480000, "99.000000": 1200500, "99.900000": 5000000}}}}]}
"""


def measured(speed: float) -> Measurement:
    return Measurement(
        requests=50_000,
        bytes=500_000_000,
        iops=speed,
        bytes_per_second=speed * 4 * KIB,
        p50_us=speed / 10,
        p99_us=2,
        p999_us=3,
        client_cores=0.5,
        cpu_seconds=4,
        peak_memory=7 << 20,
    )


def record(speeds: dict[str, Sequence[float]], cases: Sequence[Case] = CASES[:1]) -> Record:
    rounds = len(next(iter(speeds.values())))
    return Record(
        part="comparison",
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
            Run(number + 1, case.name, name, measured(figures[number]))
            for number in range(rounds)
            for case in cases
            for name, figures in speeds.items()
            if figures
        ],
    )


def empty_record(subjects: Sequence[Subject], case: Case, seconds: float = 0.1) -> Record:
    made = record({}.fromkeys((subject.name for subject in subjects), ()), [case])
    made.seconds = seconds
    return made


def run(subjects: Sequence[Subject], case: Case) -> Record:
    made = empty_record(subjects, case)
    measure(made, subjects, 1, lambda line: None, lambda: None)
    return made


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=50)


def test_figures_are_read_from_fios_json() -> None:
    """Notes before the JSON are passed over; nanoseconds become microseconds; each of four connections has a thread."""
    assert fio.parse(FIO_SAYS % (0, 6000)) == Measurement(
        requests=6000,
        bytes=24576000,
        iops=2000.5,
        bytes_per_second=8192000,
        p50_us=480,
        p99_us=1200.5,
        p999_us=5000,
        client_cores=1.02,
    )


@pytest.mark.parametrize(
    "output", ["", "fio: no such engine", "{}", '{"jobs": []}', FIO_SAYS % (5, 9), FIO_SAYS % (0, 0)]
)
def test_a_failed_run_is_an_error_and_never_a_figure(output: str) -> None:
    """No report, an error inside it, and a run without a single answer are refused."""
    with pytest.raises(BenchError):
        fio.parse(output)


def test_scattered_places_are_all_that_is_written(tmp_path: Path) -> None:
    """Each of the eight places holds data when the disk is filled; writes at random touch no other."""
    server = NbdkitMemory()
    try:
        target = Target(server.start(tmp_path, 1 << 30).uri, 8 << 27, 1 << 27)
        for step in (lambda: fio.fill(target), lambda: fio.measure(write_case(), target, 0.2)):
            step()
            shown = subprocess.run(
                ["nbdinfo", "--map", target.uri], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20
            )
            found = [line.split() for line in shown.stdout.splitlines()]
            assert [number << 27 for number in range(8)] == [int(start) for start, _, kind, _ in found if kind == "0"]
    finally:
        server.stop()


def write_case() -> Case:
    return next(case for case in CASES if case.name == "randwrite-4k-qd16")


def test_subjects_take_turns_at_every_case() -> None:
    """A B A B …: what is compared is measured next to each other; B A B A … in the next round."""
    subjects = [Peer("a", "nbd://h"), Peer("b", "nbd://h")]

    first, second = ([(case.name, s.name) for case, s in turns(subjects, CASES[:2], number)] for number in (1, 2))

    one, two = (case.name for case in CASES[:2])
    assert [(one, "a"), (one, "b"), (two, "a"), (two, "b")] == first
    assert [(one, "b"), (one, "a"), (two, "b"), (two, "a")] == second


def test_a_record_grows_by_whole_rounds() -> None:
    """What is kept meanwhile has every round that is complete, so that an interrupted benchmark is not lost."""
    subjects = [NbdkitMemory()]
    made, kept = empty_record(subjects, CASES[0]), list[tuple[int, int]]()

    measure(made, subjects, 2, lambda line: None, lambda: kept.append((made.rounds, len(made.runs))))

    assert [(1, 1), (2, 2)] == kept


def test_ratios_compare_rounds_and_not_medians() -> None:
    """A machine that was slow for one whole round changes no ratio."""
    made = record({"ours": [100, 10, 120], "other": [50, 5, 60]})

    assert [2, 2, 2] == made.ratios("ours", "other", CASES[0].name, lambda figures: figures.iops)
    assert 50 == made.median("other", CASES[0].name, lambda figures: figures.iops)


def test_what_was_not_measured_has_no_figures() -> None:
    """Neither medians nor ratios; the tables show a dash, and the plot is drawn all the same."""
    made = record({"ours": [100, 200], "absent": []})

    assert made.median("absent", CASES[0].name, lambda figures: figures.iops) is None
    assert [] == made.ratios("ours", "absent", CASES[0].name, lambda figures: figures.iops)
    assert "| the absent | – |" in report.markdown(made, "img", ["r.json"])
    assert "absent" in report.text(made)


def test_processor_time_is_for_100000_requests_and_for_a_gigabyte() -> None:
    """4 s for 50,000 requests of together half a gigabyte are 8 s for each."""
    assert 8 == measured(1).cpu_seconds_per_100k == measured(1).cpu_seconds_per_gb


def test_results_are_kept_whole(tmp_path: Path) -> None:
    """What is loaded is what was saved; another file is refused with its name."""
    made = record({"ours": [1.5, 2.5]}, CASES)
    made.save(tmp_path / "new" / "r.json")
    (tmp_path / "odd.json").write_text("{}")

    assert made == load(tmp_path / "new" / "r.json")
    with pytest.raises(BenchError, match=r"odd\.json"):
        load(tmp_path / "odd.json")


def test_the_page_keeps_what_people_wrote(tmp_path: Path) -> None:
    """Only what stands between the part's marks is replaced, and a second time gives the same page."""
    path = tmp_path / "performance.md"
    (begin, end), other = page.marks("scale"), "\n".join(page.marks("comparison"))
    path.write_text(f"above\n{begin}\nold\n{end}\nbelow\n{other}\n")

    page.insert(path, "scale", "new")
    once = path.read_text()
    page.insert(path, "scale", "new")

    assert f"above\n{begin}\n\nnew\n\n{end}\nbelow\n{other}\n" == once == path.read_text()


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    """The error names the page."""
    path = tmp_path / "performance.md"
    path.write_text("by hand\n")

    with pytest.raises(BenchError, match=r"performance\.md"):
        page.insert(path, "comparison", "new")
    assert "by hand\n" == path.read_text()


def test_tables_hold_medians_and_ratios() -> None:
    """Requests a second for small blocks, MB/s for large ones, ratios with their spread, what it cost, the command."""
    made = record({"ours": [3000, 1000, 2000], "other": [1000, 1000, 1000]}, CASES)
    made.notes.append("Something was left out.")
    text = report.markdown(made, "img", ["r.json"])

    assert "| the ours | 2,000 | 2,000 | 2,000 | 2,000 | 2,000 |" in text
    assert "| the other | 4 | 4 |" in text
    assert "| the other | 2.00 (1.00 to 3.00) |" in text
    assert "| the ours | 200 / 2 / 3 |" in text
    assert "| the ours | 8.00 / 8.00 / 0.50 |" in text
    assert "| the ours | 7 |" in text
    assert "- Something was left out." in text.splitlines()
    assert "    ./dev bench" in text.splitlines()


def test_the_scale_page_compares_with_the_first_subject() -> None:
    """Latency at depth 1, requests a second at depth 64, and the memory that one of many takes."""
    made = record({"small": [1000, 2000], "crowded": [1100, 2200]}, SCALE_CASES)
    made.costs = [Cost("idle connection", 1000, 4_500_000)]
    text = scale_report.markdown(made, ["r.json"])

    assert "| 4 KiB random read, depth 1: median latency, µs | 150 | 1.10 (1.10 to 1.10) |" in text
    assert "| 4 KiB random write, depth 64: requests a second | 1,500 | 1.10 (1.10 to 1.10) |" in text
    assert "| idle connection | 1,000 | 4,500 |" in text
    assert "1.10" in scale_report.text(made)


def test_every_group_has_a_plot_and_it_is_the_same_for_the_same_record(tmp_path: Path) -> None:
    """SVG that parses, the same bytes twice, other bytes when a subject is missing; plots of before are gone."""
    speeds = {f"s{number}": [1000.0 + number, 2000.0] for number in range(10)}
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "performance-old.svg").write_text("")
    for name, chosen in (("a", 10), ("b", 10), ("c", 9)):
        plot.draw(record(dict(list(speeds.items())[:chosen]), CASES[:7]), tmp_path / name)
    a, b, c = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in "abc")

    assert {plot.file_name("4 KiB random read"), plot.file_name("4 KiB random write")} == set(a)
    assert a == b
    assert not a.items() & c.items()
    assert all(ET.fromstring(drawn).tag.endswith("svg") for drawn in a.values())


CHILD = "import os; memory = bytearray(100 << 20)\nwhile os.times().user < 0.4: memory[::4096] = memory[::4096]"
PARENT = "import subprocess, sys; input(); subprocess.run([sys.executable, '-c', sys.argv[1]]); print(); input()"


def test_the_cost_of_children_counts() -> None:
    """Processor time of a child that has ended, and the peak of its memory while it lived."""
    command = [sys.executable, "-c", PARENT, CHILD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        with Usage([process.pid]) as used:
            print(file=process.stdin, flush=True)
            process.stdout.readline()
        process.kill()

    assert 0.4 <= used.cpu_seconds < 5
    assert 100 << 20 < used.peak_memory < 300 << 20


def test_peaks_begin_anew_where_the_kernel_allows_it() -> None:
    """Memory that was given back before the block counts no more."""
    big = bytearray(300 << 20)
    big[::4096] = b"x" * (len(big) // 4096)
    with Usage([os.getpid()]) as before:
        pass
    del big
    with Usage([os.getpid()]) as after:
        pass

    assert after.peak_is_fresh
    assert before.peak_memory - after.peak_memory > 200 << 20


def test_a_process_that_has_ended_is_an_error() -> None:
    """Never a cost of nothing."""
    with subprocess.Popen(["true"]) as process:
        process.wait()

    with pytest.raises(BenchError, match=f"process {process.pid} has ended"):
        usage.cpu_seconds([process.pid])


def test_four_connections_are_not_measured_where_they_are_not_offered(tmp_path: Path) -> None:
    """There is a note, and the others are measured."""
    path = tmp_path / "single.sock"
    with running(
        "single",
        ["nbdkit", "-f", "-U", str(path), "--filter=multi-conn", "memory", "1M", "multi-conn-mode=disable"],
        tmp_path,
    ) as process:
        process.wait_until("it listened", lambda: path.exists() and can_connect(path))
        made = run([NbdkitMemory(), Peer("single", f"nbd+unix:///?socket={path}")], FOUR_CONNECTIONS)

    assert ["nbdkit-memory"] == [one.subject for one in made.runs]
    assert "single was not measured" in made.notes[0]


class NotInstalled(NbdkitMemory):
    """Needs what no machine has."""

    name = title = "exotic"
    programs = ("no-such-program",)


def test_subjects_whose_programs_are_missing_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """With a note in the record and on standard error; without any subject there is nothing to measure."""
    subjects: list[Subject] = [NotInstalled(), NbdkitMemory()]

    made = command_line._new_record("comparison", subjects, list(CASES[:1]), 1.0, 1 << 20)

    assert ["nbdkit-memory"] == [subject.name for subject in made.subjects] == [subject.name for subject in subjects]
    assert ["exotic was left out: no-such-program is not installed."] == made.notes
    assert made.notes[0] in capsys.readouterr().err
    with pytest.raises(BenchError, match="no subject is left"):
        command_line._new_record("comparison", [NotInstalled()], list(CASES[:1]), 1.0, 1 << 20)


def test_nbd_server_is_measured_with_its_children_and_leaves_none() -> None:
    """It goes into background and has a process for each connection."""
    server = NbdServer()
    if server.missing():
        pytest.skip("nbd-server is not installed")

    made = run([server], FOUR_CONNECTIONS)

    assert made.runs[0].figures.cpu_seconds
    assert [] == [pid for pid in server.pids() if Path(f"/proc/{pid}").exists()]
    assert server.pids()


class Failing(NbdkitMemory):
    """Comes up and then finds that it cannot go on."""

    name = "failing"
    pid = 0

    def start(self, directory: Path, size: int) -> Target:
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
        measure(empty_record([good, bad], CASES[0]), [good, bad], 1, say, lambda: None)
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
    """Every subject, and a smaller server that runs already: page, plots and results are made."""
    socket = tmp_path / "peer.sock"
    with running("peer", ["nbdkit", "-f", "-U", str(socket), "memory", "1M"], tmp_path) as process:
        process.wait_until("it listened", lambda: socket.exists() and can_connect(socket))
        where = ("--results", str(tmp_path / "raw"), "--docs", str(tmp_path / "docs"))
        case = ("--case", "randwrite-4k-qd16", "--rounds", "1", "--seconds", "0.1", "--size", "4MiB")
        uri, pids = f"nbd+unix:///?socket={socket}", f"watched={process.popen.pid}"
        done = bench(*case, *where, "--peer", f"small={uri}", "--peer", f"watched={uri}", "--peer-pids", pids)

    assert 0 == done.returncode, done.stderr
    (raw,) = (tmp_path / "raw").iterdir()
    kept = load(raw)
    names = [kind.name for kind in SUBJECTS if not kind().missing()]
    assert [*names, "small", "watched"] == [subject.name for subject in kept.subjects]
    figures = {subject.name: kept.of(subject.name, "randwrite-4k-qd16") for subject in kept.subjects}
    assert {1} == {len(rounds) for rounds in figures.values()}
    assert [None] == [one.peak_memory for one in figures.pop("small")]
    assert all(one.peak_memory and one.cpu_seconds is not None for rounds in figures.values() for one in rounds)
    assert f"](../raw/{raw.name})" in (tmp_path / "docs" / "performance.md").read_text()
    (image,) = (tmp_path / "docs" / "img").iterdir()
    assert f"](img/{image.name})" in (tmp_path / "docs" / "performance.md").read_text()
    again = bench("--redraw", str(raw), "--docs", str(tmp_path / "again"))
    assert 0 == again.returncode, again.stderr
    assert json.loads(raw.read_text())["command"] in (tmp_path / "again" / "performance.md").read_text()


def test_the_scale_is_measured(tmp_path: Path) -> None:
    """Many disks, many connections and many extents, a hundredth of them here: each costs memory."""
    done = bench("--scale", "--quick", "--case", "randread-4k-qd64", "--size", "4MiB")

    assert 0 == done.returncode, done.stderr
    assert "requests a second" in done.stdout
    for what in ("disk of 1 GiB", "idle gRPC connection", "extent of 4 KiB"):
        (line,) = (line for line in done.stdout.splitlines() if what in line)
        assert int(line.split("|")[3].replace(",", "")) > 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--case", "nothing*"], "there is no case 'nothing*'"),
        (["--subject", "nobody"], "there is no subject 'nobody'"),
        (["--peer", "x"], "NAME=NBD_URI"),
        (["--peer", "x=http://h"], "NAME=NBD_URI"),
        (["--peer-pids", "x=1"], "there is no --peer x"),
        (["--peer", "x=nbd://h", "--peer-pids", "x=y"], "NAME=PID,PID"),
        (["--scale", "--subject", "nbdkit-memory"], "there is no subject 'nbdkit-memory'"),
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
    """Names are keys of the results, and group names are names of files."""
    for names in ([case.name for case in CASES], [kind.name for kind in (*SUBJECTS, *SCALE_SUBJECTS)]):
        assert len(set(names)) == len(names)
    groups = {case.group for case in CASES}
    assert len(groups) == len({plot.file_name(group) for group in groups})
    assert {1, 4, 16, 64, 128} == {case.depth for case in CASES if case.block == 4 * KIB}
