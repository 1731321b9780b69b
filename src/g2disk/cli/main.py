"""The `g2disk` process."""

from __future__ import annotations

import os
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line to an exit code.  Ctrl-C is no traceback, not even while everything else is still imported;
    nor is a reader of standard output that goes away.
    """
    try:
        _open_missing()
        from g2disk.cli.app import run_app

        code = run_app()
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.stderr.write("g2disk: error: interrupted\n")
        code = 130
    except BrokenPipeError:
        # Python flushes again when it ends, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    sys.exit(code)


def _open_missing() -> None:
    """Where a standard stream was closed, put nothing in its place, lest a socket gets its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  until the end
