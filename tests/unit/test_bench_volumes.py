"""The benchmark of volumes: its figures come from real volumes, and the page says what was found."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from bench import volume_report
from bench.cases import FSYNC_CASE, VOLUME_CASES
from bench.fio import Target, command
from bench.results import Finding, Record, joined
from bench.subjects.chunk_disk import CHUNK, ChunkDisk
from bench.subjects.volumes import BareFile, Chunks, Memory
from bench.volume_report import _ROWS
from bench.volume_run import measure_volumes
from bench.volumes.tasks import ONCE, TASKS

from g2disk.disk import Disk
from g2disk.disk.layers import Checked
from g2disk.testing import check_disk


def record(findings: list[Finding] | None = None) -> Record:
    return Record(
        part="volumes",
        command="./dev bench --volumes",
        date="2026-01-02T03:04:05Z",
        commit="abc",
        machine={"processor": "some"},
        size=1 << 20,
        seconds=1.0,
        subjects=[],
        cases=[],
        findings=findings or [],
    )


def test_ratios_are_of_one_round() -> None:
    """A figure against another is divided round by round: the middle, the lowest and the highest."""
    pairs = [(100.0, 50.0), (100.0, 90.0), (10.0, 8.0)]
    found = [
        Finding(number, "syncs", figure, value)
        for number, pair in enumerate(pairs, 1)
        for figure, value in zip(("bare", "volume"), pair, strict=True)
    ]

    text = volume_report.text(record(found))

    assert "| 32 writes, 1 flush: ratio | 0.80 (0.50 to 0.90) | >= 0.60 |" in text
    assert "sequential" not in text


def test_every_line_of_the_page_is_measured() -> None:
    """Each row names a task that there is, and what is measured once is one."""
    assert {row.task for row in _ROWS} == set(TASKS)
    assert set(TASKS) >= ONCE


@pytest.mark.parametrize("task", ["syncs", "uncollected", "recovery-blocks"])
def test_a_measurement_gives_all_figures_of_its_rows(task: str) -> None:
    """A small share of it, with its real processes, one of which is killed: each figure is there, and above zero."""
    made = record()

    measure_volumes(made, [task], 1, 0.01, lambda line: None, lambda: None)

    wanted = {name for row in _ROWS if row.task == task for name in (row.figure, row.against) if name}
    assert {finding.figure for finding in made.findings} == wanted
    assert all(finding.value > 0 for finding in made.findings)


def test_parts_of_a_benchmark_make_one_page() -> None:
    """What several commands measured is drawn together, and all commands are named."""
    parts = [record([Finding(1, "syncs", "bare", 1.0)]), record([Finding(1, "syncs", "volume", 1.0)])]

    text = volume_report.markdown(joined(parts), ["a.json", "b.json"])

    assert "ratio | 1.00" in text
    assert text.count("    ./dev bench --volumes") == 2
    assert "[a.json](a.json), [b.json](b.json)" in text


def test_flushes_are_asked_for_on_both_sides() -> None:
    """fio flushes an export and a bare file after as many writes; the file is for that case alone."""
    target = Target("", 1 << 20, path="/x")

    assert "--fdatasync=32" in command(FSYNC_CASE, target, 1)
    assert "--fsync=32" in command(FSYNC_CASE, Target("nbd://h", 1 << 20), 1)
    assert [case for case in VOLUME_CASES if BareFile().is_for(case)] == [FSYNC_CASE]
    assert not Memory().is_for(FSYNC_CASE)
    assert not Chunks().is_for(FSYNC_CASE)


async def test_the_other_layout_is_a_disk_that_keeps_the_contract(tmp_path: Path) -> None:
    """What volumes are compared with does all that a disk has to."""

    @asynccontextmanager
    async def make() -> AsyncIterator[Disk]:
        disk = ChunkDisk(str(tmp_path), str(2 * CHUNK))
        yield Checked(disk)
        await disk.close()

    await check_disk(make, seed=1)
