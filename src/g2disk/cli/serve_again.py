"""A process that has imported all of g2disk and forks a server whenever it is told to: for `g2disk torture`, whose
rounds would otherwise wait for Python to start.

`python -m g2disk.cli.serve_again serve STORE …` forks `g2disk serve STORE …` for each line on its standard input, and
prints the child's process id.  The servers write to its standard error.  It ends with its standard input.
"""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module

from g2disk.cli.main import main


def serve_again() -> None:
    """See the module."""
    import_module("g2disk.cli.serve")  # what the command imports when it is run
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children are gone when they end
    while sys.stdin.readline():
        child = os.fork()
        if not child:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(2, 1)
            main()
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve_again()
