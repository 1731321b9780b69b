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
"""Runs until a mutant must have been caught; most are caught by the first dozen."""


@pytest.mark.timeout(120)
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_plausible_bug_is_caught(mutant: Mutant) -> None:
    """A run of the mutant is wrong."""
    command = [sys.executable, "-m", "tests.volume_simulation.mutants", mutant.name, "0", str(SEEDS)]
    root = Path(__file__).parents[2]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=110, stdin=subprocess.DEVNULL)
    assert result.returncode == 0, result.stderr
    assert result.stdout, f"{SEEDS} schedules found nothing wrong"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_bug_has_its_place_in_the_source(mutant: Mutant) -> None:
    """The text that the bug replaces is there, once; who changes it updates the mutant."""
    spec = importlib.util.find_spec(mutant.module)
    assert spec is not None
    assert spec.origin is not None
    assert mutant.source(Path(spec.origin).read_text(encoding="utf-8"))
