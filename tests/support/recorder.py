"""A process that records changes until it is killed; it writes a byte after each step that it took.

python -m tests.support.recorder DIRECTORY SEED
"""

from __future__ import annotations

import itertools
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from g2disk.remote.record_file import RecordFile
from g2disk.request import Request
from g2disk.units import KIB, MIB
from tests.support.records import some_changes, write

Step = list[Request] | int
"""Changes that are acknowledged, or how many are covered."""


def steps(seed: int) -> Iterator[Step]:
    """What the process does, one step after the other, without end."""
    rng = random.Random(seed)
    block, held = rng.randbytes(MIB), 0
    for number in itertools.count():
        if held > 2000 or rng.random() < 0.2:
            covered = held if rng.random() < 0.5 else rng.randrange(held + 1)
            held -= covered
            yield covered
        elif rng.random() < 0.2:
            held += 9
            yield some_changes(rng, 9)
        else:
            starts = [rng.randrange(MIB - 4 * KIB) for _ in range(64)]
            held += 64
            yield [write(number * MIB + at, block[at : at + 4 * KIB]) for at in starts]


def main(directory: Path, seed: int) -> None:
    """Take the steps."""
    record = RecordFile.open(directory, keep_data=True)
    record.begin("disk")
    for step in steps(seed):
        if isinstance(step, int):
            record.covered(step)
        else:
            record.acknowledged("i", step)
        os.write(sys.stdout.fileno(), b".")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
