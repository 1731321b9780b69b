"""One phase of one measurement: `python -m bench.volumes NAME PHASE DIRECTORY SHARE`."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import uvloop

from bench.volumes.tasks import TASKS, Phase
from g2disk.allocator import keep_freed_memory
from g2disk.threads import let_the_event_loop_in


async def _run(phase: Phase, directory: Path, share: float) -> dict[str, float]:
    return await phase(directory, share)


if __name__ == "__main__":
    keep_freed_memory()  # as `g2disk serve` does, and the next
    let_the_event_loop_in()
    name, number, place, part = sys.argv[1:]
    found = uvloop.run(_run(TASKS[name][int(number)], Path(place), float(part)))
    print(msgspec.json.encode(found).decode())  # noqa: T201
