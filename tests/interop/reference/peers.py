"""The independent server and client, as programs: in one process their generated code would clash with g2disk's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc_tools  # type: ignore[import-untyped]
from grpc_tools import protoc

from tests.support.processes import PATIENCE, running

HERE = Path(__file__).resolve().parent


def generate(directory: Path) -> None:
    """Put the code that grpc's own compiler makes of the .proto file into `directory`."""
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    source = HERE / "g2disk_reference.proto"
    options = [f"-I{HERE}", f"-I{well_known}", f"--python_out={directory}", f"--grpc_python_out={directory}"]
    assert protoc.main(["protoc", *options, str(source)]) == 0


@dataclass(frozen=True)
class Peers:
    """Both programs, with the directory of their generated code."""

    generated: Path

    @contextmanager
    def server(self, directory: Path, size: int, *options: str) -> Iterator[str]:
        """The ramdisk of `size` bytes; its endpoint."""
        environment = {"PYTHONPATH": str(self.generated), "PORT": "0"}
        command = [sys.executable, str(HERE / "server.py"), str(size), *options]
        with running(command, directory, env=environment, ready="^port ") as process:
            yield f"127.0.0.1:{process.first_line.split()[1]}"

    def client(self, endpoint: str, *arguments: str | int, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """One call of the client."""
        return subprocess.run(
            [sys.executable, HERE / "client.py", endpoint, *map(str, arguments)],
            input=data,
            capture_output=True,
            timeout=PATIENCE,
            env={"PYTHONPATH": str(self.generated)},
        )
