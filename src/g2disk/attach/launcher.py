"""Runs a command as a process that is no child of ours: `python launcher.py LOG COMMAND…` prints its pid.

A script of its own that imports only `os` and `sys`, as forking would be unsafe in a process with threads and an event
loop.  The command starts only once its parent is gone: nbdkit 1.32 in the foreground ends with the parent that it
started under, whether --exit-with-parent is given or not (its server/main.c).
"""

from __future__ import annotations

import os
import sys


def launch(log: str, command: list[str]) -> int:
    """Start the command: in a session of its own, in no directory that could be unmounted, without input, its output
    appended to `log`, and what it creates for its user only.  Returns its pid.
    """
    launcher = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    os.umask(0o077)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), 1)
    os.dup2(1, 2)
    os.chdir("/")
    while os.getppid() == launcher:
        os.sched_yield()
    try:
        os.execv(command[0], command)  # noqa: S606  no shell is meant
    except OSError as error:
        os.write(2, f"error: {command[0]}: {error.strerror}\n".encode())
    os._exit(127)


if __name__ == "__main__":
    print(launch(sys.argv[1], sys.argv[2:]))  # noqa: T201
