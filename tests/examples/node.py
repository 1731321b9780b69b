"""Starting the target server in Node.js."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import ROOT, Server, running

FOLDER = ROOT / "examples" / "node-server"
SIZE = 16 << 20


@contextmanager
def node_server(
    directory: Path, size: int = SIZE, address: str = "127.0.0.1:0", env: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """The ramdisk of `size` bytes, ready to be connected to; `env` is added to its environment."""
    node = shutil.which("node")
    assert node, "there is no Node.js; ./dev setup installs it"
    assert (FOLDER / "node_modules").is_dir(), f"{FOLDER} has no packages; ./dev setup installs them, or npm ci there"
    command = [node, str(FOLDER / "server.js"), str(size), address]
    with running(command, directory, env=env, ready="^serving ") as process:
        yield Server(process.first_line.split(" on ")[1], process)
