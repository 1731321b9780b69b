"""Programs that end when their block ends, and also when the benchmark itself is killed."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from bench.errors import BenchError
from g2disk.clock import SystemClock

PATIENCE = 30.0
"""Seconds that a program may take to start, and to end."""

_CLOCK = SystemClock()
_LIFELINE = ("setpriv", "--pdeathsig", "KILL")
"""The kernel kills the program when its parent is gone."""


class Process:
    """A running program; what it writes goes to `log`, except for standard output where `run` was asked to read it."""

    def __init__(self, popen: subprocess.Popen[bytes], log: Path) -> None:
        self.popen = popen
        self.log = log

    def wait_until(self, condition: str, test: Callable[[], bool]) -> None:
        """Poll `test` until it is true.  Raises `BenchError` when the program ends first, or takes too long."""
        deadline = _CLOCK.now() + PATIENCE
        while not test():
            if self.popen.poll() is not None:
                raise self._failure(f"ended before {condition}")
            if _CLOCK.now() > deadline:
                raise self._failure(f"took more than {PATIENCE:g} s until {condition}")
            threading.Event().wait(0.01)

    def read_line(self, patience: float = PATIENCE) -> str:
        """The next line of its standard output.  Raises `BenchError` when it ends or takes longer than `patience`."""
        assert self.popen.stdout
        with selectors.DefaultSelector() as selector:
            selector.register(self.popen.stdout, selectors.EVENT_READ)
            ready = selector.select(patience)
        line = self.popen.stdout.readline().decode() if ready else ""
        if not line:
            raise self._failure("printed no line on standard output")
        return line.strip()

    def _failure(self, what: str) -> BenchError:
        said = self.log.read_text(errors="replace").strip()
        return BenchError(f"{self.log.stem} {what}; it wrote: {said or 'nothing'}")


@contextlib.contextmanager
def running(
    name: str, command: Sequence[str], directory: Path, *, env: Mapping[str, str] | None = None, talks: bool = False
) -> Iterator[Process]:
    """The program, until the block ends.  `name` names its log; with `talks` its standard output can be read."""
    log = directory / f"{name}.log"
    with log.open("wb") as errors:
        popen = subprocess.Popen(
            [*_LIFELINE, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if talks else errors,
            stderr=errors,
            env={**os.environ, **(env or {})},
            start_new_session=True,  # Ctrl-C is for the benchmark alone, which then ends its programs in order
        )
    try:
        yield Process(popen, log)
    finally:
        popen.terminate()
        try:
            popen.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.wait()
        if popen.stdout:
            popen.stdout.close()


def wait_for(test: Callable[[], bool], patience: float, condition: str) -> None:
    """Poll `test` until it is true.  Raises `BenchError` when that takes longer than `patience` seconds."""
    deadline = _CLOCK.now() + patience
    while not test():
        if _CLOCK.now() > deadline:
            raise BenchError(f"it took more than {patience:g} s until {condition}")
        threading.Event().wait(0.1)


def output_of(command: Sequence[str], seconds: float = PATIENCE) -> str:
    """Standard output of a program that must succeed within `seconds`.  Raises `BenchError`."""
    try:
        done = subprocess.run(
            [*_LIFELINE, *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{command[0]} did not end within {seconds:g} s: {' '.join(command)}") from error
    if done.returncode != 0:
        raise BenchError(f"{' '.join(command)} failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def can_connect(path: Path) -> bool:
    """Whether somebody listens on the Unix socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def can_reach(port: int) -> bool:
    """Whether somebody listens on the port of 127.0.0.1."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
