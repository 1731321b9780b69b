"""Running the judge against servers of the tests."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random

from g2disk.clock import SystemClock
from g2disk.torture.run import torture
from g2disk.torture.servers import Server
from g2disk.torture.stage import Settings
from g2disk.torture.verdict import Verdict
from tests.torture.volatile import SECTOR, SIZE, Medium, VolatileDisk, VolatileServer, started

CLIENT = b"torture's client"


def settings(seed: int, rounds: int, size: int = SIZE, disk: str = "") -> Settings:
    """Rounds from 0 on."""
    return Settings(seed=seed, rounds=range(rounds), size=size, run=seed + 1, client=CLIENT, disk=disk, patience=20)


async def run(server: Server, wanted: Settings, report: Callable[[Verdict], None] = lambda _: None) -> Verdict:
    """The verdict on a server that is running."""
    with tempfile.TemporaryDirectory(prefix="g2-") as directory:
        return await torture(server, wanted, Path(directory), SystemClock(), report)


@contextlib.asynccontextmanager
async def volatile(
    seed: int,
    make: Callable[[Medium], VolatileDisk] = VolatileDisk,
    kind: type[VolatileServer] = VolatileServer,
    block: int = SECTOR,
) -> AsyncIterator[VolatileServer]:
    """A server with a volatile cache, running."""
    with tempfile.TemporaryDirectory(prefix="g2-") as directory:
        async with started(kind(Path(directory), Medium(Random(seed), block), make)) as server:
            yield server
