"""Other processes: those that run to their end, and those that outlive this one and are known by pid and start time."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from g2disk.attach import launcher
from g2disk.errors import Unavailable, Unsupported

_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
"""Where Debian keeps modprobe; a user's PATH may leave it out."""

_PACKAGES = {"nbdkit": "nbdkit nbdkit-plugin-python", "nbdfuse": "libnbd-bin", "fusermount3": "fuse3"}


_LAUNCH_PATIENCE = 30.0
"""Seconds."""

_ERROR = re.compile(r"\berror: ", re.IGNORECASE)


class Process(msgspec.Struct, frozen=True):
    """A process that may have ended meanwhile, and whose pid may be another's now."""

    pid: int
    started: int
    """Clock ticks from the machine's start, the 22nd field of /proc/PID/stat."""

    @classmethod
    def of(cls, pid: int) -> Process:
        """The process that has this pid now, or one that is not alive."""
        return cls(pid, _started(pid) or 0)

    def is_alive(self) -> bool:
        """Whether it runs; one that ended and was not yet reaped does not."""
        return self.started > 0 and _started(self.pid) == self.started

    async def ended(self, timeout: float) -> bool:
        """Wait until it has ended, at most `timeout` seconds; whether it has."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            return not self.is_alive() or await _readable(descriptor, timeout)
        finally:
            os.close(descriptor)

    async def end(self, timeout: float) -> None:
        """Have it end, and what it started in its session: SIGTERM, and SIGKILL after `timeout` seconds or when it has
        ended and left something.  Nothing where it ended already.

        The signals reach these processes or none, even if a pid was given to another one.
        """
        others = [process for process in _session(self.pid) if process != self] if self.is_alive() else []
        if not (await self.send(signal.SIGTERM, timeout) or await self.send(signal.SIGKILL, timeout)):
            raise Unavailable(f"process {self.pid} did not end within {timeout:g} s of being killed; see `dmesg`")
        for process in others:
            await process.send(signal.SIGKILL, timeout)

    async def send(self, number: signal.Signals, timeout: float) -> bool:
        """Send a signal and wait, at most `timeout` seconds, for its end; whether it has ended."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            if not self.is_alive():
                return True
            signal.pidfd_send_signal(descriptor, number)
            return await _readable(descriptor, timeout)
        finally:
            os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended."""

    status: int
    output: str
    """Standard output and error, in the order of writing."""

    def complaint(self) -> str:
        """The line of its output that says what is wrong, without the names before it; or its exit status."""
        return _telling(self.output) or f"exit status {self.status}"


def find_program(name: str) -> str:
    """The path of a program.  Raises `Unsupported` saying what to install."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{_SBIN}")
    if path is None:
        raise Unsupported(f"{name} is not installed; apt-get install {_PACKAGES.get(name, name)}")
    return path


async def run(command: Sequence[str | Path], timeout: float, on_start: Callable[[int], None] | None = None) -> Finished:
    """Run a command to its end, without a shell and without input, away from the terminal's Ctrl-C.

    On cancellation and after `timeout` seconds it is killed; the latter raises `Unavailable`.  `on_start` is told its
    pid, for what it may have done until then.
    """
    name = str(command[0])
    process = await asyncio.create_subprocess_exec(
        find_program(name),
        *map(str, command[1:]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    if on_start is not None:
        on_start(process.pid)
    try:
        async with asyncio.timeout(timeout):
            output, _ = await process.communicate()
    except TimeoutError:
        raise Unavailable(f"{name} did not end within {timeout:g} s; see `dmesg` for what blocks it") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Finished(process.returncode or 0, output.decode(errors="replace"))


def start(command: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None) -> Process:
    """Start a process that outlives this one; see `g2disk.attach.launcher`.  Takes some milliseconds, and cannot be
    cancelled: nothing is started that nobody knows of.
    """
    program = [find_program(str(command[0])), *map(str, command[1:])]
    try:
        launching = subprocess.run(
            [sys.executable, "-I", "-S", launcher.__file__, log, *program],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
            timeout=_LAUNCH_PATIENCE,
            check=True,
        )
    except subprocess.SubprocessError as error:
        raise Unavailable(
            f"{program[0]} could not be started: {error}; see whether this machine is out of memory"
        ) from error
    return Process.of(int(launching.stdout))


def last_error(log: Path) -> str:
    """The last line of a process's log that is worth telling, without the names before it."""
    try:
        said = log.read_text(errors="replace")
    except FileNotFoundError:  # removed meanwhile with the attachment
        said = ""
    return _telling(said) or "it said nothing"


def _telling(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if _ERROR.search(line)] or lines
    return _ERROR.split(errors[-1])[-1] if errors else ""


def _session(session: int) -> list[Process]:
    """The processes of a session."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    return [Process.of(pid) for pid in pids if (fields := _fields(pid)) and int(fields[3]) == session]


def _started(pid: int) -> int | None:
    """When the process of that pid started; None where there is none, or only a zombie."""
    fields = _fields(pid)
    return None if fields is None or fields[0] in "ZX" else int(fields[19])


def _fields(pid: int) -> list[str] | None:
    """What /proc/PID/stat says behind the name, the state first; None where there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in parentheses may hold anything, spaces and parentheses too.
    return text.rpartition(")")[2].split()


async def _readable(descriptor: int, timeout: float) -> bool:
    """Wait until a descriptor is readable, at most `timeout` seconds; whether it is."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        async with asyncio.timeout(timeout):
            await readable.wait()
    except TimeoutError:
        return False
    else:
        return True
    finally:
        loop.remove_reader(descriptor)
