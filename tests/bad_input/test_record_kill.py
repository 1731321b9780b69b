"""The record of unflushed changes, and a process that is killed while it records."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from g2disk.remote.record_file import RecordFile
from tests.support.processes import ROOT
from tests.support.recorder import steps
from tests.support.records import Row, rows


@pytest.mark.parametrize("seed", range(12))
def test_all_that_was_reported_survives_sigkill(tmp_path: Path, seed: int) -> None:
    """Exactly what was acknowledged and not covered is there; the step that it was killed in is done or not."""
    command = [sys.executable, "-m", "tests.support.recorder", str(tmp_path / "record"), str(seed)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        reported, wanted = 0, random.Random(seed).randrange(1, 3000)
        while reported < wanted:
            reported += len(os.read(process.stdout.fileno(), wanted - reported))
        process.kill()
        reported += len(process.stdout.read())

    record = RecordFile.open(tmp_path / "record", True)
    record.close()
    found, states = record.recovered, list(itertools.islice(unflushed(seed), reported, reported + 2))
    assert found.complete
    assert rows(found.changes) in states
    assert ("disk", "i" if found.changes else "", not found.changes) == (found.identity, found.instance, found.empty)


def unflushed(seed: int) -> Iterator[list[Row]]:
    """What is unflushed before the first step, and after each."""
    held: list[Row] = []
    yield held
    for step in steps(seed):
        held = held[step:] if isinstance(step, int) else held + rows(step)
        yield held
