"""`g2disk torture`."""

from __future__ import annotations

import shlex
import sys
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from g2disk.cli.exit_codes import DECLINED
from g2disk.cli.options import Json
from g2disk.cli.output import note, print_facts, print_json, printable
from g2disk.cli.running import run
from g2disk.clock import SystemClock
from g2disk.disk.identity import new_identity
from g2disk.errors import Corrupt, Fenced, Invalid
from g2disk.remote.endpoint import check_endpoint
from g2disk.stores.opening import is_object_store
from g2disk.stores.python import names_python
from g2disk.torture.run import torture as run_torture
from g2disk.torture.servers import ForeignServer, Server, own_server
from g2disk.torture.stage import Settings
from g2disk.torture.verdict import Verdict
from g2disk.units import check_disk_size, parse_size

_OWN_DISK = "torture"
"""The disk that is made in a store."""
_ROUNDS, _REPEATS = 100, 20
"""Rounds of a run, and times that one round is run alone."""


def torture(
    target: Annotated[
        str,
        typer.Argument(
            metavar="ENDPOINT|STORE",
            help="A running server, HOST:PORT or unix:PATH, or a store, which is served, killed and served again: "
            "file:DIR, memory:, objects:DIR, s3://BUCKET/PREFIX, gs://…, az://…, module:Class or FILE.py:Class.",
        ),
    ],
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed asks for the same requests and faults.")] = 1,
    rounds: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help=f"Default: {_ROUNDS}; with --round, {_REPEATS} times that one."),
    ] = None,
    number: Annotated[int | None, typer.Option("--round", metavar="K", min=0, help="Run this round alone.")] = None,
    size: Annotated[
        str, typer.Option(metavar="SIZE", help="How much of the disk's beginning is used; the size of a store's disk.")
    ] = "1MiB",
    disk: Annotated[
        str,
        typer.Option(metavar="NAME", help=f"Default: the server's default disk; in a store, {_OWN_DISK}."),
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before overwriting a disk.")] = False,
    restart_command: Annotated[
        str, typer.Option(metavar="CMD", help="Starts your server again, in a shell; it may go on as the server.")
    ] = "",
    kill_command: Annotated[str, typer.Option(metavar="CMD", help="Kills your server, in a shell.")] = "",
    pid_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Holds your server's process id: it is killed and paused by signals."),
    ] = None,
    no_kill: Annotated[bool, typer.Option("--no-kill", help="Never kill the server of a store.")] = False,
    json: Json = False,
) -> None:
    """Torture a target server with requests and faults, and judge whether every byte read is one that it may give.

    What the disk holds is overwritten.
    """
    check_disk_size(parse_size(size))
    asked = _Asked(target, disk, size, restart_command, kill_command, pid_file, no_kill)
    if not yes and not asked.is_own:
        _ask(target, disk, size)
    times = rounds or (_ROUNDS if number is None else _REPEATS)
    settings = Settings(
        seed=seed,
        rounds=range(times),
        size=parse_size(size),
        run=int(new_identity().replace("-", "")[:16], 16),
        client=bytes.fromhex(new_identity().replace("-", "")),
        disk=asked.name,
    )
    if number is not None:
        settings = settings.alone(number, times)
    verdict = run(_torture(asked, settings))
    document = verdict.document(asked.replay(seed))
    print_json(document) if json else _print(verdict, document["violations"])
    if verdict.violations:
        raise Corrupt(f"round {verdict.violations[0].round} found a broken promise; docs/torture.md says what it means")
    if verdict.replaced:
        raise Fenced("the server has another disk after a restart; a disk that lives in memory takes --no-kill")


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is to be tortured, as the command line says."""

    target: str
    disk: str
    size: str
    restart: str
    kill: str
    pid_file: Path | None
    no_kill: bool

    @property
    def is_own(self) -> bool:
        """Whether the disk is made for this."""
        return self.target.startswith(("memory:", "file:")) or is_object_store(self.target)

    @property
    def is_python(self) -> bool:
        """Whether it is served by this command, but may be somebody's."""
        return not self.is_own and names_python(self.target)

    @property
    def name(self) -> str:
        return self.disk or (_OWN_DISK if self.is_own else "")

    async def server(self, directory: Path, stack: AsyncExitStack) -> Server:
        """The server, running."""
        clock = SystemClock()
        if not (self.is_own or self.is_python):
            foreign = ForeignServer(check_endpoint(self.target), clock, self.restart, self.kill, self.pid_file)
            await foreign.reach()
            return foreign
        if self.restart or self.kill or self.pid_file:
            raise Invalid("the server of a store is started and killed by this command; leave the commands out")
        create = ["--disk", f"{self.name}={self.size}"] if self.is_own else []
        journal = ["--journal", f"{directory}/journal"] if is_object_store(self.target) else []
        server = await stack.enter_async_context(own_server([self.target, *create, *journal], directory, clock))
        # A memory disk after a restart is another disk, and there is nothing to be judged.
        server.can_kill = not self.no_kill and self.target != "memory:"
        return server

    def replay(self, seed: int) -> str:
        """The command that runs round ROUND alone."""
        words = ["g2disk", "torture", self.target, "--seed", str(seed), "--round", "ROUND", "--size", self.size]
        options = {"--disk": self.disk, "--restart-command": self.restart, "--kill-command": self.kill}
        options["--pid-file"] = str(self.pid_file or "")
        for name, value in options.items():
            words += [name, value] if value else []
        words += ["--no-kill"] * self.no_kill + ["--yes"] * (not self.is_own)
        return shlex.join(words)


def _ask(target: str, disk: str, size: str) -> None:
    which = repr(disk) if disk else "the default disk"
    if not sys.stdin.isatty():
        raise Invalid(f"nobody is there to ask whether {which} of {target} is to be overwritten; say --yes if it is")
    if not typer.confirm(printable(f"Overwrite the first {size} of {which} of {target}?"), err=True):
        note("nothing was changed")
        raise typer.Exit(DECLINED)


async def _torture(asked: _Asked, settings: Settings) -> Verdict:
    total, clock = len(settings.rounds) * settings.repeat, SystemClock()

    def report(verdict: Verdict) -> None:
        if verdict.rounds * 10 // total > (verdict.rounds - 1) * 10 // total:
            note(f"{verdict.rounds} of {total} rounds")

    with tempfile.TemporaryDirectory(prefix="g2disk-") as path:
        async with AsyncExitStack() as stack:
            directory = Path(path)
            server = await asked.server(directory, stack)
            return await run_torture(server, settings, directory, clock, report)


def _print(verdict: Verdict, violations: list[dict[str, object]]) -> None:
    print_facts(
        {
            "verdict": verdict.outcome,
            "rounds": f"{verdict.rounds}, seed {verdict.seed}",
            "protocol": verdict.protocol,
            "requests": str(verdict.operations.total()),
            "faults": ", ".join(f"{kind} {count}" for kind, count in sorted(verdict.faults.items())),
        }
    )
    for violation in violations:
        print_facts(
            {
                "broken": f"{violation['kind']}, round {violation['round']}, {violation['when']}",
                "where": f"{violation['length']} bytes at {violation['offset']}",
                "expected": str(violation["expected"]),
                "found": str(violation["found"]),
                "again": str(violation["replay"]),
            }
        )
