"""Target servers that can be killed, started again and stopped for a while."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Protocol

from g2disk.clock import Clock
from g2disk.errors import Invalid, NotFound, Unavailable, from_os_error
from g2disk.remote.endpoint import check_endpoint

_PATIENCE = 60.0
"""Seconds that a server may take to start or to end."""
_PAUSE = 0.005
"""Seconds between two looks whether it has."""


class Server(Protocol):
    """The server under test."""

    endpoint: str
    can_kill: bool
    """`kill` and `start` work."""
    can_pause: bool
    """`pause` and `resume` work."""

    async def start(self) -> None:
        """Start it, and return when it takes connections."""

    async def kill(self) -> None:
        """End it as SIGKILL does, and return when it is gone."""

    def pause(self) -> None:
        """Let nothing happen in it any more."""

    def resume(self) -> None:
        """Let it go on."""


class OwnServer:
    """`g2disk serve` as a process, on a Unix socket; made by `own_server`."""

    can_pause = True

    def __init__(self, spawner: asyncio.subprocess.Process, directory: Path, clock: Clock) -> None:
        self.endpoint = _endpoint(directory)
        self.can_kill = True
        self._spawner = spawner
        self._log = directory / "server.log"
        self._clock = clock
        self._pid = 0
        """0 while none runs."""

    async def start(self) -> None:
        """See `Server.start`.  Raises `Unavailable` with what the server says instead."""
        assert self._spawner.stdin is not None
        assert self._spawner.stdout is not None
        self._spawner.stdin.write(b"\n")
        self._pid = int(await self._spawner.stdout.readline() or 0)
        if not self._pid or not await _listens(self.endpoint, self._clock, lambda: _is_alive(self._pid)):
            said = self._log.read_text(errors="replace").strip().splitlines()
            raise Unavailable(f"g2disk serve did not start: {said[-1] if said else 'it says nothing'}")

    async def kill(self) -> None:
        """See `Server.kill`; nothing where it does not run."""
        pid, self._pid = self._pid, 0
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            await _until_gone(pid, self._clock)

    def pause(self) -> None:
        """Send SIGSTOP."""
        os.kill(self._pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Send SIGCONT."""
        os.kill(self._pid, signal.SIGCONT)


@contextlib.asynccontextmanager
async def own_server(arguments: Sequence[str], directory: Path, clock: Clock) -> AsyncIterator[OwnServer]:
    """`g2disk serve` with these arguments, killed at the end of the block; its socket and log are in `directory`."""
    command = [sys.executable, "-m", "g2disk.cli.serve_again", "serve", *arguments, "--listen", _endpoint(directory)]
    pipe = asyncio.subprocess.PIPE
    with (directory / "server.log").open("wb") as log:
        # A session of its own: Ctrl-C is for this process, which then ends that one.
        spawner = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, stderr=log, start_new_session=True
        )
    server = OwnServer(spawner, directory, clock)
    try:
        await server.start()
        yield server
    finally:
        await server.kill()
        spawner.kill()
        await spawner.wait()


def _endpoint(directory: Path) -> str:
    return f"unix:{directory / 'server.sock'}"


class ForeignServer:
    """Somebody else's server, which runs already.

    `kill` and `restart` are commands for a shell; `pid_file` names a file with the process's id, and the process is
    then killed by signal, and stopped and continued too.  Raises `Invalid` where these do not go together.
    """

    def __init__(
        self, endpoint: str, clock: Clock, restart: str = "", kill: str = "", pid_file: Path | None = None
    ) -> None:
        self.endpoint = check_endpoint(endpoint)
        self._clock = clock
        self._restart, self._kill, self._pid_file = restart, kill, pid_file
        self.can_kill = bool(restart)
        self.can_pause = pid_file is not None
        if restart and not (kill or pid_file):
            raise Invalid("--restart-command needs a way to kill the server first; add --pid-file or --kill-command")
        if kill and not restart:
            raise Invalid("--kill-command needs a way to start the server again; add --restart-command")

    async def reach(self) -> None:
        """See whether it runs.  Raises `Unavailable`."""
        if not await _can_connect(self.endpoint):
            raise Unavailable(f"nobody listens at {self.endpoint}; start the server first")

    async def start(self) -> None:
        """Run the restart command.  It may return, having started the server, or go on as the server."""
        pid = _left_running(self._restart)
        if not await _listens(self.endpoint, self._clock, lambda: not _has_failed(pid)):
            raise Unavailable(f"no server listens at {self.endpoint} after the restart command; try: {self._restart}")

    async def kill(self) -> None:
        """Send SIGKILL, or run the kill command, and wait until nobody listens."""
        if self._pid_file is not None:
            pid = self._pid()
            self._signal(signal.SIGKILL)
            await _until_gone(pid, self._clock)
            return
        nothing = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", self._kill, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True
        )
        if await process.wait():
            raise Unavailable(f"the kill command ended with status {process.returncode}; try: {self._kill}")

    def pause(self) -> None:
        """Send SIGSTOP."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Send SIGCONT."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        pid = self._pid()
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            raise NotFound(
                f"there is no process {pid}, which {self._pid_file} names; write the server's there"
            ) from None
        except OSError as error:
            raise from_os_error(error, f"sending {number.name} to process {pid}") from error

    def _pid(self) -> int:
        assert self._pid_file is not None
        try:
            return int(self._pid_file.read_text())
        except OSError as error:
            raise from_os_error(error, f"reading {self._pid_file}") from error
        except ValueError:
            raise Invalid(f"{self._pid_file} holds no process id; write the server's there") from None


def _left_running(command: str) -> int:
    """Start a command for a shell, and return its pid: it may go on as the server, beyond our end."""
    nothing = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)]
    return os.posix_spawn("/bin/sh", ["/bin/sh", "-c", command], os.environ, file_actions=nothing, setsid=True)


def _has_failed(pid: int) -> bool:
    """Whether a child ended with an error; one that goes on, or did what it was asked, has not."""
    try:
        _, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return False  # ended well, as was seen before
    return status != 0


async def _listens(endpoint: str, clock: Clock, alive: Callable[[], bool]) -> bool:
    """Wait until a server takes connections; False where it failed to start, or is not there in time."""
    deadline = clock.now() + _PATIENCE
    while alive() and clock.now() < deadline:
        if await _can_connect(endpoint):
            return True
        await clock.sleep(_PAUSE)
    return False


async def _can_connect(endpoint: str) -> bool:
    try:
        if endpoint.startswith("unix:"):
            _, writer = await asyncio.open_unix_connection(endpoint.removeprefix("unix:"))
        else:
            host, _, port = endpoint.rpartition(":")
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


async def _until_gone(pid: int, clock: Clock) -> None:
    """Wait until the process has ended, whoever its parent is."""
    deadline = clock.now() + _PATIENCE
    while _is_alive(pid):
        if clock.now() > deadline:
            raise Unavailable(f"process {pid} does not end, though it was killed; see what it is stuck in")
        await clock.sleep(_PAUSE)


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"  # a zombie holds neither sockets nor files
