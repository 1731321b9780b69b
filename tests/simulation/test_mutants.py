"""The simulation can fail: it finds each of these bugs, were they in the code that keeps data safe."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.mutants import MUTANTS
from tests.simulation.mutation import Mutant

SEEDS = 1000
"""Schedules until a mutant must have been caught; most are caught by the first dozen."""


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_plausible_bug_is_caught(mutant: Mutant) -> None:
    """A run of the mutant is wrong."""
    command = [sys.executable, "-m", "tests.simulation.mutants", mutant.name, "0", str(SEEDS)]
    root = Path(__file__).parents[2]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=50, stdin=subprocess.DEVNULL)
    assert result.returncode == 0, result.stderr
    assert result.stdout, f"{SEEDS} schedules found nothing wrong"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_bug_has_its_place_in_the_source(mutant: Mutant) -> None:
    """The text that the bug replaces is there, once; who changes it updates the mutant."""
    spec = importlib.util.find_spec(mutant.module)
    assert spec is not None
    assert spec.origin is not None
    assert mutant.source(Path(spec.origin).read_text(encoding="utf-8"))
