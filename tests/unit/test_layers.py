"""Imports follow the layers of the design, and the globals of time and randomness are used by nobody but the shells."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent


def run(
    tool: str, *arguments: str, stdin: str = "", cwd: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **environment}
    return subprocess.run(
        [TOOLS / tool, *arguments], cwd=cwd, env=environment, input=stdin, capture_output=True, text=True
    )


def test_imports_go_down_the_layers() -> None:
    """Every contract of pyproject.toml's [tool.importlinter] is kept."""
    found = run("lint-imports", "--no-logo", "--no-cache")
    assert found.returncode == 0, found.stdout + found.stderr


def test_forbidden_imports_break_their_contracts(tmp_path: Path) -> None:
    """Wrong imports of each sort, and a package without a layer, in a copy of the sources are found and named."""
    wrong = {
        "units.py": "import g2disk.disk",
        "disk/upward.py": "import g2disk.stores",
        "disk/transport.py": "import socket",
        "servers/library.py": "import grpc",
        "testing/server.py": "import g2disk.remote.disk",
        "remote/codec.py": "import asyncio",
        "surprise/__init__.py": "",
    }
    subprocess.run(["cp", "-r", ROOT / "src", ROOT / "pyproject.toml", tmp_path], check=True)
    for place, line in wrong.items():
        module = tmp_path / "src" / "g2disk" / place
        module.parent.mkdir(exist_ok=True)
        with module.open("a") as file:
            file.write(f"\n{line}\n")
    found = run("lint-imports", "--no-logo", "--no-cache", cwd=tmp_path, PYTHONPATH=str(tmp_path / "src"))
    assert found.returncode == 1
    for named in (
        "g2disk.units -> g2disk.disk",
        "g2disk.disk.upward -> g2disk.stores",
        "g2disk.disk.transport -> socket",
        "g2disk.servers.library -> grpc",
        "g2disk.testing.server -> g2disk.remote.disk",
        "g2disk.remote.codec -> asyncio",
        "- g2disk.surprise",
    ):
        assert named in found.stdout
    assert "5 broken" in found.stdout


@pytest.mark.parametrize(
    "line",
    [
        "import time; time.time()",
        "import time; time.sleep(1)",
        "import asyncio; asyncio.sleep(1)",
        "import random; random.random()",
        "import os; os.urandom(8)",
        "import uuid; uuid.uuid4()",
    ],
)
def test_the_globals_of_time_and_randomness_are_banned(line: str) -> None:
    """ruff refuses each of them in a module of the package."""
    found = run("ruff", "check", "--select=TID251", "--stdin-filename=src/g2disk/disk/some.py", "-", stdin=f"{line}\n")
    assert found.returncode == 1
    assert "TID251" in found.stdout
