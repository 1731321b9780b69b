"""`Subject`, an NBD server that is measured."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import fio
from bench.cases import Case
from bench.fio import Target
from bench.processes import Process, can_connect, running
from bench.results import Cost


class Subject:
    """An NBD server that runs between `start` and `stop`."""

    name: str
    """On the command line and in results."""
    title: str
    """For people, in tables and plots; begins in lower case where grammar does."""
    ours: bool = False
    """Whether others are to be compared with it."""
    programs: tuple[str, ...] = ()
    """Foreign programs that it needs; where one is missing the subject is left out."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._processes: list[Process] = []

    def start(self, directory: Path, size: int) -> Target:
        """Serve an export of at least `size` bytes.  Sockets and logs go to `directory`."""
        raise NotImplementedError

    def fill(self, target: Target) -> None:
        """Write all that will be read.  Raises `BenchError`."""
        fio.fill(target)

    def stop(self) -> None:
        """End all that `start` started, however far it came."""
        self._processes.clear()
        self._stack.close()

    def pids(self) -> Sequence[int]:
        """The processes that its cost is counted for, with all their children; none where nobody named them."""
        return [process.popen.pid for process in self._processes]

    def rest(self) -> None:
        """Return when it has nothing left to do of what it was measured at."""

    def is_for(self, case: Case) -> bool:
        """Whether it is to be measured in this case."""
        return True

    def costs(self) -> list[Cost]:
        """What was found when it started and filled its disk."""
        return []

    def missing(self) -> str:
        """The foreign program that is not installed; empty where all are."""
        return next((program for program in self.programs if shutil.which(program) is None), "")

    def lacks(self, case: Case, target: Target) -> str:
        """Why it cannot be measured in this case; empty where it can."""
        if case.connections == 1 or _can_multi_conn(target.uri):
            return ""
        return "it does not offer several connections (multi-conn)"

    def run(
        self,
        program: str,
        command: Sequence[str],
        directory: Path,
        env: Mapping[str, str] | None = None,
        talks: bool = False,
    ) -> Process:
        """Start a program that `stop` ends, and whose cost counts; see `processes.running`."""
        process = self.helper(program, command, directory, env, talks)
        self._processes.append(process)
        return process

    def helper(
        self,
        program: str,
        command: Sequence[str],
        directory: Path,
        env: Mapping[str, str] | None = None,
        talks: bool = False,
    ) -> Process:
        """Start a program that `stop` ends, and whose cost is not the subject's."""
        name = f"{self.name}.{program}"
        return self._stack.enter_context(running(name, command, directory, env=env, talks=talks))

    def socket(self, directory: Path) -> Path:
        """Where it listens."""
        return directory / f"{self.name}.sock"

    def reached(self, process: Process, directory: Path, size: int, export: str = "") -> Target:
        """The target, once the process listens on the subject's socket."""
        path = self.socket(directory)
        process.wait_until("it listened", lambda: path.exists() and can_connect(path))
        return Target(f"nbd+unix:///{export}?socket={path}", size)

    def nbdkit(self, directory: Path, size: int, *arguments: str, env: Mapping[str, str] | None = None) -> Target:
        """Start nbdkit with a plugin and its parameters; its default export."""
        command = ["nbdkit", "-f", "-U", str(self.socket(directory)), *arguments]
        return self.reached(self.run("nbdkit", command, directory, env), directory, size)


def _can_multi_conn(uri: str) -> bool:
    asked = subprocess.run(
        ["nbdinfo", "--can", "multi-conn", uri], stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=30
    )
    return asked.returncode == 0
