"""Many runs on all cores: `python -m tests.volume_simulation.soak --rounds 10000 [--first SEED]`.

Progress goes to standard error, and one JSON document to standard output.  The exit code is 0 where no run was wrong
and every mutant was caught.  `simulate(SEED)` of `tests.volume_simulation.run` gives a run again.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict

from g2disk.clock import SystemClock
from tests.simulation.mutation import Mutant
from tests.volume_simulation.mutants import MUTANTS
from tests.volume_simulation.run import Verdict, simulate_all

_PART = 20
"""Runs between two looks at what came of them."""
_STEPS = 20
"""Lines of progress."""
_KEPT = 20
"""Wrong runs that the result tells of."""
_FOR_A_MUTANT = 2000
"""Runs in which each mutant must be caught."""


def wrong_runs(seeds: range) -> list[Verdict]:
    """The verdicts that are not right."""
    return [verdict for verdict in simulate_all(seeds) if verdict.wrong]


def simulate_many(seeds: range) -> Iterator[Verdict]:
    """The runs of these seeds that are wrong, as they are found."""
    parts = [seeds[at : at + _PART] for at in range(0, len(seeds), _PART)]
    step = max(len(parts) // _STEPS, 1)
    with ProcessPoolExecutor(os.cpu_count(), initializer=logging.disable, initargs=(logging.CRITICAL,)) as pool:
        for number, wrong in enumerate(pool.map(wrong_runs, parts), 1):
            for verdict in wrong:
                print(f"seed {verdict.seed}: {verdict.wrong[0]}", file=sys.stderr, flush=True)
                yield verdict
            if number % step == 0:
                print(f"{parts[number - 1].stop - seeds.start} rounds", file=sys.stderr, flush=True)


def catch(mutant: Mutant) -> int | None:
    """The seed that catches it, if one does."""
    command = [sys.executable, "-m", "tests.volume_simulation.mutants", mutant.name, "0", str(_FOR_A_MUTANT)]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, stdin=subprocess.DEVNULL).stdout
    seed = int(said.split()[0]) if said else None
    print(f"mutant {mutant.name!r}: {'not caught' if seed is None else f'seed {seed}'}", file=sys.stderr, flush=True)
    return seed


def main() -> int:
    parser = argparse.ArgumentParser(description="Simulate many runs of volumes, and every mutant.")
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, metavar="SEED")
    arguments = parser.parse_args()
    clock = SystemClock()
    began = clock.now()
    wrong = list(simulate_many(range(arguments.first, arguments.first + arguments.rounds)))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        caught = dict(zip([mutant.name for mutant in MUTANTS], pool.map(catch, MUTANTS), strict=True))
    result = {
        "rounds": arguments.rounds,
        "first": arguments.first,
        "seconds": round(clock.now() - began, 1),
        "wrong": len(wrong),
        "wrong runs": [asdict(verdict) for verdict in wrong[:_KEPT]],
        "mutants": caught,
    }
    json.dump(result, sys.stdout, indent=2)
    print()
    return 0 if not wrong and None not in caught.values() else 1


if __name__ == "__main__":
    sys.exit(main())
