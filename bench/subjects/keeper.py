"""Runs a program that insists on going into background, and kills it when told to end, or when its own parent is gone.

    python keeper.py PROGRAM [ARGUMENT…]

For Linux: what the program leaves behind becomes a child of this process (prctl(2), PR_SET_CHILD_SUBREAPER).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h


class Keeper:
    """This process."""

    def __init__(self) -> None:
        self._ends = False

    def run(self, command: list[str]) -> int:
        """Run until no child is left; the exit status is the program's if that is not 0."""
        parent = os.getppid()
        prctl = ctypes.CDLL(None).prctl
        prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        signal.signal(signal.SIGTERM, self._end)
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            return 1
        status = subprocess.run(command, check=False).returncode
        with contextlib.suppress(ChildProcessError):  # there are no more
            while status == 0:
                if self._ends:
                    _kill_children()  # those of a child that was killed are ours by now
                os.wait()
        return status

    def _end(self, _number: int, _frame: object) -> None:
        self._ends = True
        _kill_children()


def _kill_children() -> None:
    for thread in Path("/proc/self/task").iterdir():
        for child in (thread / "children").read_text().split():
            with contextlib.suppress(ProcessLookupError):  # it has ended
                os.kill(int(child), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(Keeper().run(sys.argv[1:]))
