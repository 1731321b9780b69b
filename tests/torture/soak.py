"""Many rounds on each kind of server: `python -m tests.torture.soak --rounds 10000 [--seed N]`; one round of them
again with `--server NAME --round K`.

Progress goes to standard error, and one JSON document to standard output: a list with a verdict for each server.  The
exit code is 0 where no promise was broken.
"""

from __future__ import annotations

import argparse
import json
import logging
import shlex
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import uvloop

from g2disk.clock import SystemClock
from g2disk.torture.servers import Server, own_server
from g2disk.torture.stage import Settings
from g2disk.torture.verdict import Verdict
from g2disk.units import MIB
from tests.torture.driving import run, settings, volatile

_STEPS = 20
"""Lines of progress for each server."""

MakeServer: TypeAlias = Callable[[int], AbstractAsyncContextManager[Server]]


@asynccontextmanager
async def _volatile(seed: int, block: int = 512) -> AsyncIterator[Server]:
    async with volatile(seed, block=block) as server:
        yield server


@asynccontextmanager
async def _blocks_of_4_kib(seed: int) -> AsyncIterator[Server]:
    async with _volatile(seed, 4096) as server:
        yield server


@asynccontextmanager
async def _file(_: int) -> AsyncIterator[Server]:
    with tempfile.TemporaryDirectory(prefix="g2-") as directory:
        store = f"file:{directory}/store"
        async with own_server([store, "--disk", "default=1MiB"], Path(directory), SystemClock()) as server:
            yield server


@asynccontextmanager
async def _volume(_: int) -> AsyncIterator[Server]:
    with tempfile.TemporaryDirectory(prefix="g2-") as directory:
        store = [f"objects:{directory}/store", "--journal", f"{directory}/journal", "--journal-size", "8MiB"]
        async with own_server([*store, "--disk", "default=1MiB"], Path(directory), SystemClock()) as server:
            yield server


@asynccontextmanager
async def _memory(_: int) -> AsyncIterator[Server]:
    with tempfile.TemporaryDirectory(prefix="g2-") as directory:
        async with own_server(["memory:", "--disk", "default=1MiB"], Path(directory), SystemClock()) as server:
            server.can_kill = False
            yield server


SERVERS: dict[str, tuple[MakeServer, float]] = {
    "volatile cache": (_volatile, 0.3),
    "volatile cache, blocks of 4 KiB": (_blocks_of_4_kib, 0.2),
    "file": (_file, 0.2),
    "volume": (_volume, 0.2),
    "memory": (_memory, 0.1),
}
"""Each kind, and its share of the rounds: most of them where unflushed writes are really lost."""


async def soak(rounds: int, seed: int) -> list[dict[str, Any]]:
    """Run that many rounds over all servers, one after the other; their verdicts."""
    verdicts = []
    for name, (make, share) in SERVERS.items():
        async with make(seed) as server:
            verdicts.append(await _verdict(name, server, settings(seed, max(1, round(rounds * share)), MIB)))
    return verdicts


async def again(name: str, seed: int, number: int, times: int) -> list[dict[str, Any]]:
    """Run one round of one server alone, that many times; its verdict."""
    make, _ = SERVERS[name]
    async with make(seed) as server:
        return [await _verdict(name, server, settings(seed, 1, MIB).alone(number, times))]


async def _verdict(name: str, server: Server, wanted: Settings) -> dict[str, Any]:
    verdict = await run(server, wanted, _progress(name, len(wanted.rounds) * wanted.repeat))
    replay = (
        f"python -m tests.torture.soak --seed {wanted.seed} --server {shlex.quote(name)} --round ROUND --rounds 100"
    )
    return {"server": name, **verdict.document(replay)}


def main(arguments: Sequence[str]) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description="Torture every kind of server for many rounds.")
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--server", choices=SERVERS, help="with --round: the only server")
    parser.add_argument("--round", type=int, help="run this round alone, as many times as --rounds says")
    asked = parser.parse_args(arguments)
    logging.basicConfig(level=logging.ERROR)
    alone = asked.server is not None and asked.round is not None
    work = again(asked.server, asked.seed, asked.round, asked.rounds) if alone else soak(asked.rounds, asked.seed)
    verdicts = uvloop.run(work)
    print(json.dumps(verdicts, indent=2))
    return int(any(verdict["verdict"] != "kept" for verdict in verdicts))


def _progress(name: str, total: int) -> Callable[[Verdict], None]:
    def report(verdict: Verdict) -> None:
        if verdict.rounds * _STEPS // total > (verdict.rounds - 1) * _STEPS // total or verdict.violations:
            print(
                f"torture: {name}: {verdict.rounds} of {total} rounds, {verdict.outcome}", file=sys.stderr, flush=True
            )

    return report


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
