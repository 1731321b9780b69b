"""Starting real processes, waiting for what they say, and ending them whatever happens."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
G2DISK = str(Path(sys.executable).with_name("g2disk"))
PLUGIN = str(ROOT / "src/g2disk/servers/nbdkit/plugin.py")
PATIENCE = 30.0


@dataclass
class Process:
    """A running program; its standard error goes to `log`."""

    popen: subprocess.Popen[bytes]
    log: Path
    first_line: str = ""

    def kill(self) -> None:
        """SIGKILL, and wait."""
        self.popen.kill()
        self.popen.wait(PATIENCE)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send the signal, wait, and return the exit status."""
        self.popen.send_signal(number)
        return self.popen.wait(PATIENCE)

    def log_text(self) -> str:
        """What it wrote to standard error so far."""
        return self.log.read_text()


@contextlib.contextmanager
def running(
    command: Sequence[str], directory: Path, *, env: Mapping[str, str] | None = None, ready: str | None = None
) -> Iterator[Process]:
    """The program, from when it printed a line that matches `ready` on standard output until the block ends."""
    log = directory / f"{Path(command[0]).name}-{time.monotonic_ns()}.log"
    with log.open("wb") as errors:
        popen = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if ready else errors,
            stderr=errors,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
    process = Process(popen, log)
    try:
        if ready:
            process.first_line = _wait_for_line(process, ready)
        yield process
    finally:
        if popen.poll() is None:
            popen.terminate()
            try:
                popen.wait(10)
            except subprocess.TimeoutExpired:
                popen.kill()
                popen.wait()
        if popen.stdout:
            popen.stdout.close()


def _wait_for_line(process: Process, pattern: str) -> str:
    assert process.popen.stdout
    deadline = time.monotonic() + PATIENCE
    with selectors.DefaultSelector() as selector:
        selector.register(process.popen.stdout, selectors.EVENT_READ)
        while selector.select(deadline - time.monotonic()):
            line = process.popen.stdout.readline().decode()
            if not line:
                break
            if re.search(pattern, line):
                return line.strip()
    raise AssertionError(f"{process.log.name}: printed no {pattern!r}:\n{process.log_text()}")


def wait_until(condition: str, test: Callable[[], bool], process: Process | None = None) -> None:
    """Poll `test` until it is true."""
    deadline = time.monotonic() + PATIENCE
    while not test():
        if process is not None and process.popen.poll() is not None:
            raise AssertionError(f"{process.log.name}: ended before {condition}:\n{process.log_text()}")
        assert time.monotonic() < deadline, f"not within {PATIENCE} s: {condition}"
        _pause()


def _pause() -> None:
    """Yield the processor between two looks at a condition."""
    with selectors.DefaultSelector() as selector:
        selector.select(0.01)


def can_connect(path: Path) -> bool:
    """Whether somebody listens on the Unix socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


@dataclass
class Server:
    """A running target server."""

    endpoint: str
    process: Process


@contextlib.contextmanager
def target_server(
    directory: Path, *arguments: str, listen: str | None = "127.0.0.1:0", env: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """`g2disk serve` with these arguments."""
    where = ["--listen", listen] if listen else []
    command = [G2DISK, "serve", *arguments, *where]
    with running(command, directory, env=env, ready="^g2disk: serving") as process:
        found = re.search(r" on ([^,; ]+)", process.first_line)
        assert found, process.first_line
        yield Server(found[1], process)


@contextlib.contextmanager
def nbdkit(directory: Path, *arguments: str, options: Sequence[str] = ()) -> Iterator[tuple[Path, Process]]:
    """nbdkit with our plugin and these parameters; gives its socket, once somebody can connect."""
    path = directory / f"nbd-{time.monotonic_ns()}.sock"
    command = ["nbdkit", "-f", "-U", str(path), *options, "python", PLUGIN, *arguments]
    with running(command, directory) as process:
        wait_until("nbdkit listens", lambda: path.exists() and can_connect(path), process)
        yield path, process
