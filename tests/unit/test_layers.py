"""Imports follow the layers of the design, and the globals of time and randomness are used by nobody but the shells."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent


def run(tool: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([TOOLS / tool, *arguments], cwd=ROOT, input=stdin, capture_output=True, text=True)


def test_imports_go_down_the_layers() -> None:
    """Every contract of pyproject.toml's [tool.importlinter] is kept."""
    found = run("lint-imports", "--no-logo", "--no-cache")
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize(
    ("place", "line", "contract"),
    [
        ("units.py", "import g2disk.disk", "imports go down the layers"),
        ("disk/upward.py", "import g2disk.stores", "imports go down the layers"),
        ("disk/transport.py", "import grpc", "a disk needs no transport"),
        ("testing/server.py", "import g2disk.remote.disk", "the testing kit needs nothing but disks"),
        ("remote/codec.py", "import asyncio", "pure modules do no input or output"),
        ("surprise/__init__.py", "", "imports go down the layers"),
    ],
)
def test_a_forbidden_import_breaks_its_contract(tmp_path: Path, place: str, line: str, contract: str) -> None:
    """One wrong import, or a package without a layer, in a copy of the sources is found and named."""
    copy = tmp_path / "src"
    subprocess.run(["cp", "-r", ROOT / "src", copy], check=True)
    module = copy / "g2disk" / place
    module.parent.mkdir(exist_ok=True)
    with module.open("a") as file:
        file.write(f"\n{line}\n")
    found = subprocess.run(
        [TOOLS / "lint-imports", "--no-logo", "--no-cache", "--config", ROOT / "pyproject.toml"],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 1
    assert any(name.startswith(contract) and "BROKEN" in name for name in found.stdout.splitlines()), found.stdout


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
