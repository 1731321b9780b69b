"""One phase of one measurement: `python -m bench.volumes NAME PHASE DIRECTORY SHARE`."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import uvloop

from bench.volumes.tasks import TASKS, Phase


async def _run(phase: Phase, directory: Path, share: float) -> dict[str, float]:
    return await phase(directory, share)


if __name__ == "__main__":
    name, number, place, part = sys.argv[1:]
    found = uvloop.run(_run(TASKS[name][int(number)], Path(place), float(part)))
    print(msgspec.json.encode(found).decode())  # noqa: T201
