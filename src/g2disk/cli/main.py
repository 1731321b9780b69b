"""The `g2disk` process."""

from __future__ import annotations

import os
import sys
from typing import NoReturn, TextIO


def main() -> NoReturn:
    """Run the command line to an exit code.  Ctrl-C is no traceback, not even while everything else is still imported;
    nor is a standard output that takes nothing more.
    """
    try:
        _open_missing()
        from g2disk.cli.app import run_app

        code = run_app()
    except KeyboardInterrupt:
        sys.stderr.write("g2disk: error: interrupted\n")
        code = 130
    except BrokenPipeError:
        code = 141
    failure = _settle(sys.stdout)
    if isinstance(failure, BrokenPipeError):
        code = code or 141
    elif failure is not None and not code:
        from g2disk.cli.exit_codes import EXIT_CODE
        from g2disk.errors import from_os_error, kind_of_error

        error = from_os_error(failure, "writing to standard output")
        sys.stderr.write(f"g2disk: error: {error}\n")
        code = EXIT_CODE[kind_of_error(error)]
    _settle(sys.stderr)
    sys.exit(code)


def _open_missing() -> None:
    """Where a standard stream was closed, put nothing in its place, lest a socket gets its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  until the end


def _settle(stream: TextIO) -> OSError | None:
    """Write out what is buffered; what is in the way, if anything.

    Python flushes again when it ends, and would complain; so what could not be written goes nowhere.
    """
    try:
        stream.flush()
    except OSError as failure:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return failure
    return None


if __name__ == "__main__":
    main()
