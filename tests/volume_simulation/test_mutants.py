"""The simulation can fail: it finds each of these bugs, were they in the engine."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.mutation import Mutant
from tests.volume_simulation.mutants import MUTANTS

SEEDS = 300
"""Runs until a mutant must have been caught."""

LONG = {
    "a checkpoint leaves out segments on their way",
    "a flush does not sync the journal",
    "a flush takes a sync that had begun before it",
    "a part of a block is written over what was written meanwhile",
    "a rollback forgets the snapshot's last segments",
    "blocks that only the journal knows are collected",
    "blocks that were stored anew meanwhile are collected",
    "garbage collection forgets snapshots",
    "map objects are written over",
    "segments are deleted before the manifest is committed",
    "segments on their way are orphans",
    "the journal of a writer that was replaced is taken",
}
"""Those that need more than the first few runs are left to the soak, which tries them all."""

CASES = [
    pytest.param(mutant, id=mutant.name, marks=[pytest.mark.soak] if mutant.name in LONG else []) for mutant in MUTANTS
]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("mutant", CASES)
def test_a_plausible_bug_is_caught(mutant: Mutant) -> None:
    """A run of the mutant is wrong."""
    command = [sys.executable, "-m", "tests.volume_simulation.mutants", mutant.name, "0", str(SEEDS)]
    root = Path(__file__).parents[2]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=110, stdin=subprocess.DEVNULL)
    assert result.returncode == 0, result.stderr
    assert result.stdout, f"{SEEDS} schedules found nothing wrong"


def test_those_that_are_left_to_the_soak_are_there() -> None:
    """No name is left over from a mutant that has another now."""
    assert {mutant.name for mutant in MUTANTS} >= LONG


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_bug_has_its_place_in_the_source(mutant: Mutant) -> None:
    """The text that the bug replaces is there, once; who changes it updates the mutant."""
    spec = importlib.util.find_spec(mutant.module)
    assert spec is not None
    assert spec.origin is not None
    assert mutant.source(Path(spec.origin).read_text(encoding="utf-8"))
