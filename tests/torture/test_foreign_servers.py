"""Servers that somebody else starts: killed and started again by commands."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from g2disk.clock import SystemClock
from g2disk.errors import Invalid, NotFound
from g2disk.torture.servers import ForeignServer
from g2disk.units import MIB
from tests.support.processes import G2DISK
from tests.torture.driving import run, settings

ROUNDS = 12


class Foreign:
    """How a server is started and killed from a shell."""

    def __init__(self, directory: Path) -> None:
        self.endpoint = f"unix:{directory}/s"
        self.pid_file = directory / "pid"
        arguments = shlex.join([G2DISK, "serve", f"file:{directory}/store", "--listen", self.endpoint])
        self.restart = f"echo $$ >{self.pid_file}; exec {arguments} --disk a=1MiB"
        self.restart_and_return = f"{arguments} --disk a=1MiB & echo $! >{self.pid_file}"
        self.kill = f"kill -9 $(cat {self.pid_file})"


@contextmanager
def foreign() -> Iterator[Foreign]:
    with tempfile.TemporaryDirectory(prefix="g2-", ignore_cleanup_errors=True) as directory:
        yield Foreign(Path(directory))


async def test_a_server_is_killed_by_its_process_id() -> None:
    """With a file that names its process a server is killed and paused, and the restart command may be the server."""
    with foreign() as made:
        server = ForeignServer(made.endpoint, SystemClock(), made.restart, "", made.pid_file)
        await server.start()
        try:
            verdict = await run(server, settings(1, ROUNDS, MIB, "a"))
        finally:
            await server.kill()

    assert ("kept", ROUNDS) == (verdict.outcome, verdict.rounds)
    assert any(kind.startswith(("kill", "client and server")) for kind in verdict.faults)
    assert server.can_pause


async def test_a_server_is_killed_by_a_command() -> None:
    """With a command that kills it a server is not paused, and the restart command may return."""
    with foreign() as made:
        server = ForeignServer(made.endpoint, SystemClock(), made.restart_and_return, made.kill)
        await server.start()
        try:
            verdict = await run(server, settings(1, ROUNDS, MIB, "a"))
        finally:
            await server.kill()

    assert ("kept", ROUNDS) == (verdict.outcome, verdict.rounds)
    assert not {"pause", "stuck requests"} & set(verdict.faults)


def test_commands_that_do_not_go_together_are_refused() -> None:
    """A server that can be killed and not started, or the other way round, is a mistake."""
    for restart, kill in (("start", ""), ("", "kill")):
        with pytest.raises(Invalid, match="way to"):
            ForeignServer("localhost:8080", SystemClock(), restart, kill)


async def test_a_process_id_of_nobody_is_reported(tmp_path: Path) -> None:
    """A file that names no process is said to."""
    pid_file = tmp_path / "pid"
    server = ForeignServer("localhost:8080", SystemClock(), "true", "", pid_file)
    with pytest.raises(NotFound):
        await server.kill()
    pid_file.write_text("x")
    with pytest.raises(Invalid, match="no process id"):
        await server.kill()
    pid_file.write_text(str(2**22 + 1))
    with pytest.raises(NotFound, match="no process"):
        await server.kill()
