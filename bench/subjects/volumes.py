"""A volume behind our NBD server, the memory disk that it is compared with, and what else its limits are."""

from __future__ import annotations

import json
import os
from pathlib import Path

from bench.cases import FSYNC_CASE, MIB, Case
from bench.fio import Target
from bench.processes import PATIENCE, output_of, wait_for
from bench.subjects.ours import G2DISK, G2disk, G2diskDirect
from bench.subjects.subject import Subject
from g2disk.clock import SystemClock
from g2disk.volume.gc.collector import PAUSE

_CLOCK = SystemClock()
_QUIET = 1.5 * PAUSE
"""Seconds after which garbage collection would have begun."""
_CHUNK_DISK = Path(__file__).with_name("chunk_disk.py")


class Memory(G2diskDirect):
    """The memory disk behind the same NBD server."""

    name = "memory"
    title = "memory disk"
    ours = False

    def is_for(self, case: Case) -> bool:
        """See `Subject.is_for`."""
        return not case.fsync


class Volume(G2disk):
    """A volume on a directory, its journal on the same device."""

    name = "volume"
    title = "volume on `objects:DIR`"
    ours = True
    endpoint = ""

    def start(self, directory: Path, size: int) -> Target:
        """See `Subject.start`."""
        store, journal = directory / "volume", directory / "journal"
        command = ["--journal", str(journal), "--nbd", f"unix:{self.socket(directory)}"]
        self.endpoint = self.target_server(directory, size, *command, store=f"objects:{store}")
        return self.reached(self._processes[-1], directory, size)

    def rest(self) -> None:
        """Wait until all is in the store, and garbage collection has nothing to do, so that the next measurement is not
        of what this one left.
        """
        quiet: list[tuple[float, object]] = []

        def is_quiet() -> bool:
            state = json.loads(output_of([G2DISK, "info", "default", "--endpoint", self.endpoint, "--json"]))["state"]
            asked = state["unstored_bytes"], state["puts"], state["gets"], state["deletes"]
            if not quiet or quiet[0][1] != asked or asked[0]:
                quiet[:] = [(_CLOCK.now(), asked)]
            return _CLOCK.now() - quiet[0][0] > _QUIET

        wait_for(is_quiet, PATIENCE * 4, f"{self.name} asked nothing more of its store")


class Chunks(G2disk):
    """An object for each 4 MiB, read and put again at each write."""

    name = "chunks"
    title = "an object for each 4 MiB"

    def start(self, directory: Path, size: int) -> Target:
        """See `Subject.start`."""
        store = f"{_CHUNK_DISK}:ChunkDisk?directory={directory / 'chunks'}&size={size}"
        self.target_server(directory, 0, "--nbd", f"unix:{self.socket(directory)}", store=store)
        return self.reached(self._processes[-1], directory, size)

    def is_for(self, case: Case) -> bool:
        """See `Subject.is_for`."""
        return not case.fsync


class BareFile(Subject):
    """A file that was written before, with one fdatasync for all writes since the last: the journal's own limit."""

    name = "file"
    title = "bare file, `pwrite` and `fdatasync`"

    def start(self, directory: Path, size: int) -> Target:
        """See `Subject.start`."""
        path = directory / "bare"
        with path.open("wb") as file:
            for _ in range(size // MIB):
                file.write(bytes(MIB))
            file.flush()
            os.fsync(file.fileno())
        return Target("", size, path=str(path))

    def fill(self, target: Target) -> None:
        """See `Subject.fill`."""

    def is_for(self, case: Case) -> bool:
        """See `Subject.is_for`."""
        return case == FSYNC_CASE
