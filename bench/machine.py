"""The machine and the versions that a run was made with."""

from __future__ import annotations

import os
import platform
import re
import shutil
from importlib.metadata import version
from pathlib import Path

from bench.errors import BenchError
from bench.processes import output_of
from g2disk.units import format_size


def describe() -> dict[str, str]:
    """What to know about figures from this machine, by name.  Raises `BenchError` where a program is missing."""
    return {
        "processor": f"{_processor()}, {len(os.sched_getaffinity(0))} cores",
        "memory": format_size(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")),
        "kernel": f"{platform.system()} {platform.release()}",
        "nbdkit": f"{_program('nbdkit')}, built with Python {_embedded_python()}",
        "fio": _program("fio"),
        "libnbd": _program("nbdinfo"),
        "qemu-nbd": _program("qemu-nbd", "none"),
        "nbd-server": _program("nbd-server", "none"),
        "Python": platform.python_version(),
        "grpcio": version("grpcio"),
        "load before": f"{os.getloadavg()[0]:.2f}",
    }


def commit(root: Path) -> str:
    """The commit that was measured, with a plus sign where files differ from it; empty outside a checkout."""
    if not (root / ".git").exists():
        return ""
    short = output_of(["git", "-C", str(root), "rev-parse", "--short", "HEAD"]).strip()
    changed = output_of(["git", "-C", str(root), "status", "--porcelain", "--untracked-files=no"]).strip()
    return f"{short}+" if changed else short


def _processor() -> str:
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _program(name: str, without: str = "") -> str:
    """Its version, or `without` where that is given and the program is not there."""
    if without and shutil.which(name) is None:
        return without
    try:
        said = output_of([name, "--version"])
    except BenchError as error:
        raise BenchError(f"{name} is missing or broken; ./dev setup installs it ({error})") from error
    found = re.search(r"\d+(\.\d+)+", said)
    return found[0] if found else said.strip()


def _embedded_python() -> str:
    found = re.search(r"^python_version=(\S+)", output_of(["nbdkit", "python", "--dump-plugin"]), re.MULTILINE)
    return found[1] if found else "unknown"
