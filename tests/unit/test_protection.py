"""A protected process, read back from /proc; each test protects a child, since nothing here can be undone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

PROTECTED = """
import json, re, sys, threading
from pathlib import Path
from g2disk.attach.protection import protect

problems = protect()
status = dict(re.findall(r"(\\w+):\\s+(\\d+) kB", Path("/proc/self/status").read_text()))
late = bytearray(32 << 20)  # beyond any bound of locked memory that is left
thread = threading.Thread(target=bytearray, args=(32 << 20,))
thread.start()
thread.join()
told = {
    "problems": problems,
    "name": Path("/proc/self/cmdline").read_bytes().split(b"\\0")[0].decode(),
    "flags": int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[6]),
    "oom_score_adj": int(Path("/proc/self/oom_score_adj").read_text()),
    "locked": int(status["VmLck"]),
    "all": int(status["VmSize"]),
}
print(json.dumps(told))
"""
MEMALLOC_NOIO = 0x00080000  # include/linux/sched.h, since 4.17; what PR_SET_IO_FLUSHER sets


def protected(*before: str) -> dict[str, Any]:
    """What a protected process reads of itself; `before` is what the command is to be started by."""
    command = [*before, sys.executable, "-c", PROTECTED]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_the_name_begins_with_an_at_sign() -> None:
    """As systemd looks for it, and the rest of the name stays."""
    assert protected()["name"] == "@" + sys.executable[1:]


def test_what_can_be_done_is_done_and_the_rest_is_told() -> None:
    """Of each protection either /proc shows it, or one line says why not."""
    told = protected()
    problems = "\n".join(told["problems"])

    assert bool(told["flags"] & MEMALLOC_NOIO) == ("writing to the own device" not in problems)
    assert (told["oom_score_adj"] == -1000) == ("memory runs out" not in problems)
    assert (told["locked"] > 0.9 * told["all"]) == ("not locked" not in problems)


@pytest.mark.skipif(os.geteuid() != 0, reason="taking capabilities away takes root")
def test_memory_is_not_locked_below_a_bound() -> None:
    """Where the kernel bounds locked memory nothing is locked: later allocations would fail, and they do not."""
    less = ["setpriv", "--bounding-set", "-ipc_lock,-sys_resource"]
    told = protected("prlimit", "--memlock=4194304:4194304", *less)

    assert told["locked"] == 0
    assert "memory is not locked: 4194304 bytes is the most here" in "\n".join(told["problems"])
