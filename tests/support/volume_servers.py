"""Servers of volumes as processes, and fio as their load: over NBD, with every block verified."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from g2disk.cli.server import connected as connected_store
from tests.cli.command import Command
from tests.support.nbd_client import connected
from tests.support.nbd_servers import DIRECT, NbdServer, nbd_server
from tests.support.processes import wait_until

KIB, MIB = 1 << 10, 1 << 20
PATIENCE = 120.0
"""Seconds for a run of fio."""


@dataclass(frozen=True)
class Done:
    """A request of fio's as it logged it."""

    at: float
    """When it was done, in seconds since fio began."""
    took: float
    """Seconds."""
    length: int


@dataclass(frozen=True)
class Load:
    """A run of fio."""

    popen: subprocess.Popen[str]
    log: Path

    def end(self) -> str:
        """Wait for it; it must have succeeded.  What it said."""
        said, _ = self.popen.communicate(timeout=PATIENCE)
        assert 0 == self.popen.returncode, said
        return said

    def fails(self) -> str:
        """Wait for it; it must have failed.  What it said."""
        said, _ = self.popen.communicate(timeout=PATIENCE)
        assert 0 != self.popen.returncode, said
        return said

    def runs(self) -> bool:
        """Whether it has not ended yet."""
        return self.popen.poll() is None

    def requests(self) -> list[Done]:
        """All writes, in the order in which they were done; once it has ended."""
        rows = (line.split(",") for line in self.log.read_text().splitlines())
        done = [Done(int(row[0]) / 1e3, int(row[1]) / 1e9, int(row[3])) for row in rows if row[2].strip() == "1"]
        # At times fio 3.33 takes the time since the machine was started for how long a request took.
        return [request for request in done if request.took < request.at + 1]


@dataclass
class VolumeServer:
    """A running server of one store, and ways to use its disk `a`."""

    nbd: NbdServer
    command: Command
    directory: Path
    _loads: list[Load] = field(default_factory=list)

    def kill(self) -> None:
        """SIGKILL, and wait."""
        self.nbd.process.kill()

    def state(self) -> dict[str, Any]:
        """The figures that `g2disk info a` gives."""
        found: dict[str, Any] = self.command.json("info", "a")["state"]
        return found

    def figures(self) -> dict[str, Any]:
        """The same, asked without a command: for waiting, as each command takes a third of a second of processor."""
        return asyncio.run(_figures(self.command.environment["G2DISK_ENDPOINT"]))

    def flush(self) -> None:
        """NBD_CMD_FLUSH: what fio wrote is flushed, too, which its NBD engine does not do at its end."""
        with connected(self.nbd.socket, "a") as handle:
            handle.flush()

    def drained(self) -> None:
        """Return when everything is in the store."""
        wait_until("all is stored", lambda: self.figures()["unstored_bytes"] == 0, self.nbd.process)

    def fio(
        self, seed: int, size: int, *options: str, sizes: str = "4k-64k", depth: int = 8, timed: bool = False
    ) -> Load:
        """Start to write each block of the first `size` bytes once, in random order, with flushes in between.

        With `timed` the requests are logged; fio 3.33 breaks when it logs what it verifies, so not both.
        """
        prefix = self.directory / f"fio-{seed}-{len(self._loads)}"
        popen = subprocess.Popen(
            [
                *("fio", f"--name=seed{seed}", "--ioengine=nbd", f"--uri={self.nbd.uri('a')}", "--rw=randwrite"),
                *(f"--size={size}", f"--bsrange={sizes}", f"--iodepth={depth}", "--fsync=64"),
                *("--verify=crc32c", "--verify_fatal=1", f"--randseed={seed}", f"--aux-path={self.directory}"),
                *([f"--write_lat_log={prefix}"] if timed else []),
                *(options or ("--do_verify=1",)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._loads.append(Load(popen, Path(f"{prefix}_clat.1.log")))
        return self._loads[-1]

    def end_loads(self) -> None:
        """Kill what a test that failed left behind."""
        for load in self._loads:
            with load.popen as process:
                process.kill()

    def verify(self, seed: int, size: int, **options: Any) -> None:
        """Read what a run of `fio` with the same arguments wrote last."""
        self.fio(seed, size, "--verify_only", **options).end()


@dataclass
class Host:
    """A machine with nothing but a journal, for the store at `url`."""

    directory: Path
    url: str
    environment: Mapping[str, str] = field(default_factory=dict)

    @contextlib.contextmanager
    def serving(self, *options: str) -> Iterator[VolumeServer]:
        """A server, with this host's journal and cache."""
        self.directory.mkdir(exist_ok=True)
        where = ["--journal", f"{self.directory}/journal", "--cache", f"{self.directory}/cache"]
        with nbd_server(self.directory, DIRECT, self.url, *where, "--cache-size", "64MiB", *options) as nbd:
            server = VolumeServer(nbd, Command({"G2DISK_ENDPOINT": nbd.target.endpoint}), self.directory)
            try:
                yield server
            finally:
                server.end_loads()

    def lose(self, *what: str) -> None:
        """Lose "journal", "cache" or both."""
        for name in what:
            shutil.rmtree(self.directory / name)

    def check(self) -> None:
        """`g2disk fsck --data`: everything in the store is right."""
        said = Command({}).ok("fsck", self.url, "--data")
        assert "a: clean" in said, said


async def _figures(endpoint: str) -> dict[str, Any]:
    async with connected_store(endpoint) as store:
        return dict(await store.state("a"))
